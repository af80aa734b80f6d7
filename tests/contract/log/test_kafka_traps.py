"""aiokafka's traps T1 to T19 (reliability.md 1.4), each on a real broker behind a proxy that fails in chosen ways.

Not here: T8, T11, T14 hold for every log (`test_groups.py`, `test_ownership.py`); T5, T10, T18 and T19 are settings,
pinned in `test_kafka_client.py`; T16 cannot arise without `async for` and foreign instrumentation.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from cordboard.errors import AppendFailedError, FencedError, LogError, LogUnavailableError
from cordboard.log.claims import claim_of
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings, KafkaTimes
from cordboard.log.ownership import OwnerLimits
from cordboard.log.port import FencedPartition, Log, PositionLostError, Record, Subscription
from free_ports import free_ports
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
    read_values,
    replay_values,
    state_of,
    until_applied,
)
from schemas.topics import Topic

pytestmark = [
    pytest.mark.kafka,
    # aiokafka leaves a connection that was cut while it was being made to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ALL = (0, 1, 2, 3)
_QUICK = KafkaTimes(
    request_s=1.0,
    publish_s=1.0,
    append_s=1.0,
    claim_s=3.0,
    ask_s=2.0,
    close_s=0.5,
    session_s=2.0,
    heartbeat_s=0.3,
    stall_s=1.0,
    retry_max_s=0.5,
)
_LIMITS = OwnerLimits(poll_s=0.05, commit_every_s=0.2, retry_min_s=0.05, retry_max_s=0.5, rejoin_after_s=1.0)


@pytest.fixture(scope="module")
def proxied_broker(kafka_jars: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaBroker, int]]:
    """A broker of our own that tells its clients to come by way of a proxy, and the port of that proxy."""
    assert kafka_jars
    (port,) = free_ports(1)
    settings = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
    with KafkaBroker(tmp_path_factory.mktemp("proxied"), settings=settings) as broker:
        yield broker, port


@pytest.fixture
async def proxy(proxied_broker: tuple[KafkaBroker, int]) -> AsyncIterator[KafkaProxy]:
    """The way to the broker, in order."""
    broker, port = proxied_broker
    async with KafkaProxy(port, int(broker.bootstrap.split(":")[1])) as proxy:
        yield proxy
    gc.collect()  # here, where what it finds is expected, and not in somebody else's test


@pytest.fixture
async def log(proxy: KafkaProxy, topic_prefix: str) -> AsyncIterator[KafkaLog]:
    """A log with topics of its own and short times, known to Kafka as `one`."""
    async with opened(proxy, topic_prefix, "one") as made:
        await made.ensure_topics()
        yield made
        proxy.heal()


@asynccontextmanager
async def opened(proxy: KafkaProxy, prefix: str, client_id: str, times: KafkaTimes = _QUICK) -> AsyncIterator[KafkaLog]:
    """A log that goes by way of the proxy."""
    made = KafkaLog(
        KafkaSettings(
            bootstrap=(f"127.0.0.1:{proxy.port}",), prefix=prefix, partitions=4, client_id=client_id, times=times
        )
    )
    try:
        yield made
    finally:
        await made.aclose()


async def test_t1_nothing_is_written_in_a_transaction(log: KafkaLog, proxy: KafkaProxy, topic_prefix: str) -> None:
    """A reader that sees committed transactions only gets fenced records at once: there is nothing to commit."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    await fenced.append([entry(0, b"x")])
    where = TopicPartition(f"{topic_prefix}call.state", 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=f"127.0.0.1:{proxy.port}", isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    consumer.assign([where])
    found = [await asyncio.wait_for(consumer.getone(where), 10) for _ in range(2)]
    await consumer.stop()

    assert found[1].value == b"x"


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


async def publish_until_taken(log: Log, value: bytes) -> None:
    """Publish as the ingress' spool does: again, until it is acknowledged. May leave the record more than once."""
    async with asyncio.timeout(90):
        while True:
            try:
                await log.publish(Topic.INBOX, (entry(int(value) % 4, value),))
            except LogUnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_t3_an_append_to_a_silent_kafka_ends(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Kafka says nothing: append fails within its deadline, close returns, and the log says later what was written."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    await fenced.append([entry(0, b"before")])
    proxy.hold("one")
    with pytest.raises(AppendFailedError, match="not answered in time"):
        await fenced.append([entry(0, b"doubtful")])
    await fenced.close()
    proxy.heal()

    again = await log.claim(Topic.STATE, 0, "engine-1")
    values = await replay_values(again)
    assert values in ([b"before"], [b"before", b"doubtful"])
    await again.append([entry(0, b"after")])
    assert await replay_values(await log.claim(Topic.STATE, 0, "engine-1")) == [*values, b"after"]


async def test_t3_a_claim_on_a_silent_kafka_ends(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Claiming while Kafka says nothing is an error within its deadline."""
    proxy.hold("one")
    with pytest.raises(LogUnavailableError, match=r"not answered in time|Unable to bootstrap"):
        await log.claim(Topic.STATE, 0, "engine-1")


async def test_t4_a_publish_to_a_silent_kafka_ends(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Publishing ends with LogUnavailableError within its deadline, and works again when Kafka does."""
    await log.publish(Topic.INBOX, (entry(0, b"before"),))
    proxy.hold("one")
    with pytest.raises(LogUnavailableError, match="not answered in time"):
        await log.publish(Topic.INBOX, (entry(0, b"doubtful"),))
    assert await log.check() is not None
    proxy.heal()
    await publish_until_taken(log, b"4")

    assert b"4" in await read_values(log, Topic.INBOX, 0, 2)
    assert await log.check() is None


async def test_t6_one_loop_turn_is_one_batch_a_partition(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Hundreds of publishes in one turn of the loop are a handful of requests, and nobody is passed over."""
    await log.publish(Topic.INBOX, (entry(0, b"warm"),))
    before = proxy.requests[Api.PRODUCE]
    await asyncio.gather(*(log.publish(Topic.INBOX, (entry(n % 4, b"%d" % n),)) for n in range(400)))

    assert proxy.requests[Api.PRODUCE] - before <= 4
    assert await read_values(log, Topic.INBOX, 1, 100) == [b"%d" % n for n in range(1, 400, 4)]


async def test_t7_a_slow_restore_does_not_cost_the_membership(log: KafkaLog) -> None:
    """Restoring for longer than the session lasts neither rebalances the group nor loses the partition."""
    journal = Journal()

    class Slow(Ledger):
        async def restore(self, fenced: FencedPartition) -> int | None:
            await asyncio.sleep(_QUICK.session_s * 1.5)
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


async def test_t9_a_consumer_that_has_fallen_silent_is_replaced(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Fetches disappear while heartbeats go on: the consumer is made anew and the record arrives."""
    async with owning(log, journal := Journal(), limits=_LIMITS) as owner:
        await eventually(is_live(owner, ALL), "live")
        await log.publish(Topic.INBOX, (entry(0, b"0"),))
        await eventually(lambda: journal.values() == [b"0"], "works")
        proxy.swallow(Api.FETCH, until_connection=proxy.connections)
        await eventually(lambda: proxy.swallowed > 0, "a fetch has disappeared")
        await log.publish(Topic.INBOX, (entry(0, b"4"),))
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


async def test_t15_a_cancelled_publish_takes_nobody_with_it(log: KafkaLog) -> None:
    """Cancelling one of many publishes leaves the others, of the same batch too, alone."""
    await log.publish(Topic.INBOX, (entry(0, b"warm"),))
    tasks = [asyncio.create_task(log.publish(Topic.INBOX, (entry(0, b"%d" % n),))) for n in range(50)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(done.pop(7), asyncio.CancelledError)
    assert set(done) == {None}
    values = await read_values(log, Topic.INBOX, 0, 50)
    assert {b"%d" % n for n in range(50) if n != 7} <= set(values)


async def test_t17_kafka_away_is_told_at_once_and_not_stormed(log: KafkaLog, proxy: KafkaProxy) -> None:
    """While nobody listens, publishing fails at once with the reason and few connections are tried; then it works."""
    await log.publish(Topic.INBOX, (entry(0, b"before"),))
    with proxy.refusing():
        reasons: list[str] = []
        while not any("cannot connect" in reason for reason in reasons):
            with pytest.raises(LogUnavailableError) as caught:
                await log.publish(Topic.INBOX, (entry(0, b"x"),))
            reasons.append(str(caught.value))
        before = proxy.connections
        for _ in range(1000):
            with pytest.raises(LogUnavailableError):
                await log.publish(Topic.INBOX, (entry(0, b"x"),))
        assert proxy.connections - before < 50
    await publish_until_taken(log, b"4")


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


async def test_of_two_that_claim_at_once_the_later_claim_wins(
    log: KafkaLog, proxy: KafkaProxy, topic_prefix: str
) -> None:
    """Two processes claim the same partition at the same time: one can append, the other is told that it is fenced."""
    async with opened(proxy, topic_prefix, "two") as other:
        claims = await asyncio.gather(
            log.claim(Topic.STATE, 0, "one"), other.claim(Topic.STATE, 0, "two"), return_exceptions=True
        )
        held = [c for c in claims if not isinstance(c, BaseException)]
        assert held
        last = max(held, key=lambda fenced: fenced.token)
        for fenced in held:
            if fenced is not last:
                with pytest.raises(FencedError):
                    await fenced.append([entry(0, b"no")])
        await last.append([entry(0, b"yes")])
        await asyncio.gather(*(fenced.close() for fenced in held))
