"""The user's own files: Parquet and CSV, read part by part, bad rows set aside."""
