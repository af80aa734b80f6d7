"""Batches and records in aiokafka's terms: made, marked with their owner, sent, and read."""

from collections.abc import Iterable

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from cordboard.log.kafka_client import BATCH_BYTES, Epoch, topic_name
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import Entry, Record
from schemas.topics import Topic

_UNCOMPRESSED, _COMPRESSED_FROM_BYTES = 0, 4096
"""Smaller batches are not worth it: at 200 calls a second packing and unpacking them was an eighth of all CPU."""


def new_batch(producer: AIOKafkaProducer, entries: Iterable[Entry]) -> BatchBuilder:
    """An empty batch for `entries`, or as many of them as fit; compressed if there is something to gain."""
    size = 0
    for entry in entries:
        size += len(entry.value or b"")
        if size >= _COMPRESSED_FROM_BYTES:
            compressed: BatchBuilder = producer.create_batch()
            return compressed
    return BatchBuilder(BATCH_BYTES, _UNCOMPRESSED)


def fill(
    batch: BatchBuilder, key: bytes, value: bytes | None, headers: Iterable[tuple[str, bytes]], at_ms: int
) -> bool:
    """Add a record to a batch; False when it is full."""
    return batch.append(timestamp=at_ms, key=key, value=value, headers=list(headers)) is not None


def set_producer_state(batch: BatchBuilder, epoch: Epoch, base_sequence: int) -> None:
    """Have a batch be accepted once, in its place, and only while `epoch` is the partition's latest (KIP-98)."""
    batch._set_producer_state(epoch.producer_id, epoch.epoch, base_sequence)


async def send_batch(producer: AIOKafkaProducer, batch: BatchBuilder, name: str, partition: int) -> int:
    """The offset of the first record once all in-sync replicas have the batch, or -1 for a repeat of a forgotten one.

    Raises what aiokafka raises.
    """
    acknowledged = await (await producer.send_batch(batch, name, partition=partition))
    return int(acknowledged.offset)


def to_record(topic: Topic, found: object) -> Record:
    """A record as the port has it. `found` is a `ConsumerRecord`."""
    return Record(
        topic,
        found.partition,  # type: ignore[attr-defined]
        found.offset,  # type: ignore[attr-defined]
        found.timestamp,  # type: ignore[attr-defined]
        found.key,  # type: ignore[attr-defined]
        found.value,  # type: ignore[attr-defined]
        found.headers,  # type: ignore[attr-defined]
    )


def place(settings: KafkaSettings, topic: Topic, partition: int) -> TopicPartition:
    """A partition in aiokafka's terms."""
    return TopicPartition(topic_name(settings, topic), partition)
