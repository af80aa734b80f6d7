"""Whether a member's consumer still brings what there is: one that looks alive may have fallen silent (T9)."""

import asyncio
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer

from cordboard.log.kafka_reader import Asker
from cordboard.log.kafka_records import place
from cordboard.log.kafka_settings import KafkaSettings
from schemas.topics import Topic

_STALLS_UNTIL_EXIT = 2


class Progress:
    """When each partition last brought records, or began to be read; and how often a consumer was found stuck."""

    def __init__(self, settings: KafkaSettings, asker: Asker, topic: Topic) -> None:
        self._settings = settings
        self._asker = asker
        self._topic = topic
        self._moved: dict[int, float] = {}
        self.stalls = 0
        """How many consumers in a row were found stuck."""

    def note(self, partitions: Iterable[int]) -> None:
        """They have moved, or begin to be read."""
        self._moved.update(dict.fromkeys(partitions, asyncio.get_running_loop().time()))

    def note_fetched(self, partitions: Iterable[int]) -> None:
        """The consumer has brought something of them: it is at work."""
        self.note(partitions)
        self.stalls = 0

    def forget(self) -> None:
        """Nothing is read any more."""
        self._moved.clear()

    def count_stall(self) -> bool:
        """One more consumer was stuck; whether that is too many in a row for this process to go on."""
        self.stalls += 1
        return self.stalls >= _STALLS_UNTIL_EXIT

    async def find_stalled(self, consumer: AIOKafkaConsumer, reading: Callable[[], set[int]]) -> int | None:
        """A partition that has records which the consumer does not bring, although it should."""
        now = asyncio.get_running_loop().time()
        since = now - self._settings.times.stall_s
        silent = {p for p in reading() if self._moved.get(p, now) <= since}
        if not silent:
            return None
        self._moved.update(dict.fromkeys(silent, now))  # looked at; the next look is a stall later
        positions = {p: await consumer.position(place(self._settings, self._topic, p)) for p in silent}
        bounds = await self._asker.bounds(self._topic)
        for partition in silent & reading():
            if positions[partition] < bounds[partition].end and self._moved.get(partition) == now:
                return partition
        return None
