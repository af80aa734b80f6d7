"""Owning a partition on Kafka: producer epoch, claim record, replay up to the claim (reliability.md 2.3, 7.2).

One epoch for each claim; the batches travel with everybody else's. After the first thing that goes wrong a claim is of
no more use, and says so: whether a batch was written is answered by the log, to the next claim.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import structlog
from aiokafka import AIOKafkaConsumer

from cordboard.errors import AppendFailedError, FencedError, LogError, LogUnavailableError
from cordboard.log.claims import StandDowns, claim_entry, require_appended
from cordboard.log.kafka_client import (
    FENCED_ERRORS,
    KAFKA_ERRORS,
    Epoch,
    explain,
    make_reader,
    raise_epoch,
    stop_consumer,
    topic_name,
    within,
)
from cordboard.log.kafka_producer import SharedProducer
from cordboard.log.kafka_records import Batch, new_batch, place, to_record
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import Entry, Member, Record
from schemas.topics import Topic

_REPLAY_RECORDS = 2000
_REPLAY_WAIT_MS = 500
_MAX_SEQUENCE = 0x7FFFFFFF

_log = structlog.get_logger(__name__)


async def claim(
    settings: KafkaSettings,
    producer: SharedProducer,
    topic: Topic,
    partition: int,
    owner: str,
    *,
    member: Member | None,
    stand_downs: StandDowns,
) -> "KafkaFenced":
    """Raise the epoch of the partition's producer id, then write the claim with it.

    The epoch alone does not fence: the claim record does, for its own partition (reliability.md 7.2).
    """
    name = topic_name(settings, topic)
    doing = f"claim of {name}[{partition}]"
    entry = claim_entry(partition, owner, member, time.time_ns() // 1_000_000)
    try:
        async with within(settings.times.claim_s, doing):
            epoch = await raise_epoch(settings, f"{settings.prefix}cordboard.{topic.value}.{partition}")
            writer = _Writer(settings, producer, name, partition, epoch)
            token = await writer.write((entry,))
    except LogUnavailableError as error:
        if isinstance(error.__cause__, FENCED_ERRORS):
            raise FencedError(f"{doing}: somebody else claimed at the same time") from error
        producer.note(error)
        raise
    if token < 0:  # acknowledged as a repeat: it is in the log, but where is not known
        raise LogUnavailableError(f"{doing}: acknowledged without an offset")
    return KafkaFenced(settings, topic, writer, token=token, member=member, stand_downs=stand_downs)


class _Writer:
    """Appends to one partition with one epoch, and numbers its records."""

    def __init__(
        self, settings: KafkaSettings, producer: SharedProducer, name: str, partition: int, epoch: Epoch
    ) -> None:
        self.name = name
        self._settings = settings
        self.partition = partition
        self._producer = producer
        self._epoch = epoch
        self._sequence = 0

    async def write(self, entries: Sequence[Entry]) -> int:
        """The offset of the first record. Once it has failed, nothing more may be written with this epoch."""
        sender = await self._producer.connected()
        offsets = []
        for batch in _batches(self._settings, entries):
            batch.mark(self._epoch, self._sequence)
            offsets.append(await sender.send(self.name, self.partition, batch.build))
            self._sequence = (self._sequence + batch.count) & _MAX_SEQUENCE
        self._producer.note(None)
        return offsets[0] if offsets else -1

    def failed(self, error: LogError) -> None:
        """Have the producer know that it may be its fault."""
        self._producer.note(error)


class KafkaFenced:
    """`FencedPartition` on Kafka."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: Topic,
        writer: _Writer,
        *,
        token: int,
        member: Member | None,
        stand_downs: StandDowns,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._partition = writer.partition
        self._writer = writer
        self._token = token
        self._member = member
        self._stand_downs = stand_downs
        self._doing = f"append to {writer.name}[{writer.partition}]"
        self._dead: AppendFailedError | None = None
        self._order = asyncio.Lock()
        self.is_closed = False

    @property
    def token(self) -> int:
        """See `FencedPartition`."""
        return self._token

    async def replay(self) -> AsyncIterator[Sequence[Record]]:
        """See `FencedPartition`."""
        doing = f"replay of {self._writer.name}[{self._partition}]"
        consumer = make_reader(self._settings)
        where = place(self._settings, self._topic, self._partition)
        try:
            async with within(self._settings.times.connect_s, doing):
                await consumer.start()
                consumer.assign([where])
                start = (await consumer.beginning_offsets([where]))[where]
                consumer.seek(where, start)
            while (batch := await self._read(consumer, doing)) is not None:
                if batch:
                    yield batch
        finally:
            await stop_consumer(consumer, self._settings.times.close_s)

    async def append(self, entries: Sequence[Entry]) -> None:
        """See `FencedPartition`."""
        require_appended(self._topic, self._partition, entries)
        async with self._order:
            if self._dead is not None:
                raise self._dead
            try:
                async with asyncio.timeout(self._settings.times.append_s):
                    await self._writer.write(entries)
            except FENCED_ERRORS as error:
                self._dead = FencedError(f"{self._doing}: claimed by another owner ({error!r})")
                raise self._dead from error
            except (*KAFKA_ERRORS, LogUnavailableError) as error:
                unavailable = explain(error, self._doing)
                self._writer.failed(unavailable)
                self._dead = AppendFailedError(str(unavailable))
                raise self._dead from error
            except asyncio.CancelledError:
                self._dead = AppendFailedError(f"{self._doing}: cancelled half-way")
                raise

    async def close(self) -> None:
        """See `FencedPartition`."""
        self.is_closed = True
        self._dead = self._dead or AppendFailedError(f"{self._doing}: the writer is closed")

    async def _read(self, consumer: AIOKafkaConsumer, doing: str) -> list[Record] | None:
        """The next records before the claim; None when there are no more. Raises when nothing moves."""
        where = place(self._settings, self._topic, self._partition)
        async with within(self._settings.times.stall_s, doing):
            while await consumer.position(where) <= self._token:
                found = await consumer.getmany(where, timeout_ms=_REPLAY_WAIT_MS, max_records=_REPLAY_RECORDS)
                if found:
                    records = [to_record(self._topic, r) for r in found[where] if r.offset < self._token]
                    return [r for r in records if not self._stand_downs.is_claim(r, self._member)]
        return None


def _batches(settings: KafkaSettings, entries: Sequence[Entry]) -> list[Batch]:
    """Entries in as few batches of at most 512 KiB as they fit in, in order."""
    at_ms = time.time_ns() // 1_000_000
    batches: list[Batch] = []
    for entry in entries:
        if batches and batches[-1].append(entry, at_ms):
            continue
        batch = new_batch(settings, entries)
        batch.append(entry, at_ms)
        batches.append(batch)
    return batches
