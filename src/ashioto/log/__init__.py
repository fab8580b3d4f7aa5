"""The log: where records live; one protocol, several implementations."""
