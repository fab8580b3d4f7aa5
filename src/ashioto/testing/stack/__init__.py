"""A real Kafka broker, a cluster of three and a schema registry, for tests, the demo and benchmarks; no Docker.

>>> from ashioto.testing.stack import Broker
>>> Broker.__enter__.__doc__.splitlines()[0]
'Start it.'
"""

from __future__ import annotations

from ashioto.testing.stack.broker import Broker
from ashioto.testing.stack.cluster import Cluster
from ashioto.testing.stack.java import Java, find_java
from ashioto.testing.stack.registry import Registry
from ashioto.testing.stack.shared import shared

__all__ = ["Broker", "Cluster", "Java", "Registry", "find_java", "shared"]
