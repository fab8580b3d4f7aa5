"""Deployment: what exists before anything runs."""
