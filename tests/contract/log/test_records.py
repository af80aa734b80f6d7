"""Writing and reading: what every log promises about records, offsets and readers."""

import asyncio

import pytest

from cordboard.errors import LogError
from cordboard.log.port import MAX_RECORD_BYTES, Bounds, Entry, Log, RecordTooLargeError
from log_harness import entry, read_records, read_values
from schemas.topics import Topic


async def test_records_are_read_as_they_were_written(log: Log) -> None:
    """Key, value and headers come back byte for byte, with topic, partition, a growing offset and a time."""
    headers = (("reason", b"poison\x00\xff"), ("empty", b""))
    await log.publish(Topic.DEAD_LETTERS, [Entry(2, b"\x00key", b"\xffvalue", headers), Entry(2, b"", b"")])

    first, second = await read_records(log, Topic.DEAD_LETTERS, 2, 2)

    assert (first.topic, first.partition, first.offset) == (Topic.DEAD_LETTERS, 2, 0)
    assert (first.key, first.value, first.headers) == (b"\x00key", b"\xffvalue", headers)
    assert (second.key, second.value, second.headers, second.offset) == (b"", b"", (), 1)
    assert first.timestamp_ms <= second.timestamp_ms


async def test_entries_of_one_call_keep_their_order_within_a_partition(log: Log) -> None:
    """One publish over several partitions is read in the order given, partition by partition."""
    await log.publish(Topic.INBOX, [entry(n % 3, b"%d" % n) for n in range(300)])

    for partition in range(3):
        values = await read_values(log, Topic.INBOX, partition, 100)
        assert values == [b"%d" % n for n in range(partition, 300, 3)]


async def test_concurrent_publishers_lose_nothing(log: Log) -> None:
    """Hundreds of single publishes at once are all in the log, each once, and each publisher's own are in order."""

    async def publisher(name: int) -> None:
        for n in range(10):
            await log.publish(Topic.INBOX, (entry(1, b"%d:%d" % (name, n)),))

    await asyncio.gather(*(publisher(name) for name in range(50)))

    values = await read_values(log, Topic.INBOX, 1, 500)
    assert len(set(values)) == 500
    for name in range(50):
        mine = [v for v in values if v is not None and v.startswith(b"%d:" % name)]
        assert mine == [b"%d:%d" % (name, n) for n in range(10)]


async def test_a_published_record_can_be_read_at_once(log: Log) -> None:
    """When publish returns, the end has moved and a reader at the old end gets the record."""
    before = await log.bounds(Topic.EVENTS)
    await log.publish(Topic.EVENTS, (entry(0, b"one"),))
    after = await log.bounds(Topic.EVENTS)

    assert before[0] == Bounds(earliest=0, end=0)
    assert after[0] == Bounds(earliest=0, end=1)
    assert set(after) == {0, 1, 2, 3}
    assert await read_values(log, Topic.EVENTS, 0, 1, start=before[0].end) == [b"one"]


async def test_a_waiting_reader_wakes_for_a_new_record(log: Log) -> None:
    """A poll that began before the record was written returns it."""
    async with log.reader(Topic.EVENTS, {0: 0, 3: 0}) as reader:
        waiting = asyncio.create_task(reader.poll(20.0))
        await asyncio.sleep(0)
        await log.publish(Topic.EVENTS, (entry(3, b"late"),))

        assert [r.value for r in await waiting] == [b"late"]


async def test_a_poll_with_nothing_to_read_comes_back_empty(log: Log) -> None:
    """Nothing within the time-out is an empty answer, not an error, and not a wait for ever."""
    async with log.reader(Topic.EVENTS, {0: 0}) as reader:
        assert list(await reader.poll(0.05)) == []


async def test_a_poll_gives_at_most_what_was_asked_for(log: Log) -> None:
    """Reading in small polls gives every record once, in order."""
    await log.publish(Topic.EVENTS, [entry(0, b"%d" % n) for n in range(25)])
    values: list[bytes | None] = []
    async with asyncio.timeout(20), log.reader(Topic.EVENTS, {0: 0}) as reader:
        while len(values) < 25:
            records = await reader.poll(0.5, max_records=10)
            assert len(records) <= 10
            values.extend(r.value for r in records)

    assert values == [b"%d" % n for n in range(25)]


async def test_a_reader_begins_where_it_was_told(log: Log) -> None:
    """Each partition is read from its own start, and others are not read."""
    await log.publish(Topic.EVENTS, [entry(p, b"%d.%d" % (p, n)) for p in range(3) for n in range(3)])
    values: list[bytes | None] = []
    async with asyncio.timeout(20), log.reader(Topic.EVENTS, {0: 2, 1: 1}) as reader:
        while len(values) < 3:
            values.extend(r.value for r in await reader.poll(0.5))

    assert sorted(v or b"" for v in values) == [b"0.2", b"1.1", b"1.2"]


async def test_a_record_that_is_too_large_is_refused_before_it_is_written(log: Log) -> None:
    """Retrying cannot help, so it is an error of its own, and what came with it is not written either."""
    with pytest.raises(RecordTooLargeError, match="dead letter"):
        await log.publish(Topic.INBOX, [entry(0, b"fine"), entry(0, b"x" * MAX_RECORD_BYTES)])

    assert (await log.bounds(Topic.INBOX))[0].end == 0


async def test_the_largest_record_is_taken(log: Log) -> None:
    """What the limit allows really goes through, in company too."""
    large = b"x" * (MAX_RECORD_BYTES - 1)
    await log.publish(Topic.INBOX, [entry(0, b"before"), entry(0, large), entry(0, b"after")])

    assert await read_values(log, Topic.INBOX, 0, 3) == [b"before", large, b"after"]


async def test_an_unknown_partition_is_refused(log: Log) -> None:
    """A wrong partition number is a mistake in the caller, told at once."""
    with pytest.raises(LogError, match="partitions 0 to 3"):
        await log.publish(Topic.INBOX, (entry(4, b"x"),))


async def test_a_healthy_log_checks_out(log: Log) -> None:
    """`check` has nothing to say about a log that takes records."""
    assert await log.check() is None


async def test_topics_are_ensured_again_without_change(log: Log) -> None:
    """`ensure_topics` on topics that are there and right says ok for every one."""
    checks = await log.ensure_topics()

    assert {c.topic for c in checks} == set(Topic)
    assert {(c.state, c.detail) for c in checks} == {("ok", "")}
