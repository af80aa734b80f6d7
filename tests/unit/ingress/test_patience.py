"""Many waits under one timer end as `asyncio.timeout` would end them."""

import asyncio

import pytest

from ingress.patience import Patience


async def waiting(patience: Patience, event: asyncio.Event) -> str:
    """Wait for the event, and say how that ended."""
    try:
        with patience.wait():
            await event.wait()
    except TimeoutError:
        return "too long"
    return "in time"


async def test_waits_end_in_time_or_too_late() -> None:
    """Who waits longer than the limit is told so, who gets what they wait for is not, and later ones still wait."""
    patience, never, soon = Patience(0.05), asyncio.Event(), asyncio.Event()
    early = [asyncio.create_task(waiting(patience, event)) for event in (never, soon, never)]
    await asyncio.sleep(0)
    soon.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*early) == ["too long", "in time", "too long"]
        assert await waiting(patience, never) == "too long"
        assert await waiting(patience, soon) == "in time"


async def test_cancellation_from_outside_stays_one() -> None:
    """A task that somebody else cancels is cancelled, not told that it waited too long."""
    patience, never = Patience(30.0), asyncio.Event()
    task = asyncio.create_task(waiting(patience, never))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_errors_pass_through() -> None:
    """What is raised inside a wait comes out of it, and the wait is over."""
    patience = Patience(0.02)
    with pytest.raises(LookupError), patience.wait():
        raise LookupError
    async with asyncio.timeout(10):
        assert await waiting(patience, asyncio.Event()) == "too long"


async def test_wait_without_waiting_is_never_late() -> None:
    """A block that does not wait ends as it would without patience, however late its end is noticed."""
    patience, event = Patience(0.0), asyncio.Event()
    event.set()
    assert [await waiting(patience, event) for _ in range(100)] == ["in time"] * 100


async def test_finished_waits_are_forgotten() -> None:
    """Waits that are over do not pile up."""
    patience = Patience(0.02)
    for _ in range(50):
        with patience.wait():
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while len(patience._waits) > 0:
            await asyncio.sleep(0.001)


def test_only_tasks_wait() -> None:
    """Outside of a task there is nobody to be told."""

    async def make() -> None:
        asyncio.get_running_loop().call_soon(outside)
        await done.wait()

    def outside() -> None:
        with pytest.raises(RuntimeError, match="only a task"):
            Patience(1.0).wait()
        done.set()

    done = asyncio.Event()
    asyncio.run(make())
