"""Flink as the engine: statements, the gateway and job manager they go through, and what runs there."""
