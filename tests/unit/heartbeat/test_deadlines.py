from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ashioto.heartbeat.deadlines import Deadlines

NAMES = st.sampled_from("abc")


@given(st.lists(st.tuples(st.sampled_from(["put", "drop", "take"]), NAMES, st.integers(0, 50))))
def test_each_name_has_the_moment_it_got_last(steps: list[tuple[str, str, int]]) -> None:
    deadlines, known = Deadlines(), dict[str, int]()
    for what, name, at in steps:
        if what == "put":
            deadlines.put(name, at)
            known[name] = at
        elif what == "drop":
            deadlines.drop(name)
            known.pop(name, None)
        else:
            ready = sorted((moment, name) for name, moment in known.items() if moment <= at)
            assert deadlines.take(at) == [name for _, name in ready]
            known = {name: moment for name, moment in known.items() if moment > at}
        assert deadlines.first() == min(known.values(), default=None)


def test_moments_that_are_put_off_again_and_again_take_no_room() -> None:
    deadlines = Deadlines()
    for at in range(10_000):
        deadlines.put("a", 1_000_000 - at)
        deadlines.put("b", 1_000_000 + at)
    assert len(deadlines) <= 20
    assert deadlines.take(2_000_000) == ["a", "b"]
