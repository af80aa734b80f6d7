"""Following a topic: every record of every partition, in order within each, for as long as the service runs.

A model says what a record means; here stand the reading, the way back after an error, and whether we have caught up.
No group and no ownership: every observer reads everything for itself.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from cordboard.errors import LogError
from cordboard.log.port import Log, PositionLostError, Record
from schemas.topics import Topic

_POLL_S = 0.2
_BATCH = 1000
_AGAIN_S = 1.0
_LINGER_S = 0.05
"""After records were read: more of them come together. Nobody sees it who waits by `fresh`, and the calls themselves,
which share the process, are spared a wake-up for every record."""

_log = structlog.get_logger(__name__)


class Tail:
    """Feeds every record of `topic` to `apply`. From the earliest on, or only what comes from now on."""

    def __init__(self, log: Log, topic: Topic, apply: Callable[[Record], None], *, from_earliest: bool = True) -> None:
        self._log = log
        self._topic = topic
        self._apply = apply
        self._from_earliest = from_earliest
        self._next: dict[int, int] = {}
        self._wanted: Mapping[int, int] = {}
        self._caught_up = asyncio.Event()
        self._trouble: str | None = None
        self._moved = asyncio.Event()
        """Set, and replaced by a new one, whenever records were read."""
        self._hurried = 0
        self._hurry = asyncio.Event()
        """Set while somebody waits by `fresh`."""

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop`. A log that fails is tried again each second, and `check` says why meanwhile.

        A poll is never cancelled but left to end: a Kafka client cancelled while it connects leaks.
        """
        while not stop.is_set():
            try:
                await self._follow(stop)
            except PositionLostError as lost:
                # Retention was faster than we: what is gone is gone for a read model, what is left is not.
                self._trouble = str(lost)
                self._next.pop(lost.partition, None)
                _log.error(
                    "observe.records_lost", topic=self._topic.value, partition=lost.partition, position=lost.position
                )
            except LogError as error:
                self._trouble = str(error)
                _log.warning("observe.log_unavailable", topic=self._topic.value, error=str(error))
                await _wait(stop, _AGAIN_S)

    async def check(self) -> str | None:
        """For `/readyz`: None once everything that was there at the start has been read."""
        if self._trouble is not None:
            return self._trouble
        if self._caught_up.is_set():
            return None
        if not self._wanted:
            return f"{self._topic.value} has not been read yet"
        behind = sum(max(0, end - self._next.get(p, 0)) for p, end in self._wanted.items())
        return f"still reading {self._topic.value}: {behind} records to go"

    async def caught_up(self, timeout_s: float) -> bool:
        """Whether everything that was there at the start has been read, after waiting for it up to `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._caught_up.wait()
        except TimeoutError:
            return False
        return True

    async def fresh(self, timeout_s: float) -> None:
        """Wait until everything has been read that is in the topic now: who has heard of a result sees what led to it.

        Not longer than `timeout_s`, and not for a log that is away: what is known is better than nothing.
        """
        self._hurried += 1
        self._hurry.set()
        try:
            async with asyncio.timeout(timeout_s):
                ends = {p: bound.end for p, bound in (await self._log.bounds(self._topic)).items()}
                while any(self._next.get(p, 0) < end for p, end in ends.items()):
                    await self._moved.wait()
        except (TimeoutError, LogError):
            return
        finally:
            self._hurried -= 1
            if not self._hurried:
                self._hurry.clear()

    async def _follow(self, stop: asyncio.Event) -> None:
        bounds = await self._log.bounds(self._topic)
        for partition, bound in bounds.items():
            start = bound.earliest if self._from_earliest or self._caught_up.is_set() else bound.end
            self._next.setdefault(partition, start)
        self._wanted = {partition: bound.end for partition, bound in bounds.items()}
        async with self._log.reader(self._topic, self._next) as reader:
            self._trouble = None
            self._mark()
            while not stop.is_set():
                records = await reader.poll(_POLL_S, _BATCH)
                for record in records:
                    self._apply(record)
                    self._next[record.partition] = record.offset + 1
                self._trouble = None
                self._mark()
                self._moved.set()
                self._moved = asyncio.Event()
                if records and len(records) < _BATCH and self._caught_up.is_set():
                    await _wait(self._hurry, _LINGER_S)

    def _mark(self) -> None:
        if not self._caught_up.is_set() and all(self._next.get(p, 0) >= end for p, end in self._wanted.items()):
            self._caught_up.set()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
