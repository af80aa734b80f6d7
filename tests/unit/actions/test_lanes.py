"""Lanes: order within a key, freedom between keys, a bound, and an end."""

import asyncio

import pytest

from actions.lanes import Lanes


class Work:
    """Notes what is begun and ended; each item waits until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.go: dict[str, asyncio.Event] = {}

    async def __call__(self, item: str) -> None:
        """Work on one item; an item with a `!` fails."""
        self.begun.append(item)
        await self.go.setdefault(item, asyncio.Event()).wait()
        self.ended.append(item)
        if "!" in item:
            raise ValueError(item)

    def let(self, *items: str) -> None:
        """Let items end."""
        for item in items:
            self.go.setdefault(item, asyncio.Event()).set()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_key_is_worked_on_in_order_and_keys_at_once() -> None:
    """The second item of a key waits for the first; another key does not."""
    work = Work()
    lanes = Lanes(work, 10)
    for key, item in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        await lanes.put(key, item)
    await settle()
    assert work.begun == ["a1", "b1"]
    work.let("a1")
    await settle()
    assert work.begun == ["a1", "b1", "a2"]
    work.let("a2", "b1")
    assert await lanes.close(1)


async def test_an_idle_key_is_forgotten_and_comes_back() -> None:
    """A key costs something only while it has work."""
    work = Work()
    lanes = Lanes(work, 10)
    work.let("a1", "a2")
    for item in ("a1", "a2"):
        await lanes.put("a", item)
        await settle()
        assert lanes.busy() == 0
    assert work.ended == ["a1", "a2"]


async def test_a_closed_lane_begins_nothing_more() -> None:
    """What is in hand is finished, what is queued is not begun, what comes is dropped."""
    work = Work()
    lanes = Lanes(work, 10)
    await lanes.put("a", "a1")
    await lanes.put("a", "a2")
    await settle()
    closing = asyncio.create_task(lanes.close(5))
    await settle()
    work.let("a1", "a2")
    assert await closing
    await lanes.put("b", "b1")
    await settle()
    assert work.begun == ["a1"]


async def test_what_does_not_end_in_time_is_cut_short() -> None:
    """Closing takes no longer than it may."""
    work = Work()
    lanes = Lanes(work, 10)
    await lanes.put("a", "a1")
    await settle()
    assert not await lanes.close(0.01)
    assert work.ended == []


async def test_a_failure_ends_every_lane_and_is_kept() -> None:
    """After one failure nothing more begins anywhere, and the reason is there to be raised."""
    work = Work()
    lanes = Lanes(work, 10)
    for key, item in (("a", "a!"), ("a", "a2"), ("b", "b1"), ("b", "b2")):
        await lanes.put(key, item)
    await settle()
    work.let("a!", "b1", "a2", "b2")
    with pytest.raises(ValueError, match="a!"):
        raise await lanes.failed
    await settle()
    assert work.begun == ["a!", "b1"]


async def test_room_is_given_back_whatever_happens() -> None:
    """Ended, failed or dropped: a full queue never stays full for nothing."""
    work = Work()
    lanes = Lanes(work, 3)
    for item in ("a!", "a2", "a3"):
        await lanes.put("a", item)
    waiting = asyncio.create_task(lanes.put("b", "b1"))
    await settle()
    assert not waiting.done()
    work.let("a!")
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(lanes.put("c", "c1"), 1)
    assert work.begun == ["a!"]
