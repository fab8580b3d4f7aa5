"""The engine that runs inside a Python process, on either log."""
