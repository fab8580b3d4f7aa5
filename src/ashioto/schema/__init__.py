"""Layouts: entities and bars as columns."""
