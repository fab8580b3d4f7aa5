"""The heartbeat: says that buckets exist and that they are finished."""
