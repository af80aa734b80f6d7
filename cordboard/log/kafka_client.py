"""The door to aiokafka: making clients, ending them within bounds, and the private attributes that we rely on.

aiokafka speaks old dialects and waits for ever in places (reliability.md 1.2 to 1.4); the rest of the adapter sees none
of that. What is private here is pinned by `tests/contract/log/test_kafka_client.py`. Batches and records:
`kafka_records.py`; how they are sent: `kafka_sender.py`.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyPartitionAssignor,
)
from aiokafka.errors import (
    IllegalStateError,
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerClosed,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import RecordTooLargeError
from schemas.topics import Topic

BATCH_BYTES = 512 * 1024
_FETCH_PARTITION_BYTES = 2 * 1024 * 1024  # above every `max.message.bytes` (T19)
_FETCH_WAIT_MS = 50  # T10
_READER_WAIT_MS = 500
_HELD_FETCH_MS = 20
RETRY_PAUSE_S = 0.05  # T5
_METADATA_MAX_AGE_MS = 60_000

FENCED_ERRORS = (ProducerFenced, InvalidProducerEpoch)
KAFKA_ERRORS = (KafkaError, OSError, IllegalStateError)
"""What aiokafka raises; a time-out of ours is a TimeoutError, which is an OSError."""

_NO_BROKERS = "Did we not perform bootstrap?"
"""What aiokafka asserts when the metadata that it got names no broker: one that is back answers so for a moment."""


def require_c_extension() -> None:
    """Refuse to start without aiokafka's C extension: records would be packed ten times slower, silently."""
    try:
        from aiokafka.record._crecords import default_records  # noqa: F401, PLC0415 is it there?
    except ImportError as error:
        raise LogError(
            "aiokafka is installed without its C extension; install the wheel for this platform and Python"
        ) from error


def explain(error: BaseException, doing: str) -> LogError:
    """What an error of aiokafka means for the caller. Unknown ones are temporary: the log knows better (T12)."""
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return RecordTooLargeError(f"{doing}: Kafka takes no record of that size ({error!r})")
    if isinstance(error, UnknownTopicOrPartitionError):
        return LogUnavailableError(f"{doing}: the topic is not there; run `cordboard topics ensure`")
    if isinstance(error, TimeoutError):
        return LogUnavailableError(f"{doing}: Kafka has not answered in time")
    return LogUnavailableError(f"{doing}: {error!r}")


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what aiokafka raises inside into `LogError`s."""
    try:
        yield
    except KAFKA_ERRORS as error:
        raise explain(error, doing) from error
    except AssertionError as error:
        if str(error) != _NO_BROKERS:
            raise
        raise LogUnavailableError(f"{doing}: the broker has just started and names no brokers yet") from error


@contextlib.asynccontextmanager
async def within(limit_s: float, doing: str) -> AsyncIterator[None]:
    """Bound what happens inside, and turn what aiokafka raises into `LogError`s."""
    with explained(doing):
        async with asyncio.timeout(limit_s):
            yield


def retry_delays(settings: KafkaSettings) -> Iterator[float]:
    """Seconds to wait before each attempt: doubling up to a bound, jittered so that processes spread out (T17)."""
    delay = settings.times.retry_min_s
    while True:
        yield random.uniform(delay / 2, delay)  # noqa: S311 jitter
        delay = min(delay * 2, settings.times.retry_max_s)


def topic_name(settings: KafkaSettings, topic: Topic) -> str:
    """The topic's name in Kafka."""
    return f"{settings.prefix}{topic.value}"


class Epoch(msgspec.Struct, frozen=True):
    """As whom an owner writes: Kafka's producer id and producer epoch."""

    producer_id: int
    epoch: int


# Making clients


def _shared(settings: KafkaSettings, request_s: float) -> dict[str, Any]:
    return {
        "bootstrap_servers": list(settings.bootstrap),
        "client_id": settings.client_id,
        "request_timeout_ms": int(request_s * 1000),
        "retry_backoff_ms": int(RETRY_PAUSE_S * 1000),
        "metadata_max_age_ms": _METADATA_MAX_AGE_MS,
        **settings.security.client_options(),
    }


def make_client(settings: KafkaSettings) -> AIOKafkaClient:
    """Connections and metadata for everything that is written; the requests are `kafka_sender.py`'s."""
    client = AIOKafkaClient(**_shared(settings, settings.times.request_s))
    _bootstrap_to_the_end(client, settings)
    return client


async def raise_epoch(settings: KafkaSettings, transactional_id: str) -> Epoch:
    """The id and the epoch with which the owner of `transactional_id` writes from now on.

    From the first batch with it on a partition, the broker refuses every batch of an earlier epoch there
    (reliability.md 7.2). No transaction is ever begun.
    """
    producer = AIOKafkaProducer(transactional_id=transactional_id, **_shared(settings, settings.times.request_s))
    _bootstrap_to_the_end(producer.client, settings)
    try:
        await producer.start()
        manager = producer._txn_manager
        return Epoch(manager.producer_id, manager.producer_epoch)
    finally:
        await stop_producer(producer, settings.times.close_s)


def make_reader(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A consumer without a group. It is never paused, so that nobody waits for a long fetch of its (T10)."""
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=_READER_WAIT_MS,
        max_partition_fetch_bytes=_FETCH_PARTITION_BYTES,
        **_shared(settings, settings.times.connect_s),
    )
    _bootstrap_to_the_end(consumer._client, settings)
    return consumer


def make_member(settings: KafkaSettings, group: str) -> AIOKafkaConsumer:
    """A consumer in a group, not subscribed yet.

    The sticky assignor keeps what it was assigned in its class: each member gets a class of its own, or the groups of
    one process would mix. JoinGroup waits for the slowest member, so requests get longer than a rebalance may take.
    """
    times = settings.times
    consumer = AIOKafkaConsumer(
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        max_partition_fetch_bytes=_FETCH_PARTITION_BYTES,
        session_timeout_ms=int(times.session_s * 1000),
        heartbeat_interval_ms=int(times.heartbeat_s * 1000),
        rebalance_timeout_ms=int(times.rebalance_s * 1000),
        max_poll_interval_ms=60_000,
        partition_assignment_strategy=(type("MemberSticky", (StickyPartitionAssignor,), {}),),
        **_shared(settings, times.rebalance_s + times.session_s),
    )
    _bootstrap_to_the_end(consumer._client, settings)
    return consumer


def make_admin(settings: KafkaSettings) -> AIOKafkaAdminClient:
    """For creating and describing topics."""
    admin = AIOKafkaAdminClient(**_shared(settings, settings.times.connect_s))
    _bootstrap_to_the_end(admin._client, settings)
    return admin


def _bootstrap_to_the_end(client: AIOKafkaClient, settings: KafkaSettings) -> None:
    """Have a start that is cancelled end its bootstrap first, within bounds.

    While aiokafka waits for the first metadata nothing but its frame knows the connection: cancelled there, it leaks.
    """
    plain: Callable[[], Awaitable[None]] = client.bootstrap

    async def bootstrap() -> None:
        bootstrapping = asyncio.ensure_future(plain())
        try:
            await asyncio.shield(bootstrapping)
        except asyncio.CancelledError:
            try:
                await asyncio.wait({bootstrapping}, timeout=settings.times.close_s)
            finally:
                _settle(bootstrapping)
            raise

    client.bootstrap = bootstrap  # type: ignore[method-assign]


class RebalanceListener(ConsumerRebalanceListener):
    """What aiokafka calls at a rebalance, as two functions. It swallows what they raise."""

    def __init__(
        self,
        revoked: Callable[[], Awaitable[None]],
        assigned: Callable[[Iterable[TopicPartition]], Awaitable[None]],
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Heartbeats go on meanwhile."""
        del revoked
        await self._revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Heartbeats stand still until this returns (T7)."""
        await self._assigned(assigned)


# Ending clients


async def stop_producer(producer: AIOKafkaProducer, limit_s: float) -> None:
    """Flush and close; after `limit_s` give up what has not been acknowledged and close all the same (T3)."""
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait({stopping}, timeout=limit_s)
    if not stopping.done():
        producer._message_accumulator.fail_all(ProducerClosed())
        await _bounded(producer.client.close(), limit_s)
        await asyncio.wait({stopping}, timeout=limit_s)
    _settle(stopping)


async def stop_consumer(consumer: AIOKafkaConsumer, limit_s: float) -> None:
    """Leave the group and close; after `limit_s` close without leaving."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping}, timeout=limit_s)
    if not stopping.done():
        coordinator = consumer._coordinator
        for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task"):
            task = getattr(coordinator, name, None)
            if task is not None:
                task.cancel()
        await _bounded(consumer._client.close(), limit_s)
        await asyncio.wait({stopping}, timeout=limit_s)
    _settle(stopping)


async def stop_client(client: AIOKafkaClient, limit_s: float) -> None:
    """Close the connections; after `limit_s` leave them to the system."""
    await _bounded(client.close(), limit_s)


async def _bounded(closing: Awaitable[None], limit_s: float) -> None:
    with contextlib.suppress(*KAFKA_ERRORS):
        async with asyncio.timeout(limit_s):
            await closing


def _settle(stopping: "asyncio.Future[None]") -> None:
    """Cancel what still has not ended; what it raised is of no interest to anybody any more."""
    if not stopping.done():
        stopping.cancel()
    elif not stopping.cancelled():
        stopping.exception()


# What only private attributes tell


async def count_partitions(consumer: AIOKafkaConsumer, name: str) -> int:
    """How many partitions a topic has. Raises `UnknownTopicOrPartitionError`."""
    await consumer._client._wait_on_metadata(name)
    return len(consumer.partitions_for_topic(name) or ())


def generation_of(consumer: AIOKafkaConsumer) -> tuple[str, int]:
    """Member id and generation of a group's member."""
    coordinator = consumer._coordinator
    return (str(coordinator.member_id), int(coordinator.generation)) if coordinator is not None else ("", -1)


def is_rejoining(consumer: AIOKafkaConsumer) -> bool:
    """Whether the member knows that its assignment is about to end."""
    coordinator = consumer._coordinator
    return coordinator is None or bool(coordinator._rejoin_needed_fut.done())


def move_to(consumer: AIOKafkaConsumer, where: TopicPartition, offset: int) -> None:
    """Go on at `offset`, leaving alone a fetch that is on its way: aiokafka drops what that brings of `where`."""
    consumer._subscription._assigned_state(where).seek(offset)


def hold_fetches(consumer: AIOKafkaConsumer, *, hold: bool) -> None:
    """Have the broker answer a fetch after 20 ms with what there is by then, or again as soon as there is anything."""
    fetcher: Any = consumer._fetcher
    fetcher._fetch_min_bytes = _FETCH_PARTITION_BYTES if hold else 1
    fetcher._fetch_max_wait_ms = _HELD_FETCH_MS if hold else _FETCH_WAIT_MS


def request_rejoin(consumer: AIOKafkaConsumer) -> None:
    """Have the member join again at once."""
    if consumer._coordinator is not None:
        consumer._coordinator.request_rejoin()


def on_heartbeat(consumer: AIOKafkaConsumer, beat: Callable[[], None]) -> None:
    """Call `beat` after every heartbeat that the group's coordinator has accepted. Once for each consumer."""
    coordinator: Any = consumer._coordinator
    plain = coordinator._do_heartbeat

    async def heartbeat() -> bool:
        accepted = bool(await plain())
        if accepted:
            beat()
        return accepted

    coordinator._do_heartbeat = heartbeat


def remember_generation(consumer: AIOKafkaConsumer) -> None:
    """Tell the sticky assignor its generation, which aiokafka itself forgets to.

    Without it, members look alike at a later join, and asking for a new assignment changes nothing.
    """
    coordinator = consumer._coordinator
    if coordinator is not None:
        for assignor in coordinator._assignors:
            assignor.on_generation_assignment(coordinator.generation)
