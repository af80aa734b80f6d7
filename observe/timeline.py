"""What happened to one call: its events in order, results included.

Recent events are indexed by call in memory, bounded. A call whose whole story is not in the index (it began before we
did, or was pushed out) is read from its partition of `call.events`, from about when it began.
"""

import asyncio
from collections import OrderedDict

import msgspec

from cordboard.errors import LogUnavailableError
from cordboard.log.port import Log, Record
from observe.envelopes import Heading, heading_of
from observe.tail import Tail
from schemas.events import type_of
from schemas.topics import Topic, partition_of

INDEXED_BYTES = 64 * 1_048_576
SCAN_LIMIT_S = 20.0
EVENTS_OF_ONE = 10_000
_SLACK_MS = 60_000
_NEAR_ENOUGH = 1000
_BEGINS = type_of("call.created")


class Timeline(msgspec.Struct, frozen=True):
    """Body of `GET /v1/calls/{call_id}/events`."""

    events: tuple[msgspec.Raw, ...]


class _Story:
    """The events of one call as they came. `whole` is whether the first of them is in it."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        self.events: dict[str, bytes] = {}
        self.size = 0

    def add(self, event_id: str, value: bytes) -> int:
        """Keep an event once, however often it was delivered; gives the bytes that it took."""
        if event_id in self.events:
            return 0
        if len(self.events) >= EVENTS_OF_ONE:
            self.whole = False
            return 0
        self.events[event_id] = value
        self.size += len(value)
        return len(value)


class Timelines:
    """The index, and the way into the log behind it. `indexed_bytes` bounds the events that are held."""

    def __init__(self, log: Log, *, indexed_bytes: int = INDEXED_BYTES) -> None:
        self.tail = Tail(log, Topic.EVENTS, self.apply, from_earliest=False)
        self.scans = 0
        """How often the log itself had to be read."""
        self.log = log
        """The log that is read, for whoever streams it."""
        self._indexed_bytes = indexed_bytes
        self._bytes = 0
        self._stories: OrderedDict[str, _Story] = OrderedDict()

    def apply(self, record: Record) -> None:
        """Take one record of `call.events`."""
        heading = heading_of(record.value)
        if heading is None or not heading.subject or record.value is None:
            return
        story = self._stories.get(heading.subject)
        if story is None:
            story = self._stories[heading.subject] = _Story(whole=heading.type == _BEGINS)
        self._stories.move_to_end(heading.subject)
        self._bytes += story.add(heading.id, record.value)
        while self._bytes > self._indexed_bytes and len(self._stories) > 1:
            self._bytes -= self._stories.popitem(last=False)[1].size

    async def of(self, call_id: str, began_at_ms: int | None) -> Timeline:
        """The events of a call in order; empty when there are none. Raises `LogUnavailableError`."""
        story = self._stories.get(call_id)
        if story is None or not story.whole:
            story = await self._scan(call_id, began_at_ms)
        return Timeline(tuple(msgspec.Raw(value) for value in story.events.values()))

    async def _scan(self, call_id: str, began_at_ms: int | None) -> _Story:
        self.scans += 1
        partition = partition_of(call_id.encode(), self.log.partitions)
        try:
            async with asyncio.timeout(SCAN_LIMIT_S):
                return await self._read(call_id, partition, began_at_ms)
        except TimeoutError:
            raise LogUnavailableError(
                f"the events of {call_id} could not be read within {SCAN_LIMIT_S:g} s; GET /v1/events?from=earliest&"
                f"call={call_id} streams them without a limit"
            ) from None

    async def _read(self, call_id: str, partition: int, began_at_ms: int | None) -> _Story:
        story = _Story(whole=True)
        bounds = (await self.log.bounds(Topic.EVENTS))[partition]
        start = bounds.earliest
        if began_at_ms is not None:
            start = await first_offset_at(self.log, partition, bounds.earliest, bounds.end, began_at_ms - _SLACK_MS)
        position = start
        async with self.log.reader(Topic.EVENTS, {partition: start}) as reader:
            while position < bounds.end:
                for record in await reader.poll(1.0, 2000):
                    position = record.offset + 1
                    heading = _about(call_id, record)
                    if heading is not None and record.value is not None:
                        story.add(heading.id, record.value)
        return story


def _about(call_id: str, record: Record) -> Heading | None:
    if record.key is not None and record.key != call_id.encode():
        return None
    heading = heading_of(record.value)
    return heading if heading is not None and heading.subject == call_id else None


async def first_offset_at(log: Log, partition: int, low: int, high: int, at_ms: int) -> int:
    """An offset of `call.events` before which every record is older than `at_ms`, found by halving."""
    while high - low > _NEAR_ENOUGH:
        middle = (low + high) // 2
        async with log.reader(Topic.EVENTS, {partition: middle}) as reader:
            found = await reader.poll(2.0, 1)
        if not found or found[0].timestamp_ms >= at_ms:
            high = middle
        else:
            low = middle
    return low
