"""Following a topic: nothing left out, nothing twice, through failures of the log, and said while it lasts."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

import observe.tail
from cordboard.errors import LogUnavailableError
from cordboard.log.local_reading import LocalReader
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Bounds, Entry, PositionLostError, Record
from log_harness import eventually
from observe.tail import Tail
from schemas.topics import Topic


class _Failing(MemoryLog):
    """A log whose bounds and reads fail as often as it is told to."""

    def __init__(self) -> None:
        super().__init__(2)
        self.no_bounds = 0
        self.no_reads: list[Exception] = []

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """See `Log`."""
        if self.no_bounds:
            self.no_bounds -= 1
            raise LogUnavailableError("away")
        return await super().bounds(topic)

    def reader(self, topic: Topic, starts: Mapping[int, int]) -> LocalReader:
        """See `Log`."""
        reader = super().reader(topic, starts)
        poll = reader.poll

        async def failing(timeout_s: float, max_records: int = 500) -> Sequence[Record]:
            if self.no_reads:
                raise self.no_reads.pop()
            return await poll(timeout_s, max_records)

        reader.poll = failing  # type: ignore[method-assign]
        return reader


@asynccontextmanager
async def following(tail: Tail) -> AsyncIterator[None]:
    """Let it follow."""
    stop = asyncio.Event()
    task = asyncio.create_task(tail.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def publish(log: MemoryLog, *values: bytes) -> None:
    """Dead letters, one in each partition in turn."""
    await log.publish(Topic.DEAD_LETTERS, [Entry(n % 2, b"k", value) for n, value in enumerate(values)])


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again sooner than once a second."""
    monkeypatch.setattr(observe.tail, "_AGAIN_S", 0.01)


async def test_everything_comes_once_although_the_log_fails() -> None:
    """Failing bounds and failing reads cost time, not records."""
    log, seen = _Failing(), list[bytes | None]()
    await publish(log, b"1", b"2")
    log.no_bounds, log.no_reads = 2, [LogUnavailableError("away"), LogUnavailableError("away")]
    tail = Tail(log, Topic.DEAD_LETTERS, lambda record: seen.append(record.value))

    async with following(tail):
        await eventually(lambda: len(seen) == 2, "the old ones")
        log.no_reads = [LogUnavailableError("away")]
        await publish(log, b"3", b"4")
        await eventually(lambda: len(seen) == 4, "the new ones")

    assert sorted(value or b"" for value in seen) == [b"1", b"2", b"3", b"4"]


async def test_the_reason_is_told_while_it_lasts() -> None:
    """`check` says why nothing comes, and nothing once it does."""
    log = _Failing()
    log.no_bounds = 10**9
    tail = Tail(log, Topic.DEAD_LETTERS, lambda _record: None)
    assert await tail.check() == "call.dead-letters has not been read yet"

    async with following(tail):
        await eventually(lambda: log.no_bounds < 10**9, "the first attempt")
        assert await tail.check() == "away"
        assert not await tail.caught_up(0.01)
        log.no_bounds = 0
        assert await tail.caught_up(10)
        assert await tail.check() is None


async def test_a_lost_position_goes_on_with_what_is_left() -> None:
    """When retention was faster, the rest is still read."""
    log, seen = _Failing(), list[bytes | None]()
    tail = Tail(log, Topic.DEAD_LETTERS, lambda record: seen.append(record.value))
    await publish(log, b"1", b"2", b"3")
    log.truncate(Topic.DEAD_LETTERS, 0, 1)
    log.no_reads = [PositionLostError(Topic.DEAD_LETTERS, 0, 0, "deleted")]

    async with following(tail):
        await eventually(lambda: len(seen) == 2, "what is left")

    assert sorted(value or b"" for value in seen) == [b"2", b"3"]


async def test_a_tail_from_the_end_sees_only_what_comes() -> None:
    """Without `from_earliest` the past is left out, also after a failure."""
    log, seen = _Failing(), list[bytes | None]()
    await publish(log, b"old", b"old")
    tail = Tail(log, Topic.DEAD_LETTERS, lambda record: seen.append(record.value), from_earliest=False)

    async with following(tail):
        assert await tail.caught_up(10)
        log.no_reads = [LogUnavailableError("away")]
        await publish(log, b"new")
        await eventually(lambda: bool(seen), "the new one")

    assert seen == [b"new"]


async def test_whoever_asks_sees_what_is_in_the_log() -> None:
    """After `fresh` everything that was written before it has been applied."""
    log, seen = _Failing(), list[bytes | None]()
    tail = Tail(log, Topic.DEAD_LETTERS, lambda record: seen.append(record.value))

    async with following(tail):
        assert await tail.caught_up(10)
        for count in range(1, 20):
            await publish(log, b"x")
            await tail.fresh(10)
            assert len(seen) == count


async def test_nobody_waits_for_a_log_that_is_away() -> None:
    """What is known is given although it may be old; a tail that is stuck is not waited for beyond the limit."""
    log = _Failing()
    tail = Tail(log, Topic.DEAD_LETTERS, lambda _record: None)
    async with following(tail):
        assert await tail.caught_up(10)
        log.no_bounds = 1
        await tail.fresh(10)
        log.no_reads = [LogUnavailableError("away")] * 1000
        await publish(log, b"x")
        async with asyncio.timeout(5):
            await tail.fresh(0.05)


async def test_who_waits_for_the_latest_does_not_wait_for_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tail that lets records gather reads at once when somebody asks what is there now."""
    monkeypatch.setattr(observe.tail, "_LINGER_S", 3600.0)
    log, seen = MemoryLog(2), list[bytes | None]()
    tail = Tail(log, Topic.DEAD_LETTERS, lambda record: seen.append(record.value))
    await publish(log, b"1")

    async with following(tail):
        await eventually(lambda: seen == [b"1"], "the first one")
        await publish(log, b"2")
        await tail.fresh(30.0)
        assert seen == [b"1", b"2"]
        monkeypatch.setattr(observe.tail, "_LINGER_S", 0.0)
