"""Brings history into bars, and says whether it is right."""
