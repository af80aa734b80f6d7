"""How records come to a member: by its fetches, and straight from this process when it has written them itself.

What this process has published and Kafka has acknowledged need not be fetched (decision 025). It is handed over only
where it follows without a gap on what came before; everything else, and whatever others write, is left to the fetch.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError
from aiokafka.structs import ConsumerRecord

from cordboard.log.kafka_buffer import Buffer
from cordboard.log.kafka_client import move_to
from cordboard.log.kafka_pace import FetchPace
from cordboard.log.kafka_progress import Progress
from cordboard.log.kafka_publisher import Publisher
from cordboard.log.kafka_records import place, to_record
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import Record
from schemas.topics import Topic


class Arrivals:
    """What has come for a member, kept in `buffer` until it is polled for."""

    def __init__(self, settings: KafkaSettings, topic: Topic, publisher: Publisher, progress: Progress) -> None:
        self.buffer = Buffer()
        self._settings = settings
        self._topic = topic
        self._publisher = publisher
        self._progress = progress
        self._consumer: AIOKafkaConsumer | None = None
        self._pace: FetchPace | None = None

    def begin(self, consumer: AIOKafkaConsumer) -> None:
        """Records come by this consumer from now on. It has been started."""
        self._consumer = consumer
        self._pace = FetchPace(consumer, asyncio.get_running_loop().time)

    def end(self) -> None:
        """Nothing comes any more."""
        self._consumer = self._pace = None

    def fetched(
        self, found: Mapping[TopicPartition, Sequence["ConsumerRecord[bytes, bytes]"]], held: Collection[int]
    ) -> None:
        """Take what a fetch has brought of the partitions that are held."""
        by_others = False
        for where, batch in found.items():
            records = [to_record(self._topic, r) for r in batch]
            # Of a batch of ours that is on its way Kafka may tell by the fetch first.
            by_others = by_others or not self._publisher.is_publishing(self._topic, where.partition, records)
            if where.partition in held:
                self.buffer.add(where.partition, records)
        if found:
            self._progress.note_fetched(where.partition for where in found)
        if self._pace is not None:
            self._pace.fetched(by_others=by_others)

    def published(self, partition: int, records: Sequence[Record]) -> bool:
        """Take what this process has written and Kafka has acknowledged; whether it was the very next."""
        if self._consumer is None or self._pace is None or not self.buffer.follows(partition, records):
            return False
        try:
            move_to(self._consumer, place(self._settings, self._topic, partition), records[-1].offset + 1)
        except IllegalStateError:
            return False  # the group is about to take the partition away
        self.buffer.add(partition, records)
        self._progress.note((partition,))
        self._pace.own()
        return True
