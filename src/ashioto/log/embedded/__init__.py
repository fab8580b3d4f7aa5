"""The embedded log: one SQLite file that many threads and processes append to and read at once."""

from ashioto.log.embedded.log import EmbeddedLog

__all__ = ["EmbeddedLog"]
