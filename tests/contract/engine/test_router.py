"""Commands come from anybody, by any partitioner, and arrive in the inbox of their call: once each by id, in order."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from cordboard.log.faults import Fault, Operation
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, Headers, Record
from engine.limits import EngineLimits
from engine.router import GROUP, Router
from engine_shell import PARTITIONS, ManualClock, eventually
from schemas.codec import decode_inbox, encode
from schemas.records import Command
from schemas.topics import Topic, partition_of

CALLS = [f"CA{n:032x}" for n in range(30)]


def crc32_partition(key: bytes) -> int:
    """What librdkafka's default partitioner chooses."""
    return zlib.crc32(key) % PARTITIONS


def hold(call_id: str, number: int, **attributes: object) -> dict[str, object]:
    """A structured CloudEvent that asks for a hold."""
    return {
        "specversion": "1.0", "id": str(number), "source": "/crm", "type": "cordboard.command.call.hold.v1",
        "subject": call_id, "data": {}, **attributes,
    }  # fmt: skip


async def put(log: MemoryLog, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None) -> None:
    """Into the commands, as a foreign client does."""
    chosen = crc32_partition(key) if partition is None else partition
    await log.publish(Topic.COMMANDS, [Entry(chosen, key, value, headers)])


@asynccontextmanager
async def routing(log: MemoryLog, clock: ManualClock, batch_records: int = 500) -> AsyncIterator[Router]:
    """A router that runs, and is stopped in order."""
    limits = EngineLimits(retry_min_s=0.001, retry_max_s=0.01, batch_records=batch_records)
    router = Router(log, clock, 60.0, limits=limits)
    stop = asyncio.Event()
    task = asyncio.create_task(router.run(stop))
    try:
        yield router
    finally:
        stop.set()
        await task


def inbox(log: MemoryLog) -> Mapping[int, list[Command]]:
    """The commands in the inbox, by partition."""
    return {p: [as_command(r) for r in log.records(Topic.INBOX, p)] for p in range(PARTITIONS)}


def as_command(record: Record) -> Command:
    """An inbox record that must be a command under its call's key."""
    decoded = decode_inbox(record.value or b"")
    assert isinstance(decoded, Command)
    assert record.key == decoded.call_id.encode()
    return decoded


def arrived(log: MemoryLog) -> int:
    """How many records are in the inbox."""
    return sum(len(log.records(Topic.INBOX, p)) for p in range(PARTITIONS))


def dead_letters(log: MemoryLog) -> list[Record]:
    """All of them."""
    return [r for p in range(PARTITIONS) for r in log.records(Topic.DEAD_LETTERS, p)]


def a_log() -> tuple[MemoryLog, ManualClock]:
    """A log and the clock that it and the router tell the time by."""
    clock = ManualClock()
    return MemoryLog(PARTITIONS, clock=clock), clock


async def test_commands_of_a_foreign_partitioner_come_to_the_partition_of_their_call() -> None:
    """CRC32 puts most keys elsewhere than murmur2 does; the router puts each where the engine looks for it."""
    log, clock = a_log()
    keys = [c.encode() for c in CALLS]
    assert [crc32_partition(k) for k in keys] != [partition_of(k, PARTITIONS) for k in keys]
    for number, call_id in enumerate(CALLS):
        await put(log, call_id.encode(), encode(hold(call_id, number)))

    async with routing(log, clock):
        await eventually(lambda: arrived(log) == len(CALLS), "all commands")

    for partition, commands in inbox(log).items():
        assert all(partition_of(c.call_id.encode(), PARTITIONS) == partition for c in commands)
    assert sorted(c.call_id for commands in inbox(log).values() for c in commands) == sorted(CALLS)


async def test_the_order_of_a_source_partition_is_kept() -> None:
    """Commands of one producer for one call arrive as they were sent, whatever else is routed meanwhile."""
    log, clock = a_log()
    for number in range(300):
        call_id = CALLS[number % 3]
        await put(log, b"any", encode(hold(call_id, number)), partition=2)
        await put(log, b"any", encode(hold(CALLS[9], 10_000 + number)), partition=1)

    async with routing(log, clock):
        await eventually(lambda: arrived(log) == 600, "all commands")

    for call_id in CALLS[:3]:
        numbers = [int(c.command_id) for commands in inbox(log).values() for c in commands if c.call_id == call_id]
        assert numbers == sorted(numbers)
        assert len(numbers) == 100


async def test_the_order_is_kept_when_a_batch_has_to_be_published_again() -> None:
    """No batch of a source partition overtakes the one before it, however often that one fails."""
    log, clock = a_log()
    for number in range(60):
        await put(log, b"any", encode(hold(CALLS[0], number)), partition=2)
    log.faults.add(Fault(Operation.PUBLISH, Topic.INBOX, times=3))

    async with routing(log, clock, batch_records=10):
        await eventually(lambda: arrived(log) == 60, "all commands")

    numbers = [int(c.command_id) for commands in inbox(log).values() for c in commands]
    assert numbers == list(range(60))


async def test_binary_mode_is_taken_like_structured_mode() -> None:
    """Attributes in `ce_` headers, the data as the value; extra headers do no harm."""
    log, clock = a_log()
    attributes = {k: v for k, v in hold(CALLS[0], 1, traceparent="00-aa-bb-01").items() if k != "data"}
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in attributes.items())
    await put(log, b"any", b'{"leg":"agent-1"}', (*headers, ("ce_datacontenttype", b"x"), ("retries", b"1")))
    await put(log, b"any", encode(hold(CALLS[0], 1, traceparent="00-aa-bb-01", data={"leg": "agent-1"})))

    async with routing(log, clock):
        await eventually(lambda: arrived(log) == 2, "both")

    binary, structured = inbox(log)[partition_of(CALLS[0].encode(), PARTITIONS)]
    assert binary == structured
    assert (binary.name, bytes(binary.data), binary.trace) == ("call.hold", b'{"leg":"agent-1"}', "00-aa-bb-01")


async def test_what_is_no_cloud_event_is_put_aside_as_it_came() -> None:
    """Bytes, key, reason and source topic: nothing is dropped in silence, and those behind it are routed."""
    log, clock = a_log()
    for value in (b"", b"hello", b'{"specversion":"0.3"}', b"\xff", b"[" * 100_000):
        await put(log, b"their-key", value, partition=3)
    await put(log, b"their-key", encode(hold(CALLS[0], 1)), partition=3)

    async with routing(log, clock):
        await eventually(lambda: arrived(log) == 1, "the good one")

    letters = dead_letters(log)
    assert [r.value for r in letters] == [b"", b"hello", b'{"specversion":"0.3"}', b"\xff", b"[" * 100_000]
    headers = [dict(r.headers) for r in letters]
    assert {(h["reason"], h["source_topic"]) for h in headers} == {(b"invalid", b"call.commands")}
    assert all(h["detail"] for h in headers)
    assert {r.key for r in letters} == {b"their-key"}


async def test_a_command_that_cannot_be_understood_is_routed_to_its_rejection() -> None:
    """Unknown types and bad data are the step's to answer: they reach the inbox with the reason."""
    log, clock = a_log()
    await put(log, b"k", encode(hold(CALLS[0], 1, type="cordboard.command.call.dance.v1")))
    await put(log, b"k", encode(hold(CALLS[0], 2, data={"leg": 7})))
    async with routing(log, clock):
        await eventually(lambda: arrived(log) == 2, "both")

    commands = inbox(log)[partition_of(CALLS[0].encode(), PARTITIONS)]
    assert ["unknown type" in (c.invalid or "") for c in commands] == [True, False]
    assert "bad data of call.hold" in (commands[1].invalid or "")


async def test_a_crash_before_the_commit_gives_the_same_ids_again() -> None:
    """At least once, under derived ids: the step drops the repetition."""
    log, clock = a_log()
    for number, call_id in enumerate(CALLS):
        await put(log, b"k", encode(hold(call_id, number)), partition=0)
    log.faults.add(Fault(Operation.COMMIT, Topic.COMMANDS, times=2))
    async with routing(log, clock):
        await eventually(lambda: arrived(log) == len(CALLS), "all commands")
        await eventually(lambda: not log.faults.pending() or len(log.faults.struck) > 0, "the commit that fails")
    assert await log.load_committed(GROUP, Topic.COMMANDS, 0) is None

    async with routing(log, clock):
        await eventually(lambda: arrived(log) == 2 * len(CALLS), "all commands again")
        await eventually(lambda: committed(log, 0) == len(CALLS), "the commit")

    ids = [c.id for commands in inbox(log).values() for c in commands]
    assert len(ids) == 2 * len(set(ids))


async def test_what_was_routed_and_committed_is_not_routed_again() -> None:
    """The next router begins behind it."""
    log, clock = a_log()
    await put(log, b"k", encode(hold(CALLS[0], 1)), partition=0)
    async with routing(log, clock):
        await eventually(lambda: committed(log, 0) == 1, "the commit")
    await put(log, b"k", encode(hold(CALLS[0], 2)), partition=0)
    async with routing(log, clock):
        await eventually(lambda: committed(log, 0) == 2, "the second commit")

    assert arrived(log) == 2


async def test_an_inbox_that_is_away_holds_commands_up_and_loses_none() -> None:
    """Tried again until it is acknowledged; a doubtful one may come twice, under one id."""
    log, clock = a_log()
    log.faults.add(
        Fault(Operation.PUBLISH, Topic.INBOX, times=3), Fault(Operation.PUBLISH, Topic.INBOX, nth=4, written=True)
    )
    for number, call_id in enumerate(CALLS):
        await log.publish(Topic.COMMANDS, [Entry(0, b"k", encode(hold(call_id, number)))])

    async with routing(log, clock):
        await eventually(lambda: committed(log, 0) == len(CALLS), "the commit")

    ids = [c.id for commands in inbox(log).values() for c in commands]
    assert len(set(ids)) == len(CALLS)
    assert log.faults.pending() == []


async def test_a_command_that_lay_for_an_hour_is_past_its_deadline() -> None:
    """The default deadline counts from when the log took the command, not from when a router came by."""
    log, clock = a_log()
    sent = clock()
    await put(log, b"k", encode(hold(CALLS[0], 1)))
    await put(log, b"k", encode(hold(CALLS[0], 2, deadline="2030-01-01T00:00:00Z")))
    clock.now_ms += 3_600_000

    async with routing(log, clock):
        await eventually(lambda: arrived(log) == 2, "both")

    stale, own = inbox(log)[partition_of(CALLS[0].encode(), PARTITIONS)]
    assert (stale.at, stale.deadline) == (sent + 3_600_000, sent + 60_000)
    assert own.deadline > own.at


async def test_a_command_that_is_too_large_for_the_inbox_is_put_aside() -> None:
    """What fits into `call.commands` and not into `call.inbox` must not stop the commands behind it."""
    log, clock = a_log()
    big = hold(CALLS[0], 1, data={"leg": "customer", "more": "x" * 999_700})
    await put(log, b"k", encode(big))
    await put(log, b"k", encode(hold(CALLS[0], 2)))

    async with routing(log, clock):
        await eventually(lambda: arrived(log) == 1, "the one behind it")

    (letter,) = dead_letters(log)
    assert dict(letter.headers)["reason"] == b"too_large"


async def test_a_lost_position_is_said_and_the_other_partitions_go_on() -> None:
    """Records deleted unread are a loss: that partition stands still, visibly."""
    log, clock = a_log()
    async with routing(log, clock) as router:
        await eventually(lambda: len(router.status().live) == PARTITIONS, "all partitions")
        log.stall(Topic.COMMANDS, 0)
        for number in range(3):
            await put(log, b"k", encode(hold(CALLS[0], number)), partition=0)
        log.truncate(Topic.COMMANDS, 0, 2)
        log.release(Topic.COMMANDS, 0)
        await eventually(lambda: bool(router.status().failed), "the lost position")
        await put(log, b"k", encode(hold(CALLS[1], 7)), partition=1)
        await eventually(lambda: arrived(log) == 1, "another partition's command")

        (failed,) = router.status().failed
        assert failed[0] == 0
        assert "lost" in failed[1]
        assert 0 not in router.status().live


async def test_two_routers_share_the_partitions() -> None:
    """Each partition is routed by one of them, and all commands arrive."""
    log, clock = a_log()
    async with routing(log, clock) as one, routing(log, clock) as other:
        await eventually(lambda: len(one.status().live) == len(other.status().live) == 2, "two and two")
        for number, call_id in enumerate(CALLS):
            await put(log, call_id.encode(), encode(hold(call_id, number)))
        await eventually(lambda: arrived(log) == len(CALLS), "all commands")
    assert arrived(log) == len(CALLS)


def committed(log: MemoryLog, partition: int) -> int | None:
    """What the group has committed."""
    offsets: Any = log._committed
    found = offsets.get((GROUP, Topic.COMMANDS, partition))
    return None if found is None else msgspec.convert(found, int)
