"""What comes in one turn, or while the log is writing, goes into the log together (decision 033)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence

import pytest

from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from ingress import lane
from ingress.recorder import Recorder
from schemas.topics import Topic
from spooling import PartedLog, webhook


class Counted(MemoryLog):
    """A log that notes how many records each call brings, and takes them only while it is open."""

    def __init__(self) -> None:
        super().__init__(2)
        self.calls: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """See `Log`."""
        self.calls.append(len(entries))
        await self.open.wait()
        await super().publish(topic, entries)


class Desk:
    """A recorder, and callbacks that come for it."""

    def __init__(self) -> None:
        self.log = Counted()
        self.recorder = Recorder(self.log, ack_timeout_s=30.0)
        self.answers: list[object] = []
        self._said = 0

    def comes(self, times: int) -> None:
        """So many callbacks, in one turn of the loop."""
        for _ in range(times):
            self._said += 1
            self.recorder.record_soon(webhook(self._said), self.answers.append)

    async def answered(self, count: int) -> None:
        """Wait until so many have their answer, and all of them a good one."""
        async with asyncio.timeout(10):
            while len(self.answers) < count:
                await asyncio.sleep(0)
        assert self.answers == [None] * count


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """One that would wait for a minute for company."""
    monkeypatch.setattr(lane, "FILL_S", 60.0)
    made = Desk()
    yield made
    for task in made.recorder._tasks:
        task.cancel()


async def test_one_turn_is_one_call(desk: Desk) -> None:
    """What comes in one turn of the loop is published by one call."""
    desk.comes(5)
    await desk.answered(5)
    assert desk.log.calls == [5]


async def test_a_few_wait_for_nobody(desk: Desk) -> None:
    """While little comes, nothing is held back for company."""
    for count in (1, 2, 3):
        desk.comes(1)
        await desk.answered(count)
    assert desk.log.calls == [1, 1, 1]


async def test_what_comes_during_a_write_goes_together(desk: Desk) -> None:
    """The next call takes everything that came meanwhile."""
    desk.log.open.clear()
    for times in (1, 2, 3):
        desk.comes(times)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    desk.log.open.set()
    await desk.answered(6)
    assert desk.log.calls == [1, 5]


async def test_after_many_it_is_waited_for_as_many_again(desk: Desk) -> None:
    """A big write is followed by one as big: half of it now and half of it then would be two transactions."""
    desk.comes(10)
    await desk.answered(10)
    desk.comes(4)
    for _ in range(20):
        await asyncio.sleep(0)
    assert desk.log.calls == [10]
    desk.comes(6)
    await desk.answered(20)
    assert desk.log.calls == [10, 10]


async def test_nobody_waits_long_for_company(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """If as many do not come, those who are there go on without."""
    monkeypatch.setattr(lane, "FILL_S", 0.001)
    desk.comes(10)
    await desk.answered(10)
    desk.comes(1)
    await desk.answered(11)
    assert desk.log.calls == [10, 1]


class Broken(PartedLog):
    """A log with a fault of our own."""

    def publish(self, topic: Topic, entries: Sequence[Entry]) -> Awaitable[None]:  # type: ignore[override]
        """Never gets as far as to wait."""
        raise ZeroDivisionError(f"{topic} {len(entries)}")


async def test_a_fault_of_our_own_leaves_nobody_without_an_answer() -> None:
    """Whatever ends the publishing of a partition's share, who waits is told that nothing is known to be durable."""
    recorder, answers = Recorder(Broken(), ack_timeout_s=30.0), list[object]()
    for number in range(3):
        recorder.record_soon(webhook(number), answers.append)
    async with asyncio.timeout(10):
        while len(answers) < 3:
            await asyncio.sleep(0)
    assert [type(answer) for answer in answers] == [lane.NotDurableError] * 3
