"""What engines that speak SQL share: statements as trees, plans put into SQL, and the steps from ticks to bars."""
