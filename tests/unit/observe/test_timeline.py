"""The story of one call: from memory where all of it is there, from the log where it is not."""

from collections.abc import Mapping

import pytest

import observe.timeline
from cordboard.errors import LogUnavailableError
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Bounds, Record
from observe.envelopes import heading_of
from observe.timeline import Timelines, first_offset_at
from observed import BEGAN_AT, Written, call_sid
from schemas.topics import Topic


def times() -> MemoryLog:
    """A log whose records are a second apart."""
    now = iter(range(BEGAN_AT, BEGAN_AT + 10_000_000, 1000))
    return MemoryLog(2, clock=lambda: next(now))


async def ids(timelines: Timelines, call_id: str, began_at: int | None = None) -> list[str]:
    """The ids of a call's events in order."""
    story = await timelines.of(call_id, began_at)
    return [heading.id for value in story.events if (heading := heading_of(bytes(value)))]


def feed(timelines: Timelines, log: MemoryLog) -> None:
    """Let the index see everything that is in the log."""
    for partition in range(log.partitions):
        for record in log.records(Topic.EVENTS, partition):
            timelines.apply(record)


async def test_a_call_that_was_seen_from_its_beginning_is_told_from_memory() -> None:
    """No log is read for a call whose whole story is indexed."""
    log = MemoryLog(2)
    written, timelines = Written(log), Timelines(log)
    told = [await written.event(call_sid(1), name) for name in ("call.created", "call.waiting", "call.ended")]
    await written.event(call_sid(2), "call.created")
    feed(timelines, log)

    assert await ids(timelines, call_sid(1)) == told
    assert timelines.scans == 0


async def test_a_call_that_began_before_us_is_read_from_the_log() -> None:
    """Events that came before the index are not missing from the story."""
    log = MemoryLog(2)
    written, timelines = Written(log), Timelines(log)
    first = await written.event(call_sid(1), "call.created")
    before = len(log.records(Topic.EVENTS, written.partition(call_sid(1))))
    last = await written.event(call_sid(1), "call.ended")
    for record in log.records(Topic.EVENTS, written.partition(call_sid(1)))[before:]:
        timelines.apply(record)

    assert await ids(timelines, call_sid(1)) == [first, last]
    assert timelines.scans == 1


async def test_an_event_that_was_delivered_twice_is_told_once() -> None:
    """The same id is the same event, in memory as in the log."""
    log = MemoryLog(2)
    written, timelines = Written(log), Timelines(log)
    for _ in range(2):
        await written.event(call_sid(1), "call.created", "once")

    assert await ids(timelines, call_sid(1)) == ["once"]
    feed(timelines, log)
    assert await ids(timelines, call_sid(1)) == ["once"]
    assert timelines.scans == 1


async def test_the_index_is_bounded_and_what_it_lost_is_read_from_the_log() -> None:
    """Calls pushed out of memory keep their story."""
    log = MemoryLog(2)
    written, timelines = Written(log), Timelines(log, indexed_bytes=2_000)
    told = [await written.event(call_sid(1), name) for name in ("call.created", "call.ended")]
    for number in range(2, 30):
        await written.event(call_sid(number), "call.created")
    feed(timelines, log)

    assert await ids(timelines, call_sid(1)) == told
    assert timelines.scans == 1


async def test_a_scan_begins_about_when_the_call_did() -> None:
    """With a long topic only the part since the call began is read."""
    log = times()
    written = Written(log)
    partition = written.partition(call_sid(1))
    for _ in range(5_000):
        await written.event(call_sid(1), "leg.joined")
    records = log.records(Topic.EVENTS, partition)
    sought = records[4_000].timestamp_ms

    start = await first_offset_at(log, partition, 0, len(records), sought)

    assert 2_500 <= start <= 4_000


async def test_a_foreign_key_in_the_partition_is_not_taken_for_the_call() -> None:
    """Only events about the call itself are told."""
    log = MemoryLog(1)
    written, timelines = Written(log), Timelines(log)
    mine = await written.event(call_sid(1), "call.created")
    await written.event(call_sid(2), "call.created")
    await written.raw(Topic.EVENTS, call_sid(1), b"not an event")

    assert await ids(timelines, call_sid(1)) == [mine]


class _Behind(MemoryLog):
    """A log that has promised more records than it gives."""

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """See `Log`."""
        return {p: Bounds(earliest=b.earliest, end=b.end + 5) for p, b in (await super().bounds(topic)).items()}


async def test_a_log_that_cannot_be_read_in_time_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan has a limit, and its error says what works instead."""
    monkeypatch.setattr(observe.timeline, "SCAN_LIMIT_S", 0.05)

    with pytest.raises(LogUnavailableError, match="from=earliest"):
        await Timelines(_Behind(1)).of(call_sid(1), None)


def test_a_record_without_a_call_is_not_indexed() -> None:
    """Bytes that are no event do not stop the index."""
    timelines = Timelines(MemoryLog(1))
    timelines.apply(Record(Topic.EVENTS, 0, 0, 0, b"k", b"not json"))
    timelines.apply(Record(Topic.EVENTS, 0, 1, 0, b"k", None))
