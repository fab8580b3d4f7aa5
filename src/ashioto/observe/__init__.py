"""What runs is seen from outside: metrics, health endpoints and logs that people and programs can read."""
