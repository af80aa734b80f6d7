"""aiokafka's traps of groups and reading (reliability.md 1.4), on a real broker behind a proxy that fails on demand.

Those of writing are in `test_kafka_writing_traps.py`. T8, T11, T14 hold for every log (`test_groups.py`,
`test_ownership.py`); T10, T18 and T19 are settings, pinned in `test_kafka_client.py`; T5 is our own sender's
(`tests/unit/log/test_kafka_sender.py`); T16 cannot arise without
`async for` and foreign instrumentation.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from cordboard.errors import AppendFailedError, LogError, LogUnavailableError
from cordboard.log.claims import claim_of
from cordboard.log.kafka import KafkaLog
from cordboard.log.ownership import OwnerLimits
from cordboard.log.port import FencedPartition, Log, PositionLostError, Record, Subscription
from kafka_broker import KafkaBroker
from kafka_proxy import Api, KafkaProxy
from log_harness import (
    Journal,
    Ledger,
    Notes,
    entry,
    eventually,
    is_live,
    owning,
    poll_values,
    polled,
    read_records,
    reading_on,
    state_of,
    until_applied,
)
from proxied_kafka import QUICK_TIMES, opened, publish_until_taken
from schemas.topics import Topic

pytestmark = [
    pytest.mark.kafka,
    # aiokafka leaves a connection that was cut while it was being made to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ALL = (0, 1, 2, 3)
_LIMITS = OwnerLimits(poll_s=0.05, commit_every_s=0.2, retry_min_s=0.05, retry_max_s=0.5, rejoin_after_s=1.0)


@pytest.fixture
def log(proxied_log: KafkaLog) -> KafkaLog:
    """A log with short times, by way of the proxy."""
    return proxied_log


@pytest.mark.parametrize("how", ["orderly", "killed"])
async def test_t2_an_owner_survives_a_restart_of_the_broker(
    log: KafkaLog, proxied_broker: tuple[KafkaBroker, int], how: str
) -> None:
    """The broker is restarted under load: owners take their partitions anew, and every record is applied once."""
    broker, _ = proxied_broker
    sent: list[bytes] = []

    async def send(count: int) -> None:
        for _ in range(count):
            value = b"%d" % len(sent)
            sent.append(value)
            await publish_until_taken(log, value)

    async with owning(log, Journal(), limits=_LIMITS) as owner:
        await eventually(is_live(owner, ALL), "live")
        await send(40)
        sending = asyncio.create_task(send(200))
        await asyncio.to_thread(broker.stop if how == "orderly" else broker.kill)
        await asyncio.to_thread(broker.start)
        await sending
        await send(40)
        await until_applied(log, set(sent))

    for partition in ALL:
        offsets = [a.offset for a in await state_of(log, partition)]
        assert offsets == sorted(set(offsets)), "applied once, in order"


async def test_t7_a_slow_restore_does_not_cost_the_membership(log: KafkaLog) -> None:
    """Restoring for longer than the session lasts neither rebalances the group nor loses the partition."""
    journal = Journal()

    class Slow(Ledger):
        async def restore(self, fenced: FencedPartition) -> int | None:
            await asyncio.sleep(QUICK_TIMES.session_s * 1.5)
            return await super().restore(fenced)

    def make(partition: int) -> Ledger:
        ledger = Slow(partition, journal)
        journal.made.append(ledger)
        return ledger

    await log.publish(Topic.INBOX, (entry(0, b"x"),))
    async with owning(log, journal, limits=_LIMITS, factory=make) as owner:
        await eventually(is_live(owner, ALL), "all live")
        await eventually(lambda: journal.values() == [b"x"], "handled")

    assert sorted(p for p, _ in journal.claims) == list(ALL), "claimed once each: never evicted"


async def test_t9_a_consumer_that_has_fallen_silent_is_replaced(
    log: KafkaLog, proxy: KafkaProxy, topic_prefix: str
) -> None:
    """Fetches disappear while heartbeats go on: the consumer is made anew and another process' record arrives."""
    journal = Journal()
    async with opened(proxy, topic_prefix, "two") as other, owning(log, journal, limits=_LIMITS) as owner:
        await eventually(is_live(owner, ALL), "live")
        await other.publish(Topic.INBOX, (entry(0, b"0"),))
        await eventually(lambda: journal.values() == [b"0"], "works")
        proxy.swallow(Api.FETCH, until_connection=proxy.connections)
        await eventually(lambda: proxy.swallowed > 0, "a fetch has disappeared")
        await other.publish(Topic.INBOX, (entry(0, b"4"),))
        await eventually(lambda: journal.values() == [b"0", b"4"], "read by a new consumer")


async def test_t9_twice_in_a_row_is_an_error_for_the_process(log: KafkaLog, proxy: KafkaProxy) -> None:
    """When a new consumer brings nothing either, polling says that the process should restart."""
    notes = Notes()
    await log.publish(Topic.INBOX, (entry(0, b"x"),))
    proxy.swallow(Api.FETCH)
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        with pytest.raises(LogError, match="process should restart"):
            await read_as_assigned(sub, notes)


async def read_as_assigned(sub: Subscription, notes: Notes) -> None:
    """Poll, and begin every new assignment at the beginning, until something is raised."""
    seen = 0
    async with asyncio.timeout(30):
        while True:
            await sub.poll(0.1)
            if len(notes.told) > seen and notes.held:
                seen = len(notes.told)
                for partition in notes.held:
                    sub.seek(partition, 0)
                sub.resume(sorted(notes.held))


async def poll_on(sub: Subscription, found: dict[int, Sequence[Record]]) -> None:
    """Poll, and keep what comes, until something is raised."""
    async with asyncio.timeout(30):
        while True:
            found |= await sub.poll(0.1)


async def test_t11_out_of_range_stops_one_partition_loudly(log: KafkaLog) -> None:
    """A position that Kafka does not have is an error that names it; the other partitions go on."""
    notes = Notes()
    await log.publish(Topic.INBOX, (entry(1, b"good"),))
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        async with polled(sub):
            await eventually(lambda: notes.held == set(ALL), "assigned")
        sub.seek(0, 1000)
        sub.seek(1, 0)
        sub.resume([0, 1])
        found: dict[int, Sequence[Record]] = {}
        with pytest.raises(PositionLostError, match="offset 1000 is not in the log"):
            await poll_on(sub, found)
        if not found:
            assert await poll_values(sub, 1) == {1: [b"good"]}
        assert notes.held == set(ALL)


async def test_t12_t13_a_zombie_is_fenced_and_comes_back_in_order(
    log: KafkaLog, proxy: KafkaProxy, topic_prefix: str
) -> None:
    """An owner cut off for longer than its session loses its partitions; what it does when it wakes up has no effect.

    Its group error surfaces (T13), it joins anew, and in the end every record was applied once.
    """
    one, two = Journal(), Journal()
    async with opened(proxy, topic_prefix, "two") as other, owning(log, one, name="one", limits=_LIMITS) as zombie:
        await eventually(is_live(zombie, ALL), "the first owner is live")
        await other.publish(Topic.INBOX, [entry(p, b"%d" % p) for p in ALL])
        await eventually(lambda: len(one.handled) == 4, "handled by the first")
        proxy.hold("one")
        async with owning(other, two, name="two", limits=_LIMITS) as heir:
            await eventually(is_live(heir, ALL), "the heir has everything")
            await other.publish(Topic.INBOX, [entry(p, b"1%d" % p) for p in ALL])
            await eventually(lambda: len(two.handled) == 4, "handled by the heir")
            ghosts = [(ledger.partition, ledger.fenced) for ledger in one.made if ledger.fenced is not None]
            proxy.heal()
            for partition, ghost in ghosts:
                with pytest.raises(AppendFailedError):
                    await ghost.append([entry(partition, b"ghost")])
            await eventually(lambda: len(zombie.status().live) == len(heir.status().live) == 2, "shared again")
            await other.publish(Topic.INBOX, [entry(p, b"2%d" % p) for p in ALL])
            await eventually(lambda: len(one.handled) + len(two.handled) == 12, "handled by both")

    for partition in ALL:
        applied = [a.value for a in await state_of(log, partition)]
        assert applied == [b"%d" % partition, b"1%d" % partition, b"2%d" % partition]
        assert max((await claims_by_generation(log, partition)).values()) <= 2, "two claims a change of ownership"


async def claims_by_generation(log: Log, partition: int) -> Counter[int]:
    """How often a partition of the state was claimed in each generation of the group."""
    end = (await log.bounds(Topic.STATE))[partition].end
    claims = [claim_of(r) for r in await read_records(log, Topic.STATE, partition, end)]
    return Counter(claim.generation for claim in claims if claim is not None and claim.group)


async def test_a_member_finds_its_way_back(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Every connection is cut and refused for a while: the owner comes back by itself and loses nothing."""
    async with owning(log, journal := Journal(), limits=_LIMITS) as owner:
        await eventually(is_live(owner, ALL), "live")
        with proxy.refusing(), pytest.raises(LogUnavailableError):
            await log.publish(Topic.INBOX, (entry(0, b"x"),))
        await publish_until_taken(log, b"4")
        await eventually(lambda: b"4" in journal.values(), "handled after all")
        await eventually(is_live(owner, ALL), "all live again")


async def test_a_member_that_starts_without_kafka_waits_for_it(proxy: KafkaProxy, topic_prefix: str) -> None:
    """An owner started while Kafka is away says so when it polls, and begins when it can."""
    async with opened(proxy, topic_prefix, "one") as log:
        await log.ensure_topics()
        with proxy.refusing():
            notes = Notes()
            async with log.subscribe("g", Topic.INBOX, notes) as sub:
                with pytest.raises(LogUnavailableError, match="joining group"):
                    await poll_on(sub, {})
                proxy.heal()
                async with polled_patiently(sub):
                    await eventually(lambda: notes.held == set(ALL), "joined")


async def test_a_listener_that_fails_is_told_to_whoever_polls(log: KafkaLog) -> None:
    """Aiokafka would swallow what a listener raises; polling raises it."""

    class Failing(Notes):
        async def on_assigned(self, partitions: Sequence[int]) -> None:
            raise ZeroDivisionError(str(partitions))

    async with log.subscribe("g", Topic.INBOX, Failing()) as sub:
        with pytest.raises(LogError, match="listener of assignments failed: ZeroDivisionError"):
            await poll_on(sub, {})


async def test_what_a_fetch_did_not_expect_is_told_to_whoever_polls(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of our own in the background ends the polling; it is not tried again and again."""

    def break_down(topic: Topic, found: object) -> Record:
        raise ZeroDivisionError(f"{topic} {type(found)}")

    await log.publish(Topic.INBOX, [entry(0, b"one")])
    monkeypatch.setattr("cordboard.log.kafka_arrivals.to_record", break_down)
    async with reading_on(log) as sub:
        with pytest.raises(ZeroDivisionError):
            await poll_on(sub, {})


@asynccontextmanager
async def polled_patiently(sub: Subscription) -> AsyncIterator[None]:
    """Keep polling, whatever is temporarily wrong."""

    async def keep_polling() -> None:
        while True:
            try:
                await sub.poll(0.1)
            except LogUnavailableError:
                await asyncio.sleep(0.01)

    task = asyncio.create_task(keep_polling())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
