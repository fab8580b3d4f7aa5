"""A real Kafka broker, a cluster of three, a schema registry and Flink, for tests, demos and benchmarks; no Docker.

>>> from ashioto.testing.stack import Broker
>>> Broker.__enter__.__doc__.splitlines()[0]
'Start it.'
"""

from __future__ import annotations

from ashioto.testing.stack.broker import Broker
from ashioto.testing.stack.cluster import Cluster
from ashioto.testing.stack.flink import Flink
from ashioto.testing.stack.flink_settings import FlinkPlace
from ashioto.testing.stack.java import Java, find_java
from ashioto.testing.stack.registry import Registry
from ashioto.testing.stack.shared import shared

__all__ = ["Broker", "Cluster", "Flink", "FlinkPlace", "Java", "Registry", "find_java", "shared"]
