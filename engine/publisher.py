"""Publishing what is durable in the state: never given up, never skipped, for as long as the partition is ours."""

import asyncio
from collections.abc import Sequence

import structlog

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.port import Entry, Log
from engine.limits import EngineLimits
from schemas.topics import Topic

_log = structlog.get_logger(__name__)


class ReleasedError(LogError):
    """The partition is no longer ours: whoever owns it now publishes what we could not."""


class Publisher:
    """Publishes until the log has acknowledged, with back-off; after `close` nothing leaves any more."""

    def __init__(self, log: Log, limits: EngineLimits, partition: int) -> None:
        self._log = log
        self._limits = limits
        self._partition = partition
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Begin no further attempt."""
        self._closed.set()

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """Durable when it returns. Raises `ReleasedError` after `close`, `RecordTooLargeError` for what cannot be."""
        if not entries:
            return
        delay_s = self._limits.retry_min_s
        while True:
            if self._closed.is_set():
                raise ReleasedError(f"{topic.value}[{self._partition}]: released with {len(entries)} to publish")
            try:
                await self._log.publish(topic, entries)
                return
            except LogUnavailableError as error:
                _log.warning(
                    "engine.publish_failed", topic=topic.value, partition=self._partition, count=len(entries),
                    retry_in_s=delay_s, reason=str(error),
                )  # fmt: skip
            await self._pause(delay_s)
            delay_s = min(delay_s * 2, self._limits.retry_max_s)

    async def publish_all(self, batches: Sequence[tuple[Topic, Sequence[Entry]]]) -> None:
        """Several topics at the same time, one publish for each."""
        some = [self.publish(topic, entries) for topic, entries in batches if entries]
        if len(some) == 1:
            await some[0]
        elif some:
            await asyncio.gather(*some)

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._closed.wait()
        except TimeoutError:
            return
