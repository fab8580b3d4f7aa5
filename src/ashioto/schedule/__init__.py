"""Schedules: sessions, the buckets and segments they make, and calendars; all pure."""
