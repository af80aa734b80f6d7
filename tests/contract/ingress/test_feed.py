"""The tail of the public events: who waits for a result is told, and a log that was away is caught up with."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from cordboard import feed as feed_module
from cordboard.errors import LogUnavailableError
from cordboard.feed import FeedFullError, ResultFeed
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, Record
from schemas import codec
from schemas.ids import result_id
from schemas.results import Outcome, Result
from schemas.topics import Topic

SUBJECT = b"CA1"


@pytest.fixture
async def feed(log: MemoryLog) -> AsyncIterator[ResultFeed]:
    """A feed that runs."""
    running = ResultFeed(log)
    async with running.running():
        yield running


async def publish(log: MemoryLog, command_id: str, partition: int = 0) -> bytes:
    """The result of a command of `/crm`."""
    data = Result(command_id, "/crm", "t", Outcome.APPLIED)
    value = codec.result(event_id=result_id("/crm", command_id), subject="CA1", at_ms=0, data=data)
    await publish_bytes(log, value, partition)
    return value


async def publish_bytes(log: MemoryLog, value: bytes, partition: int = 0) -> None:
    """Anything on the public topic."""
    await log.publish(Topic.EVENTS, (Entry(partition, SUBJECT, value),))


async def test_whoever_waits_gets_the_result(feed: ResultFeed, log: MemoryLog) -> None:
    """Everybody who waits for a command gets its result, from any partition, and nobody else's."""
    with feed.result_of("/crm", "1") as first, feed.result_of("/crm", "1") as again, feed.result_of("/x", "1") as other:
        await publish(log, "2")
        value = await publish(log, "1", partition=3)
        async with asyncio.timeout(10):
            assert (await first, await again) == (value, value)
        assert not other.done()


async def test_foreign_bytes_disturb_nobody(feed: ResultFeed, log: MemoryLog) -> None:
    """What is no event on the public topic is passed over."""
    with feed.result_of("/crm", "1") as result:
        for junk in (b"", b"\xff", b"[]", b'{"id": 5}', b'{"x":' + b"[" * 100_000):
            await publish_bytes(log, junk)
        value = await publish(log, "1")
        async with asyncio.timeout(10):
            assert await result == value


class FlickeringLog(MemoryLog):
    """A log that cannot be read as long as it is dark."""

    dark = False

    def read_hot(self, topic: Topic, partition: int, start: int, limit: int) -> Sequence[Record] | None:
        """See `LocalStore`."""
        if self.dark:
            self.dark = False
            raise LogUnavailableError("dark")
        return super().read_hot(topic, partition, start, limit)


async def test_log_that_was_away_is_caught_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that cannot be read is tried again from where the tail was: nothing is missed."""
    monkeypatch.setattr(feed_module, "_RETRY_S", 0.001)
    log = FlickeringLog(partitions=1)
    feed = ResultFeed(log)
    async with feed.running(), asyncio.timeout(10):
        for number in range(5):
            with feed.result_of("/crm", str(number)) as result:
                log.dark = True
                value = await publish(log, str(number))
                assert await result == value
                assert not log.dark


async def test_deleted_records_are_skipped(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that were deleted unread are skipped, and the tail goes on behind them."""
    monkeypatch.setattr(feed_module, "_RETRY_S", 0.001)
    await publish(log, "old")
    feed = ResultFeed(log)
    async with feed.running():
        with feed.result_of("/crm", "1") as result, feed.result_of("/crm", "old") as old:
            for _ in range(5):
                await publish(log, "between")
            log.truncate(Topic.EVENTS, 0, 4)
            value = await publish(log, "1")
            async with asyncio.timeout(10):
                assert await result == value
            assert not old.done()


async def test_waiters_are_bounded(feed: ResultFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound nobody more may wait; who leaves makes room."""
    monkeypatch.setattr(feed_module, "MAX_WAITERS", 1)
    with feed.result_of("/crm", "1"), pytest.raises(FeedFullError), feed.result_of("/crm", "2"):
        pass
    with feed.result_of("/crm", "2"):
        pass
