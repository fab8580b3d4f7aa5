"""Measures how fast ticks become Avro values and back, against fastavro row by row in the same run.

Run as `python bench/avro.py [--rows N]`. Figures are medians of CPU time on one core, so that the ratio holds on a
machine that is shared. What is compiled is compiled before.
"""

from __future__ import annotations

import argparse
import io
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import fastavro
import numpy as np
import pyarrow as pa

from ashioto.schema.arrow import TIME
from ashioto.schema.avro import TEXT_CODES, avro_schema
from ashioto.schema.avrocodec import AvroCodec
from ashioto.schema.framing import PREFIX_BYTES, frame_prefix, split_frames

if TYPE_CHECKING:
    from collections.abc import Callable

TICK = pa.schema(
    {
        "broker": TEXT_CODES,
        "symbol": TEXT_CODES,
        "at": TIME,
        "price": pa.decimal64(18, 5),
        "size": pa.int64(),
        "is_buy": pa.bool_(),
    }
)
AVRO = avro_schema(TICK, name="bench.tick")
ROUNDS, PEER_ROWS = 5, 50_000


def codes(rng: np.random.Generator, rows: int, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, len(names), rows, dtype=np.int32)), pa.array(names))


def ticks(rows: int) -> pa.RecordBatch:
    rng = np.random.default_rng(1)
    price = pa.array(rng.integers(90_000, 200_000, rows))
    columns = [
        codes(rng, rows, ["FX", "LMAX", "OANDA"]),
        codes(rng, rows, [f"SYM{n:04}" for n in range(500)]),
        pa.array(1_700_000_000_000 + np.arange(rows)).cast(TIME),
        pa.Array.from_buffers(TICK.field("price").type, rows, price.buffers()),
        pa.array(rng.integers(1, 1_000_000, rows)),
        pa.array(rng.integers(0, 2, rows).astype(np.bool_)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TICK)


def written(rows: list[dict[str, Any]]) -> list[bytes]:
    parsed: Any = fastavro.parse_schema(AVRO)
    found = []
    for row in rows:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, row)
        found.append(out.getvalue())
    return found


def read(values: list[bytes]) -> list[Any]:
    parsed: Any = fastavro.parse_schema(AVRO)
    return [fastavro.schemaless_reader(io.BytesIO(value), parsed, None) for value in values]


def rate(rows: int, call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return rows / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    batch, codec, prefix = ticks(rows), AvroCodec(AVRO, TICK), frame_prefix(7)
    made = codec.encode(batch, prefix=prefix)
    starts, stops = made.offsets[:-1], made.offsets[1:]
    found = codec.decode(made.buffer, starts + PREFIX_BYTES, stops)
    assert not found.reasons
    assert found.data.slice(0, 1000).to_pylist() == batch.slice(0, 1000).to_pylist()
    objects = batch.slice(0, PEER_ROWS).to_pylist()
    values = written(objects)
    calls: dict[str, tuple[int, Callable[[], object]]] = {
        "encode": (rows, lambda: codec.encode(batch, prefix=prefix)),
        "decode": (rows, lambda: codec.decode(made.buffer, starts + PREFIX_BYTES, stops)),
        "split": (rows, lambda: split_frames(made.buffer, starts, stops)),
        "fastavro encode": (len(objects), lambda: written(objects)),
        "fastavro decode": (len(values), lambda: read(values)),
    }
    rates = {name: [rate(n, call) for n, call in [calls[name]] * ROUNDS] for name in calls}
    middle = {name: median(found) for name, found in rates.items()}
    size = len(made.buffer) / rows
    print(f"{rows:,} ticks of {len(TICK)} columns, {size:.1f} bytes each with the prefix; rows/s of CPU")
    for name in ("encode", "decode"):
        peer = middle[f"fastavro {name}"]
        print(f"{name}: {middle[name]:,.0f}; fastavro {peer:,.0f} ({middle[name] / peer:.1f} times)")
    print(f"groups of framed values by schema: {middle['split']:,.0f}")


if __name__ == "__main__":
    main()
