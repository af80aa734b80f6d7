"""Keeping the feed of results going, also when the log is not there yet: the ingress has to answer Twilio meanwhile."""

import asyncio

import structlog

from cordboard.errors import LogError
from cordboard.feed import ResultFeed

_AGAIN_S = 1.0

_log = structlog.get_logger(__name__)


class Results:
    """Runs the feed. Until it does, a command that waits for its result gets the 202 at the end of its patience."""

    def __init__(self, feed: ResultFeed) -> None:
        self._feed = feed
        self.missing: str | None = "results are not followed yet"
        """Why results are not followed, None when they are."""

    async def check(self) -> str | None:
        """For `/readyz`."""
        return self.missing

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop`; a log that cannot say where its end is gets asked again."""
        while not stop.is_set():
            try:
                async with self._feed.running():
                    self.missing = None
                    await stop.wait()
            except LogError as error:
                self.missing = str(error)
                _log.warning("results.log_unavailable", error=str(error), retry_s=_AGAIN_S)
                await _wait(stop)


async def _wait(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_AGAIN_S):
            await stop.wait()
    except TimeoutError:
        return
