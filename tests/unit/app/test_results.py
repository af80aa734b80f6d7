"""The feed of results outlives a log that is not there yet."""

import asyncio
from collections.abc import Mapping

import pytest

import cordboard.app.results
from cordboard.app.results import Results
from cordboard.errors import LogUnavailableError
from cordboard.feed import ResultFeed
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Bounds
from log_harness import eventually
from observed import Written, call_sid
from schemas.ids import result_id
from schemas.topics import Topic


class _Late(MemoryLog):
    """A log that is not there when it is asked the first times."""

    missing = 2

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """See `Log`."""
        if self.missing:
            self.missing -= 1
            raise LogUnavailableError("not there yet")
        return await super().bounds(topic)


async def test_results_are_followed_once_the_log_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the reason is told; after it, whoever waits gets the result."""
    monkeypatch.setattr(cordboard.app.results, "_AGAIN_S", 0.01)
    log = _Late(2)
    feed = ResultFeed(log)
    results, stop = Results(feed), asyncio.Event()
    assert await results.check() == "results are not followed yet"

    following = asyncio.create_task(results.run(stop))
    await eventually(lambda: log.missing == 0 and results.missing is None, "the feed to run")
    with feed.result_of("/crm", "cmd-1") as result:
        await Written(log).event(call_sid(1), "call.held", result_id("/crm", "cmd-1"))
        async with asyncio.timeout(10):
            assert await result
    stop.set()
    await following


async def test_stopping_does_not_wait_for_the_log() -> None:
    """A process may leave while the log is away."""
    log = _Late(2)
    log.missing = 10**9
    results, stop = Results(ResultFeed(log)), asyncio.Event()
    following = asyncio.create_task(results.run(stop))
    await eventually(lambda: results.missing == "not there yet", "the first failure")

    stop.set()

    async with asyncio.timeout(0.9):  # the next attempt would be after 1 s
        await following
