"""What the roles say to one another through the log: what is applied, which heartbeats are wanted, where they stand."""
