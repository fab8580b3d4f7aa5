"""How programs write and read plain streams and tables."""

from __future__ import annotations

from ashioto.tables.sets import EntitySet

__all__ = ["EntitySet"]
