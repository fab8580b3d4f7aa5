"""Engines: what runs the queries."""
