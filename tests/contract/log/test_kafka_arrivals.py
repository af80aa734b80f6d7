"""What a process has published it need not fetch (decision 025): handed over at once, in order, once, without a gap."""

import asyncio
from collections.abc import Sequence

import pytest

from cordboard.log.kafka import KafkaLog
from cordboard.log.port import Log, Record, Subscription
from kafka_proxy import Api, KafkaProxy
from log_harness import entry, eventually, read_records, reading_on
from proxied_kafka import opened
from schemas.topics import Topic

pytestmark = [
    pytest.mark.kafka,
    # aiokafka leaves a connection that was cut while it was being made to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ALL = (0, 1, 2, 3)


@pytest.fixture
def log(proxied_log: KafkaLog) -> KafkaLog:
    """A log with short times, by way of the proxy."""
    return proxied_log


async def poll_records(sub: Subscription, count: int) -> dict[int, list[Record]]:
    """Poll until there are `count` records."""
    found: dict[int, list[Record]] = {}
    async with asyncio.timeout(30):
        while sum(map(len, found.values())) < count:
            for partition, records in (await sub.poll(0.1)).items():
                found.setdefault(partition, []).extend(records)
    return found


async def test_what_is_published_here_is_read_here_without_a_fetch(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Fetches disappear on their way, and still the process reads what it publishes, as it stands in the log."""
    async with reading_on(log) as sub:
        proxy.swallow(Api.FETCH)
        await eventually(lambda: proxy.swallowed > 0, "a fetch has disappeared")
        for n in range(8):
            await log.publish(Topic.INBOX, (entry(n % 4, b"%d" % n),))
        found = await poll_records(sub, 8)
        proxy.heal()
    for partition in ALL:
        assert found[partition] == await read_records(log, Topic.INBOX, partition, 2)


async def test_what_two_processes_write_at_once_comes_once_and_in_order(
    log: KafkaLog, proxy: KafkaProxy, topic_prefix: str
) -> None:
    """Whoever wrote it and however it came: each partition is read exactly as it stands in the log."""

    async def publish(whose: Log, name: bytes) -> None:
        for n in range(150):
            await whose.publish(Topic.INBOX, [entry(p, b"%s%d" % (name, n)) for p in ALL if (n + p) % 3])

    async with opened(proxy, topic_prefix, "two") as other, reading_on(log) as sub:
        _, _, found = await asyncio.gather(publish(log, b"own"), publish(other, b"other"), poll_records(sub, 800))

    for partition in ALL:
        assert found[partition] == await read_records(log, Topic.INBOX, partition, len(found[partition]))
    assert sum(map(len, found.values())) == 800


async def test_what_is_published_while_paused_comes_afterwards(log: KafkaLog) -> None:
    """A paused partition gives nothing; when it is resumed everything comes, in order, and goes on coming."""
    async with reading_on(log) as sub:
        await log.publish(Topic.INBOX, (entry(0, b"0"),))
        assert await values(sub, 1) == [b"0"]
        sub.pause((0,))
        await log.publish(Topic.INBOX, (entry(0, b"1"), entry(1, b"elsewhere")))
        assert await values(sub, 1) == [b"elsewhere"]
        sub.resume((0,))
        await log.publish(Topic.INBOX, (entry(0, b"2"),))
        await log.publish(Topic.INBOX, (entry(0, b"3"),))
        assert await values(sub, 3) == [b"1", b"2", b"3"]


async def test_whoever_goes_back_reads_again(log: KafkaLog) -> None:
    """After a seek the same records come again from there, with what is published meanwhile behind them."""
    async with reading_on(log) as sub:
        await log.publish(Topic.INBOX, [entry(0, b"0"), entry(0, b"1")])
        assert await values(sub, 2) == [b"0", b"1"]
        await log.publish(Topic.INBOX, [entry(0, b"2")])
        sub.seek(0, 1)
        await log.publish(Topic.INBOX, [entry(0, b"3")])
        assert await values(sub, 3) == [b"1", b"2", b"3"]


async def values(sub: Subscription, count: int) -> Sequence[bytes | None]:
    """The values of the next `count` records."""
    return [record.value for records in (await poll_records(sub, count)).values() for record in records]
