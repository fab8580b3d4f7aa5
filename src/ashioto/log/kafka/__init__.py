"""The log on Apache Kafka, with the schemas of its values in a Confluent-compatible registry."""

from ashioto.log.kafka.log import KafkaLog
from ashioto.log.kafka.options import KafkaOptions

__all__ = ["KafkaLog", "KafkaOptions"]
