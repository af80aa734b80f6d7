"""Batches and records in aiokafka's terms: made, marked with their owner, and read."""

from collections.abc import Iterable

from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from cordboard.log.kafka_client import BATCH_BYTES, Epoch, topic_name
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import Entry, Record
from schemas.topics import Topic

_MAGIC = 2
_UNCOMPRESSED, _COMPRESSED_FROM_BYTES = 0, 16_384
"""Smaller batches are not worth it: with 32 connections packing them was 4 of the 75 us of a webhook, and each of them
is unpacked by the broker and by every reader."""
_CODECS = {
    None: _UNCOMPRESSED,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "snappy": DefaultRecordBatch.CODEC_SNAPPY,
    "lz4": DefaultRecordBatch.CODEC_LZ4,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}


class Batch:
    """Records that are written to one partition together, or not at all."""

    __slots__ = ("_builder", "count")

    def __init__(self, compression: str | None) -> None:
        self._builder = DefaultRecordBatchBuilder(_MAGIC, _CODECS[compression], 0, -1, -1, 0, BATCH_BYTES)
        self.count = 0
        """How many records are in it."""

    def append(self, entry: Entry, at_ms: int) -> bool:
        """Add a record; False when the batch is full. `at_ms`, since the epoch, becomes the record's timestamp."""
        headers: list[tuple[str, bytes | None]] = list(entry.headers)
        if self._builder.append(self.count, at_ms, key=entry.key, value=entry.value, headers=headers) is None:
            return False
        self.count += 1
        return True

    def mark(self, epoch: Epoch, base_sequence: int) -> None:
        """Have the batch be accepted once, in its place, and only while `epoch` is the partition's latest (KIP-98)."""
        self._builder.set_producer_state(epoch.producer_id, epoch.epoch, base_sequence)

    def build(self) -> bytes:
        """Its bytes. To be called once, at the end."""
        return bytes(self._builder.build())


def new_batch(settings: KafkaSettings, entries: Iterable[Entry]) -> Batch:
    """An empty batch for `entries`, or as many of them as fit; compressed if there is something to gain."""
    size = 0
    for entry in entries:
        size += len(entry.value or b"")
        if size >= _COMPRESSED_FROM_BYTES:
            return Batch(settings.compression)
    return Batch(None)


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
