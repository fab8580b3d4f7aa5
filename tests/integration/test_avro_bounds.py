"""Damaged Avro once more, with kernels that check every index: none of them leaves its array."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [
    "tests/property/test_avro_damage.py",
    "tests/property/test_avro_peer.py",
    "tests/unit/schema/test_avro_reasons.py",
]


def test_no_index_leaves_its_array(tmp_path: Path) -> None:
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
