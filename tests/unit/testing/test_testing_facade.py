from __future__ import annotations

import subprocess
import sys

from ashioto import testing


def test_everything_is_there_under_one_name_in_order() -> None:
    assert sorted(testing.__all__) == testing.__all__
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert set(testing.__all__) >= {"CrashError", "CrashingLog", "ManualClock", "MemoryLog", "assert_bars"}


def test_programs_do_not_load_what_only_tests_need() -> None:
    code = "import sys, ashioto; print('ashioto.testing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
