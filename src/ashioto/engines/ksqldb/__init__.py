"""The ksqlDB engine."""
