"""Nothing in the background dies unseen, and leaving is in order."""

import asyncio

import pytest

from cordboard.app.supervision import ServiceFailedError, Supervisor


async def test_a_failure_in_the_background_is_the_reason_to_leave() -> None:
    """Whoever waits learns what failed and why."""

    async def fails(_stop: asyncio.Event) -> None:
        raise OSError("disk full")

    supervisor = Supervisor()
    async with supervisor.background("engine", fails):
        with pytest.raises(ServiceFailedError, match="engine failed: OSError: disk full"):
            await supervisor.wait()


async def test_ending_unasked_is_a_failure() -> None:
    """A part that just returns would leave the process limping on."""

    async def returns(_stop: asyncio.Event) -> None:
        return

    supervisor = Supervisor()
    async with supervisor.background("router", returns):
        with pytest.raises(ServiceFailedError, match="router ended unasked"):
            await supervisor.wait()


async def test_a_part_that_is_asked_to_stop_ends_in_peace() -> None:
    """Stopping when asked is no failure, and what it does last is waited for."""
    done = []

    async def works(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0)
        done.append("last thing")

    supervisor = Supervisor()
    async with supervisor.background("engine", works):
        supervisor.leave("SIGTERM")
        assert await supervisor.wait() == "SIGTERM"

    assert done == ["last thing"]
    assert await supervisor.wait() == "SIGTERM"


async def test_a_part_that_does_not_stop_is_cancelled() -> None:
    """Draining has a limit."""
    cancelled = asyncio.Event()

    async def stubborn(_stop: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    supervisor = Supervisor()
    async with supervisor.background("engine", stubborn, drain_s=0.01):
        await asyncio.sleep(0)

    assert cancelled.is_set()


async def test_a_failure_while_leaving_is_told_too() -> None:
    """A drain that failed is no clean exit."""

    async def fails_last(stop: asyncio.Event) -> None:
        await stop.wait()
        raise OSError("disk full")

    supervisor = Supervisor()
    async with supervisor.background("engine", fails_last):
        pass

    with pytest.raises(ServiceFailedError, match="disk full"):
        await supervisor.wait()


async def test_the_first_reason_counts() -> None:
    """A failure that follows from leaving does not hide why we left."""
    supervisor = Supervisor()
    supervisor.leave("SIGTERM")
    supervisor.fail("engine", OSError("closed"))

    assert await supervisor.wait() == "SIGTERM"
    assert supervisor.failed_late == ["engine"]
