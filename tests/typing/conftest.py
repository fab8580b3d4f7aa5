"""Programs here are read by type checkers, and not all of them may be run."""

collect_ignore_glob = ["accepted.py", "declarations.py", "rejected/*.py"]
