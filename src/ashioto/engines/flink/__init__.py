"""The Flink engine."""
