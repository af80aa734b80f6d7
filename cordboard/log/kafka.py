"""The log on Kafka: what Cordboard grows into. Groups spread partitions over processes and machines.

This is the whole of the adapter seen from outside; its parts are `kafka_*.py`, and only they import aiokafka. Nothing
connects before it is used, and nothing waits without a deadline. Without Kafka: `sqlite.py`.
"""

import asyncio
from collections.abc import Mapping, Sequence

from cordboard.errors import LogError, SettingsError
from cordboard.log.claims import StandDowns, require_published
from cordboard.log.kafka_client import require_c_extension
from cordboard.log.kafka_fenced import KafkaFenced, claim
from cordboard.log.kafka_publisher import Publisher
from cordboard.log.kafka_reader import Asker, KafkaReader
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.kafka_subscription import KafkaSubscription
from cordboard.log.kafka_topics import ensure_topics
from cordboard.log.port import AssignmentListener, Bounds, Entry, Member, TopicCheck
from schemas.topics import POLICIES, Topic


class KafkaLog:
    """`Log` on Kafka. To be made inside a running loop, and used in that one.

    Raises `SettingsError` for settings that cannot work and `LogError` when aiokafka lacks its C extension.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        require_c_extension()
        if not settings.bootstrap or settings.partitions < 1:
            raise SettingsError("CORDBOARD_LOG=kafka: needs HOST:PORT, and CORDBOARD_PARTITIONS at least 1")
        settings.security.client_options()  # what is wrong with them is said now, not at the first connection
        self._settings = settings
        self._publisher = Publisher(settings)
        self._producer = self._publisher.producer
        self._asker = Asker(settings)
        self._stand_downs = StandDowns()
        self._writers: set[KafkaFenced] = set()
        """Those that have not been closed: whoever forgets to is helped at the end."""

    @property
    def partitions(self) -> int:
        """See `Log`."""
        return self._settings.partitions

    @property
    def fails_as_one(self) -> bool:
        """See `Log`."""
        return False

    async def ensure_topics(self) -> Sequence[TopicCheck]:
        """See `Log`."""
        return await ensure_topics(self._settings)

    def publish(self, topic: Topic, entries: Sequence[Entry]) -> "asyncio.Future[None]":
        """See `Log`. Durable means: taken by all in-sync replicas. Fails at once while Kafka is known to be away."""
        require_published(topic, entries, self._settings.partitions)
        return self._publisher.publish(topic, entries)

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """See `Log`."""
        return await self._asker.bounds(topic)

    def reader(self, topic: Topic, starts: Mapping[int, int]) -> KafkaReader:
        """See `Log`."""
        return KafkaReader(self._settings, self._asker, topic, starts)

    def subscribe(self, group: str, topic: Topic, listener: AssignmentListener) -> KafkaSubscription:
        """See `Log`. The group's name in Kafka carries the topics' prefix."""
        return KafkaSubscription(self._settings, self._asker, group, topic, listener, self._publisher)

    async def claim(self, topic: Topic, partition: int, owner: str, member: Member | None = None) -> KafkaFenced:
        """See `Log`."""
        if not POLICIES[topic].fenced:
            raise LogError(f"{topic.value} is not a fenced topic: anybody may publish to it")
        writer = await claim(
            self._settings, self._producer, topic, partition, owner, member=member, stand_downs=self._stand_downs
        )
        self._writers = {w for w in self._writers if not w.is_closed} | {writer}
        return writer

    async def check(self) -> str | None:
        """See `Log`: whether the brokers answer for the inbox."""
        if self._producer.trouble is not None:
            return self._producer.trouble
        try:
            await self._asker.bounds(Topic.INBOX)
        except LogError as error:
            return str(error)
        return None

    async def aclose(self) -> None:
        """See `Log`."""
        await asyncio.gather(self._publisher.close(), self._asker.close(), *(w.close() for w in self._writers))
