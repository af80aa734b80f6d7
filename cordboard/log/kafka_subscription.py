"""One member of a Kafka group: joins, hands records over, and replaces its consumer when that fails or falls silent.

The listener that aiokafka calls only pauses, seeks and schedules (T7, T8). Records are taken from the consumer and put
into our buffer in one step of the loop, so that a seek or a revocation in between can throw them away.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.kafka_arrivals import Arrivals
from cordboard.log.kafka_client import (
    RebalanceListener,
    generation_of,
    is_rejoining,
    make_member,
    on_heartbeat,
    remember_generation,
    request_rejoin,
    retry_delays,
    stop_consumer,
    topic_name,
    within,
)
from cordboard.log.kafka_progress import Progress
from cordboard.log.kafka_publisher import Publisher
from cordboard.log.kafka_reader import Asker, require_partitions
from cordboard.log.kafka_records import place
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.local_reading import require_sought
from cordboard.log.port import AssignmentListener, Member, PositionLostError, Record
from schemas.topics import Topic

_FETCH_MS = 500
_FETCH_RECORDS = 500

_log = structlog.get_logger(__name__)


class KafkaSubscription:
    """`Subscription` and its context on Kafka."""

    def __init__(
        self,
        settings: KafkaSettings,
        asker: Asker,
        group: str,
        topic: Topic,
        listener: AssignmentListener,
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._asker = asker
        self._group = group
        self._kafka_group = f"{settings.prefix}{group}"
        self._topic = topic
        self._listener = listener
        self._publisher = publisher
        self._bound = _log.bind(group=group, topic=topic.value)
        self._consumer: AIOKafkaConsumer | None = None
        self._held: set[int] = set()
        self._sought: set[int] = set()
        self._paused: set[int] = set()
        self._errors: list[LogError] = []
        self._news = asyncio.Event()
        self._broken: asyncio.Future[str] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._beat_at = 0.0
        self._progress = Progress(settings, asker, topic)
        self._arrivals = Arrivals(settings, topic, publisher, self._progress)
        self._joined = False
        self._revoking = asyncio.Lock()

    async def poll(self, timeout_s: float, max_records: int = 500) -> Mapping[int, Sequence[Record]]:
        """See `Subscription`. Raises `LogUnavailableError` with what has just gone wrong; polling on is right."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            self._end_fetch()
            self._raise_errors()
            if found := self._arrivals.buffer.take(self._paused, max_records):
                return found
            self._news.clear()
            if self._fetching is None and self._consumer is not None and self._joined:
                self._fetching = asyncio.create_task(self._fetch(self._consumer))
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                return {}

    def seek(self, partition: int, offset: int) -> None:
        """See `Subscription`."""
        if partition in self._held and self._consumer is not None:
            self._consumer.seek(self._place(partition), offset)
            self._arrivals.buffer.seek(partition, offset)
            self._sought.add(partition)

    def pause(self, partitions: Sequence[int]) -> None:
        """See `Subscription`."""
        held = self._held.intersection(partitions)
        self._paused |= held
        if self._consumer is not None:
            self._consumer.pause(*map(self._place, held))

    def resume(self, partitions: Sequence[int]) -> None:
        """See `Subscription`."""
        held = self._held.intersection(partitions)
        require_sought(self._topic, sorted(held - self._sought))
        self._progress.note(held & self._paused)
        self._paused -= held
        if self._consumer is not None:
            self._consumer.resume(*map(self._place, held))
        self._news.set()

    async def committed(self, partition: int) -> int | None:
        """See `Subscription`."""
        consumer = self._require_consumer()
        async with within(self._settings.times.ask_s, f"committed offset of {self._kafka_group}"):
            offset: int | None = await consumer.committed(self._place(partition))
        return offset

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """See `Subscription`."""
        consumer = self._require_consumer()
        async with within(self._settings.times.ask_s, f"commit of {self._kafka_group}"):
            await consumer.commit({self._place(p): offset for p, offset in offsets.items()})

    def may_claim(self, partition: int) -> bool:
        """See `Subscription`."""
        if partition not in self._held or self._consumer is None or is_rejoining(self._consumer):
            return False
        return asyncio.get_running_loop().time() - self._beat_at < self._settings.times.session_s

    def member(self) -> Member:
        """See `Subscription`."""
        member_id, generation = generation_of(self._consumer) if self._consumer is not None else ("", -1)
        return Member(group=self._group, member_id=member_id, generation=generation)

    def rejoin(self) -> None:
        """See `Subscription`."""
        if self._consumer is not None:
            request_rejoin(self._consumer)

    # Called by aiokafka's coordinator, by way of `RebalanceListener`

    async def revoked(self) -> None:
        """Everything is revoked: Kafka's classic protocol is eager."""
        lost = sorted(self._held)
        self._held.clear()
        self._sought.clear()
        self._paused.clear()
        self._arrivals.buffer.clear()
        self._progress.forget()
        async with self._revoking:  # whoever comes second waits until the first has been let go of
            with self._told():
                if lost:
                    await self._listener.on_revoked(lost)

    async def assigned(self, places: Iterable[TopicPartition]) -> None:
        """Pause what was assigned, and give it a position so that nobody goes looking for one (T8, T11)."""
        if self._consumer is None:
            return
        remember_generation(self._consumer)
        for where in places:
            self._consumer.pause(where)
            self._consumer.seek(where, 0)
            self._held.add(where.partition)
        self._paused = set(self._held)
        self._beat()
        if self._held:
            with self._told():
                await self._listener.on_assigned(sorted(self._held))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What a listener raises would be swallowed by aiokafka: whoever polls gets it."""
        try:
            yield
        except Exception as error:
            self._bound.exception("kafka.listener_failed")
            self._report(LogError(f"group {self._kafka_group}: the listener of assignments failed: {error!r}"))
            raise

    # Keeping a consumer at work

    async def _serve(self) -> None:
        delays = retry_delays(self._settings)
        while True:
            self._broken = asyncio.get_running_loop().create_future()
            consumer = make_member(self._settings, self._kafka_group)
            try:
                await self._join(consumer)
                delays = retry_delays(self._settings)
                reason = await self._watch(consumer, self._broken)
                self._bound.error("kafka.consumer_replaced", reason=reason, stalls=self._progress.stalls)
            except LogError as error:
                self._report(error)
                self._bound.warning("kafka.group_unreachable", reason=str(error))
            finally:
                await self._lay_aside(consumer)
            await asyncio.sleep(next(delays))

    async def _join(self, consumer: AIOKafkaConsumer) -> None:
        doing = f"joining group {self._kafka_group}"
        name = topic_name(self._settings, self._topic)
        self._consumer = consumer
        consumer.subscribe([name], listener=RebalanceListener(self.revoked, self.assigned))
        async with within(self._settings.times.join_s, doing):
            await consumer.start()
        require_partitions(self._settings, self._topic, len(consumer.partitions_for_topic(name) or ()))
        on_heartbeat(consumer, self._beat)
        self._arrivals.begin(consumer)
        self._joined = True
        self._beat()
        self._news.set()

    async def _watch(self, consumer: AIOKafkaConsumer, broken: "asyncio.Future[str]") -> str:
        """Wait until the consumer is known to be of no more use, and say why."""
        while True:
            await asyncio.wait({broken}, timeout=self._settings.times.stall_s / 3)
            if broken.done():
                return broken.result()
            with contextlib.suppress(LogUnavailableError):  # no answer is no proof of a stall
                async with within(self._settings.times.ask_s * 2, "looking for a stall"):
                    partition = await self._progress.find_stalled(consumer, self._reading)
                if partition is not None:
                    return self._note_stall(partition)

    def _reading(self) -> set[int]:
        """Partitions of which records should come, and of which none wait to be polled for."""
        return (self._held & self._sought) - self._paused - self._arrivals.buffer.partitions()

    def _note_stall(self, partition: int) -> str:
        reason = f"partition {partition} has records and brings none"
        if self._progress.count_stall():
            self._report(
                LogError(f"group {self._kafka_group}: {reason}, with a new consumer too. The process should restart")
            )
        return reason

    async def _lay_aside(self, consumer: AIOKafkaConsumer) -> None:
        """Give up what is held, listener first (T14), then leave the group."""
        await self.revoked()
        self._consumer, self._joined = None, False
        self._arrivals.end()
        await stop_consumer(consumer, self._settings.times.close_s)
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
            self._fetching = None

    # Fetching

    async def _fetch(self, consumer: AIOKafkaConsumer) -> None:
        """One `getmany`; the buffer is filled in the same step of the loop in which it returns."""
        try:
            async with within(_FETCH_MS / 1000 + self._settings.times.rebalance_s * 2, f"reading {self._topic.value}"):
                found = await consumer.getmany(timeout_ms=_FETCH_MS, max_records=_FETCH_RECORDS)
        except LogError as error:
            self._failed(error)
        else:
            self._arrivals.fetched(found, self._held)
        finally:
            self._news.set()

    def _take_along(self, partition: int, records: Sequence[Record]) -> None:
        """Records that this very process has published, acknowledged a moment ago."""
        wanted = partition in self._sought and partition not in self._paused
        if wanted and self._arrivals.published(partition, records):
            self._news.set()

    def _end_fetch(self) -> None:
        """Forget a fetch that has ended. What it did not expect is raised to whoever polls, once for each fetch."""
        if self._fetching is not None and self._fetching.done():
            ended, self._fetching = self._fetching, None
            if not ended.cancelled():
                ended.result()

    def _failed(self, error: LogError) -> None:
        cause = error.__cause__
        if isinstance(cause, NoOffsetForPartitionError):
            return  # of a partition that was assigned this moment; it has a position by now
        if isinstance(cause, OffsetOutOfRangeError):
            for where, offset in cause.args[0].items():
                self.pause([where.partition])
                self._errors.append(
                    PositionLostError(self._topic, where.partition, offset, "deleted before it was read, or cut off")
                )
            return
        self._report(error)
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(str(error))

    def _raise_errors(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        if self._serving is not None and self._serving.done() and not self._serving.cancelled():
            self._serving.result()
            raise LogError(f"group {self._kafka_group}: nobody keeps its consumer at work any more")

    def _report(self, error: LogError) -> None:
        if not self._errors:
            self._errors.append(error)
        self._news.set()

    def _beat(self) -> None:
        self._beat_at = asyncio.get_running_loop().time()

    def _place(self, partition: int) -> TopicPartition:
        return place(self._settings, self._topic, partition)

    def _require_consumer(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise LogUnavailableError(f"group {self._kafka_group}: not connected")
        return self._consumer

    async def __aenter__(self) -> Self:
        self._publisher.follow(self._topic, self._take_along)
        self._serving = asyncio.create_task(self._serve(), name=f"kafka-group-{self._group}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._publisher.unfollow(self._topic, self._take_along)
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait({self._serving})
            if self._consumer is not None:  # it was cancelled while it laid one aside
                await self._lay_aside(self._consumer)
            if not self._serving.cancelled() and (failed := self._serving.exception()) is not None:
                raise failed
