from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ashioto import keys
from ashioto.bars.keys import bar_keys, record_keys, series_keys
from ashioto.bars.ordering import key_order

VECTORS = json.loads((Path(__file__).parents[2] / "golden" / "keys.json").read_text(encoding="utf-8"))
TEXTS = [v for v in VECTORS if v["parts"] and all(isinstance(part, str) for part in v["parts"])]
TIMED = [v for v in VECTORS if v["parts"] and isinstance(v["parts"][-1], dict)]
TIME = pa.timestamp("ms", tz="UTC")
PART = st.text(alphabet=st.sampled_from(["a", "b", "\\", "\x1f", "u", "0", "1", "f", "\x01", "~", "é"]), max_size=4)
STARTS = st.one_of(st.integers(0, 20), st.integers(10**12 - 3, 10**12 + 3), st.integers(0, 10**13 - 1))
BARS = st.lists(st.tuples(PART, PART, STARTS), min_size=1, max_size=12)
Bars = list[tuple[str, str, int]]


def columns(rows: Bars) -> list[pa.DictionaryArray]:
    return [pa.array([row[at] for row in rows], pa.string()).dictionary_encode() for at in (0, 1)]


def made(rows: Bars) -> list[bytes]:
    found: list[bytes] = record_keys(series_keys(columns(rows)), pa.array([row[2] for row in rows])).to_pylist()
    return found


@pytest.mark.parametrize("vector", TEXTS, ids=lambda v: repr(v["parts"]))
def test_golden_vectors_are_the_keys_of_series(vector: dict[str, Any]) -> None:
    text = [pa.array([part, part], pa.string()).dictionary_encode() for part in vector["parts"]]
    series = series_keys(text)
    assert series.to_pylist() == [bytes.fromhex(vector["hex"])] * 2
    assert record_keys(series, pa.array([0, 1_735_732_800_000])).to_pylist() == [
        bytes.fromhex(vector["hex"]) + b"\x1f0000000000000",
        bytes.fromhex(vector["hex"]) + b"\x1f1735732800000",
    ]


@pytest.mark.parametrize("vector", TIMED, ids=lambda v: repr(v["parts"]))
def test_golden_vectors_with_a_time_are_the_keys_of_bars(vector: dict[str, Any]) -> None:
    *parts, last = vector["parts"]
    names = [f"k{at}" for at in range(len(parts))]
    data = {name: pa.array([part], pa.string()) for name, part in zip(names, parts, strict=True)}
    data["bucket_start"] = pa.array([datetime.fromisoformat(last["time"])], TIME)
    assert bar_keys(pa.record_batch(data), names).to_pylist() == [bytes.fromhex(vector["hex"])]
    assert len(TIMED) > 2 < len(TEXTS)


@given(BARS)
@example([("a", "\x1fb", 0), ("a\x1f", "b", 0), ("a", "\\u001fb", 0), ("a\\", "u001fb", 0)])
def test_no_two_bars_have_one_key(rows: Bars) -> None:
    found = made(rows)
    assert len(set(found)) == len(set(rows))
    for (first, second, start), key in zip(rows, found, strict=True):
        assert key == keys.encode([first, second]) + b"\x1f" + keys.time_part(start).encode()


@given(BARS)
@example([("a", "", 5), ("a", "\x01", 4), ("a", "b", 3)])
def test_the_order_is_that_of_the_record_keys(rows: Bars) -> None:
    series = series_keys(columns(rows))
    codes, start = np.asarray(series.indices).astype(np.int64), np.array([row[2] for row in rows])
    found = key_order(series.dictionary.to_pylist(), codes, start)
    record = made(rows)
    order = list(range(len(rows))) if found.order is None else found.order.tolist()
    assert [record[at] for at in order] == sorted(record)
    twins = next(((record.index(key), at) for at, key in enumerate(record) if record.index(key) < at), None)
    assert (found.twins is None) == (twins is None)
    if found.twins is not None and twins is not None:
        assert found.twins[1] == twins[1]
        assert record[found.twins[0]] == record[twins[0]]


def test_very_many_series_are_ordered_too() -> None:
    series = [b"%07d" % (2**19 - n) for n in range(2**19 + 1)]
    codes = np.array([0, 2**19, 5, 5, 5])
    found = key_order(series, codes, np.array([1, 1, 3, 2, 3]))
    assert found.order is not None
    assert found.order.tolist() == [1, 3, 2, 4, 0]
    assert found.twins == (2, 4)


def test_keys_of_many_columns_do_not_overflow() -> None:
    wide = pa.array([f"{n:05}" for n in range(70_000)]).dictionary_encode()
    series = series_keys([wide] * 4)
    assert series[69_999].as_py() == keys.encode(["69999"] * 4)
    assert len(series.dictionary) == 70_000
