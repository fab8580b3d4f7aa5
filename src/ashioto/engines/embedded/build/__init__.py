"""Bars of files: what to build, the query it comes down to, the build itself, and the finished columns."""
