"""Reading Kafka outside of groups: chosen partitions from chosen offsets, and where partitions begin and end.

A reader knows its positions itself, so that it can lay a consumer aside that has failed or fallen silent (T9) and go on
with a new one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OffsetOutOfRangeError

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.kafka_client import count_partitions, make_reader, stop_consumer, topic_name, within
from cordboard.log.kafka_records import place, to_record
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import Bounds, PositionLostError, Record
from schemas.topics import Topic

_log = structlog.get_logger(__name__)


class Asker:
    """Asks where partitions begin and end, over one connection that is made when needed and anew when it fails."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._asking = asyncio.Lock()

    async def bounds(self, topic: Topic) -> dict[int, Bounds]:
        """By partition. Raises `LogUnavailableError`, `LogError` when the topic has another number of partitions."""
        doing = f"offsets of {topic_name(self._settings, topic)}"
        async with self._asking:
            try:
                async with within(self._settings.times.ask_s, doing):
                    return await self._ask(topic)
            except LogUnavailableError:
                await self._drop()
                raise

    async def close(self) -> None:
        """Close the connection."""
        async with self._asking:
            await self._drop()

    async def _ask(self, topic: Topic) -> dict[int, Bounds]:
        if self._consumer is None:
            self._consumer = make_reader(self._settings)
            await self._consumer.start()
        name = topic_name(self._settings, topic)
        require_partitions(self._settings, topic, await count_partitions(self._consumer, name))
        places = [place(self._settings, topic, p) for p in range(self._settings.partitions)]
        first, end = await asyncio.gather(self._consumer.beginning_offsets(places), self._consumer.end_offsets(places))
        return {tp.partition: Bounds(earliest=first[tp], end=end[tp]) for tp in places}

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer, self._settings.times.close_s)


def require_partitions(settings: KafkaSettings, topic: Topic, found: int) -> None:
    """Refuse a topic with another number of partitions than we compute with: calls would change their place."""
    if found != settings.partitions:
        raise LogError(
            f"{topic_name(settings, topic)} has {found} partitions and CORDBOARD_PARTITIONS is {settings.partitions}; "
            "the number is fixed for life. Set it to what the topics have"
        )


class KafkaReader:
    """`Reader` and its context on Kafka."""

    def __init__(self, settings: KafkaSettings, asker: Asker, topic: Topic, starts: Mapping[int, int]) -> None:
        self._settings = settings
        self._asker = asker
        self._topic = topic
        self._positions = dict(starts)
        self._consumer: AIOKafkaConsumer | None = None
        self._moved_at = 0.0

    async def poll(self, timeout_s: float, max_records: int = 500) -> Sequence[Record]:
        """See `Reader`. Raises `LogUnavailableError`; the next poll tries again from the same positions."""
        doing = f"reading {topic_name(self._settings, self._topic)}"
        try:
            consumer = self._consumer or await self._open()
            async with within(timeout_s + self._settings.times.ask_s, doing):
                found = await consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        except LogUnavailableError as error:
            if isinstance(error.__cause__, OffsetOutOfRangeError):
                self._raise_lost(error.__cause__)
            await self._drop()
            raise
        records = [to_record(self._topic, r) for batch in found.values() for r in batch]
        if records:
            self._moved_at = asyncio.get_running_loop().time()
            self._positions.update({r.partition: r.offset + 1 for r in records})
        else:
            await self._watch()
        return records

    def _raise_lost(self, error: OffsetOutOfRangeError) -> None:
        for where, offset in error.args[0].items():
            raise PositionLostError(self._topic, where.partition, offset, "deleted before it was read")

    async def _open(self) -> AIOKafkaConsumer:
        bounds = await self._asker.bounds(self._topic)
        consumer = make_reader(self._settings)
        doing = f"reading {topic_name(self._settings, self._topic)}"
        try:
            async with within(self._settings.times.connect_s, doing):
                await consumer.start()
                consumer.assign([place(self._settings, self._topic, p) for p in self._positions])
                for partition, position in self._positions.items():
                    start = max(position, bounds[partition].earliest)
                    consumer.seek(place(self._settings, self._topic, partition), start)
        except BaseException:
            await stop_consumer(consumer, self._settings.times.close_s)
            raise
        self._consumer = consumer
        self._moved_at = asyncio.get_running_loop().time()
        return consumer

    async def _watch(self) -> None:
        """A consumer that gives nothing although there is something is laid aside (T9)."""
        now = asyncio.get_running_loop().time()
        if now - self._moved_at < self._settings.times.stall_s or self._consumer is None:
            return
        self._moved_at = now
        bounds = await self._asker.bounds(self._topic)
        for partition in self._positions:
            position = await self._consumer.position(place(self._settings, self._topic, partition))
            if position < bounds[partition].end:
                _log.error("kafka.reader_stalled", topic=self._topic.value, partition=partition, position=position)
                await self._drop()
                return

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer, self._settings.times.close_s)

    async def __aenter__(self) -> Self:
        """Connect at the first poll, so that a reader can be made while Kafka is away."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drop()
