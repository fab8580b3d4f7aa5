"""Reads the items of Avro arrays into columns, once `avrokernel` has found the records sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.schema.avrokernel import compiled, read_count, read_item, read_long

if TYPE_CHECKING:
    from ashioto.schema.avrokernel import Bytes, Ints


@compiled
def list_items(
    data: Bytes, places: Ints, stops: Ints, counts: Ints, branches: int, null: int, starts: Ints, sizes: Ints
) -> None:
    """Say where the items of arrays are, which `avrokernel.read_texts` has read; a size of -1 is a null."""
    item = 0
    for row in range(places.shape[0]):
        at, left, end = places[row], 0, item + counts[row]
        while item < end:
            if left == 0:
                left, at = read_count(data, at, stops[row])
            sizes[item], at = read_item(data, at, stops[row], branches, null)
            starts[item] = at
            at += max(sizes[item], 0)
            left -= 1
            item += 1


@compiled
def list_rows(data: Bytes, places: Ints, stops: Ints, counts: Ints, out: Ints) -> None:
    """Copy the items of arrays of records of numbers, which `avrokernel.read_rows` has read.

    Args:
        data: The bytes.
        places: Where each array begins; shape (n,).
        stops: Where each record ends; shape (n,).
        counts: How many items each array has; shape (n,).
        out: Gets the numbers; shape (numbers of an item, all items).
    """
    item = 0
    for row in range(places.shape[0]):
        at, left, end = places[row], 0, item + counts[row]
        while item < end:
            if left == 0:
                left, at = read_count(data, at, stops[row])
            for number in range(out.shape[0]):
                out[number, item], at = read_long(data, at, stops[row])
            left -= 1
            item += 1
