"""The engine's partitions under the ownership loop: shared out, moved, fenced, and still nothing lost or doubled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cordboard.log.faults import Fault, Operation
from cordboard.log.memory import MemoryLog
from cordboard.log.owned import OwnerLimits
from cordboard.log.ownership import Owner
from cordboard.log.port import Entry
from engine.limits import EngineLimits
from engine.partition import engine_partition_factory
from engine_shell import PARTITIONS, ManualClock, command, counting_step, eventually
from schemas.codec import decode_state, encode
from schemas.records import Inbox
from schemas.state import Call
from schemas.topics import CLAIM_KEY, STATE_POSITION_KEY, Topic, partition_of

CALLS = [f"call-{n}" for n in range(40)]
LIMITS = OwnerLimits(poll_s=0.01, commit_every_s=0.02, retry_min_s=0.01, retry_max_s=0.05, rejoin_after_s=0.05)


def engine(log: MemoryLog, name: str) -> Owner:
    """An engine process."""
    factory = engine_partition_factory(
        counting_step, log, ManualClock(), limits=EngineLimits(retry_min_s=0.001, retry_max_s=0.01)
    )
    return Owner(log, group="engine", source=Topic.INBOX, fenced=Topic.STATE, factory=factory, name=name, limits=LIMITS)


@asynccontextmanager
async def running(owner: Owner) -> AsyncIterator[Owner]:
    """An engine that runs, and is stopped in order."""
    stop = asyncio.Event()
    task = asyncio.create_task(owner.run(stop))
    try:
        yield owner
    finally:
        stop.set()
        await task


async def put(log: MemoryLog, *records: Inbox) -> None:
    """Into the inbox, keyed by call."""
    keys = [r.call_id.encode() for r in records]
    await log.publish(
        Topic.INBOX, [Entry(partition_of(k, PARTITIONS), k, encode(r)) for k, r in zip(keys, records, strict=True)]
    )


def calls(log: MemoryLog) -> dict[str, Call]:
    """Every call as its last state record has it."""
    found: dict[str, Call] = {}
    for partition in range(PARTITIONS):
        for record in log.records(Topic.STATE, partition):
            if record.key not in {CLAIM_KEY, STATE_POSITION_KEY}:
                state = decode_state(record.value or b"")
                assert state.call is not None
                found[state.call.call_id] = state.call
    return found


def said(log: MemoryLog) -> set[bytes | None]:
    """Everything that has left, repetitions once."""
    return {r.value for p in range(PARTITIONS) for r in log.records(Topic.EVENTS, p)}


def counted(log: MemoryLog, times: int) -> bool:
    """Whether every call has counted so often."""
    found = calls(log)
    return [found[c].routed if c in found else -1 for c in CALLS] == [times] * len(CALLS)


async def test_a_second_engine_takes_over_part_of_the_work_and_gives_it_back() -> None:
    """Calls go on where they were, whoever owns them at the moment."""
    log = MemoryLog(PARTITIONS, clock=ManualClock(), eager=True)
    async with running(engine(log, "first")) as first:
        await put(log, *(command("begin", c, n) for n, c in enumerate(CALLS)))
        await eventually(lambda: counted(log, 0), "all calls begun")
        async with running(engine(log, "second")) as second:
            await eventually(lambda: len(second.status().live) == len(first.status().live) == 2, "two and two")
            await put(log, *(command("count", c, 100 + n) for n, c in enumerate(CALLS)))
            await eventually(lambda: counted(log, 1), "all calls counted once")
        await eventually(lambda: len(first.status().live) == PARTITIONS, "all back")
        await put(log, *(command("count", c, 200 + n) for n, c in enumerate(CALLS)))
        await eventually(lambda: counted(log, 2), "all calls counted twice")


@pytest.mark.parametrize("written", [True, False])
async def test_a_doubtful_append_means_taking_the_partition_anew(written: bool) -> None:
    """The loop discards the object and the log decides; the records are applied once."""
    log = MemoryLog(PARTITIONS, clock=ManualClock())
    async with running(engine(log, "only")):
        await put(log, *(command("begin", c, n) for n, c in enumerate(CALLS)))
        await eventually(lambda: counted(log, 0), "all calls begun")
        log.faults.add(Fault(Operation.APPEND, Topic.STATE, times=3, written=written))
        await put(log, *(command("count", c, 100 + n) for n, c in enumerate(CALLS)))
        await eventually(lambda: counted(log, 1) and not log.faults.pending(), "all calls counted once")
        await put(log, *(command("count", c, 200 + n) for n, c in enumerate(CALLS)))
        await eventually(lambda: counted(log, 2), "all calls counted twice")


async def test_an_evicted_engine_is_fenced_and_its_calls_go_on_elsewhere() -> None:
    """A process that was thought dead and was not writes nothing more; every record is applied once."""
    log = MemoryLog(PARTITIONS, clock=ManualClock(), eager=True)
    async with running(engine(log, "zombie")) as zombie:
        await put(log, *(command("begin", c, n) for n, c in enumerate(CALLS)))
        await eventually(lambda: counted(log, 0), "all calls begun")
        group = log.group("engine", Topic.INBOX)
        member = group.members[0]
        async with running(engine(log, "heir")) as heir:
            await group.evict(member)
            await put(log, *(command("count", c, 100 + n) for n, c in enumerate(CALLS)))
            await eventually(lambda: counted(log, 1), "all calls counted once")
            await eventually(lambda: len(heir.status().live) == PARTITIONS, "the heir has all")
            await eventually(lambda: not zombie.status().live, "the zombie has none")
            await eventually(lambda: len(said(log)) >= 4 * len(CALLS), "all events")
            assert len(said(log)) == 4 * len(CALLS)
