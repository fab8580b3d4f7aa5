"""Other programs read bars and ticks, and write ticks: by Confluent's own serializers, which know nothing of ours."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from tests.support_engine import HOUR, MINUTE, SECOND, START, Market, bars, columns, moment, trade
from tests.support_kafka_log import open_kafka_log

from ashioto import keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from confluent_kafka import Message
    from tests.support_engine import Row

QUERY = bars("1m", "1d")
PARTITIONS = 4
HOURS = [(symbol, 0, HOUR) for symbol in "ABC"]
THEIRS = {
    "type": "record",
    "name": "Trade",
    "namespace": "com.example",
    "fields": [
        {"name": "exchange_code", "type": "int"},
        {"name": "symbol", "type": "string"},
        {"name": "venue", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}},
        {"name": "size", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 1}},
        {"name": "lots", "type": ["long", "null"]},
        {"name": "weight", "type": "double"},
    ],
}
"""A schema that somebody else has made: other order, a field more, nothing of it null but one."""


@pytest.fixture
def client(registry: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry}) as client:
        yield client


@pytest.fixture
def market(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[Market]:
    with open_kafka_log(kafka, registry, unique, tmp_path) as log:
        yield Market.of(QUERY, hours=HOURS, partitions=PARTITIONS, log=log)


def received(kafka: str, topic: str, client: SchemaRegistryClient) -> list[tuple[Message, Row]]:
    """Return all records of a topic as another program gets them."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": topic, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    read: Any = AvroDeserializer(client)
    found, ended = [], 0
    try:
        while ended < PARTITIONS:
            message = consumer.poll(30)
            assert message is not None
            if message.error() is not None:
                ended += 1
            else:
                found.append((message, read(message.value(), SerializationContext(topic, MessageField.VALUE))))
    finally:
        consumer.close()
    return found


def produce(kafka: str, topic: str, write: AvroSerializer, rows: list[Row]) -> None:
    """Send ticks as another program does."""
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    for row in rows:
        value = write(row, SerializationContext(topic, MessageField.VALUE))
        producer.produce(topic, value, keys.encode([row["venue"], row["symbol"]]))
    assert producer.flush(30) == 0


def ticks() -> list[Row]:
    return [
        trade(symbol, minute * MINUTE + n * SECOND, Decimal(100 + 7 * n + minute) / 4, size=Decimal(n) / 2)
        for minute in (0, 1, 3)
        for n, symbol in enumerate("ABCABC")
    ]


def same_as_ours(market: Market) -> None:
    """Hold the bars against those of the same ticks, sent by ourselves to another log."""
    alone = Market.of(QUERY, hours=HOURS, partitions=PARTITIONS)
    alone.send(*ticks())
    for one in (market, alone):
        one.sent = ticks()
        one.at(5 * MINUTE)
    names = ("symbol", "bucket_start", "open", "high", "low", "close", "volume", "ticks", "final", "synthetic")
    for kind in ("1m", "1d"):
        wanted = columns(alone.bars(kind), *names)
        assert wanted
        assert columns(market.bars(kind), *names) == wanted
    assert market.dead() == []


def test_ticks_and_bars_read_by_another_program_have_sensible_values(
    market: Market, kafka: str, client: SchemaRegistryClient, unique: str
) -> None:
    market.send(*ticks())
    market.at(5 * MINUTE)
    found = received(kafka, f"{unique}.t.trade", client)
    assert sorted((row["symbol"], row["at"], row["price"], row["size"], row["lots"]) for _, row in found) == sorted(
        (row["symbol"], row["at"], row["price"], row["size"], row["lots"]) for row in ticks()
    )
    message, row = found[0]
    assert message.key() == f"1\x1fV\x1f{row['symbol']}".encode()
    assert message.timestamp()[1] == round(row["at"].timestamp() * 1000)

    newest = {message.key(): row for message, row in received(kafka, f"{unique}.t.trade_bars_1m", client)}
    assert len(newest) == len(market.bars("1m"))
    bar = newest[f"1\x1fV\x1fA\x1f{START + MINUTE}".encode()]
    mine = [Decimal(100 + 7 * n + 1) / 4 for n in (0, 3)]
    assert {name: bar[name] for name in ("open", "high", "low", "close")} == {
        "open": mine[0], "high": mine[1], "low": mine[0], "close": mine[1],
    }  # fmt: skip
    assert (bar["volume"], bar["ticks"], bar["final"], bar["synthetic"]) == (Decimal("1.5"), 2, True, False)
    assert (bar["bucket_start"], bar["bucket_end"]) == (moment(START + MINUTE), moment(START + 2 * MINUTE))
    assert (bar["market_date"], bar["origin"]) == (date(2024, 3, 11), "stream")
    assert bar["first_at"] == datetime(2024, 3, 11, tzinfo=UTC) + timedelta(minutes=1)
    filled = newest[f"1\x1fV\x1fA\x1f{START + 2 * MINUTE}".encode()]
    assert (filled["synthetic"], filled["close"], filled["ticks"], filled["first_at"]) == (True, mine[1], 0, None)


def test_ticks_of_a_producer_that_takes_the_schema_of_the_topic(
    market: Market, kafka: str, client: SchemaRegistryClient, unique: str
) -> None:
    latest = client.get_latest_version(f"{unique}.t.trade-value").schema
    write = AvroSerializer(client, latest, conf={"auto.register.schemas": False, "use.latest.version": True})
    produce(kafka, f"{unique}.t.trade", write, ticks())
    same_as_ours(market)


def test_ticks_of_a_producer_that_has_a_schema_of_its_own(
    market: Market, kafka: str, client: SchemaRegistryClient, unique: str
) -> None:
    write = AvroSerializer(
        client, json.dumps(THEIRS), conf={"subject.name.strategy": lambda *_: f"{unique}.theirs"}
    )  # fmt: skip
    produce(kafka, f"{unique}.t.trade", write, [row | {"exchange_code": 7} for row in ticks()])
    same_as_ours(market)
