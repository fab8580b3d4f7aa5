"""Bars: the algebra of partial bars, and how bar tables are read and written."""
