"""The in-memory log's own side: scripted faults, its clock, zombies, and deleted records."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
import pytest

from cordboard.errors import AppendFailedError, FencedError, LogUnavailableError
from cordboard.log.faults import Fault, Operation, Point
from cordboard.log.memory import MemoryLog
from cordboard.log.port import PositionLostError, Record
from log_harness import (
    QUICK,
    Applied,
    Journal,
    Ledger,
    Notes,
    entry,
    eventually,
    is_live,
    owning,
    polled,
    read_values,
    replay_values,
    state_of,
)
from schemas.topics import CLAIM_KEY, Topic


@pytest.fixture
def log() -> MemoryLog:
    """An empty log with two partitions."""
    return MemoryLog(2)


async def test_a_refused_publish_writes_nothing(log: MemoryLog) -> None:
    """A fault that strikes before the write leaves no trace."""
    log.faults.add(Fault(Operation.PUBLISH, Topic.INBOX))
    with pytest.raises(LogUnavailableError, match="scripted"):
        await log.publish(Topic.INBOX, (entry(0, b"x"),))
    assert log.records(Topic.INBOX, 0) == ()
    assert log.faults.pending() == []


async def test_a_lost_acknowledgement_leaves_the_record(log: MemoryLog) -> None:
    """A fault that strikes after the write fails the caller, and the record is there all the same."""
    log.faults.add(Fault(Operation.PUBLISH, written=True))
    with pytest.raises(LogUnavailableError, match="acknowledgement lost"):
        await log.publish(Topic.INBOX, (entry(0, b"x"),))
    assert await read_values(log, Topic.INBOX, 0, 1) == [b"x"]


async def test_faults_strike_where_and_when_they_are_told(log: MemoryLog) -> None:
    """Topic, partition and count choose the operation; the others pass, and what has struck is on record."""
    fault = Fault(Operation.APPEND, Topic.STATE, partition=1, nth=2)
    log.faults.add(fault)
    zero, one = await log.claim(Topic.STATE, 0, "a"), await log.claim(Topic.STATE, 1, "a")
    for n in range(3):
        await zero.append([entry(0, b"%d" % n)])
    await one.append([entry(1, b"first")])
    assert log.faults.pending() == [fault]
    with pytest.raises(AppendFailedError):
        await one.append([entry(1, b"second")])
    assert log.faults.struck == [fault]
    assert await replay_values(await log.claim(Topic.STATE, 1, "b")) == [b"first"]


async def test_a_fault_may_say_with_which_error(log: MemoryLog) -> None:
    """An append can be made to fail as if fenced."""
    log.faults.add(Fault(Operation.APPEND, error=FencedError))
    fenced = await log.claim(Topic.STATE, 0, "a")
    with pytest.raises(FencedError):
        await fenced.append([entry(0, b"x")])


async def test_replay_commit_claim_and_check_fail_too(log: MemoryLog) -> None:
    """Every operation of the port can be struck."""
    fenced = await log.claim(Topic.STATE, 0, "a")
    log.faults.add(Fault(Operation.REPLAY), Fault(Operation.CLAIM), Fault(Operation.COMMIT), Fault(Operation.CHECK))
    with pytest.raises(LogUnavailableError):
        await replay_values(fenced)
    with pytest.raises(LogUnavailableError):
        await log.claim(Topic.STATE, 0, "b")
    with pytest.raises(LogUnavailableError):
        await log.save_committed("g", Topic.INBOX, {0: 1})
    assert "scripted" in (await log.check() or "")
    assert log.faults.pending() == []


async def test_hooks_see_every_write_and_may_die_there(log: MemoryLog) -> None:
    """A hook is called before and after each write, and what it raises is what the caller gets: a crash right there."""
    seen: list[tuple[Operation, Point]] = []

    async def hook(on: Operation, point: Point, topic: Topic, partition: int) -> None:
        assert (topic, partition) == (Topic.INBOX, 1)
        seen.append((on, point))
        if point is Point.AFTER:
            raise KeyboardInterrupt

    log.faults.hook = hook
    with pytest.raises(KeyboardInterrupt):
        await log.publish(Topic.INBOX, (entry(1, b"x"),))
    assert seen == [(Operation.PUBLISH, Point.BEFORE), (Operation.PUBLISH, Point.AFTER)]
    assert len(log.records(Topic.INBOX, 1)) == 1


async def test_a_record_can_be_in_the_log_twice(log: MemoryLog) -> None:
    """What a lost acknowledgement and a retry leave behind can be asked for."""
    log.faults.deliver_again(Topic.INBOX, 0)
    await log.publish(Topic.INBOX, (entry(0, b"twice"),))
    await log.publish(Topic.INBOX, (entry(0, b"once"),))
    assert await read_values(log, Topic.INBOX, 0, 3) == [b"twice", b"twice", b"once"]


async def test_a_stalled_partition_brings_nothing_until_released(log: MemoryLog) -> None:
    """Writing goes on, reading stands still, and nothing is lost when it is released."""
    log.stall(Topic.INBOX, 0)
    await log.publish(Topic.INBOX, [entry(0, b"a"), entry(1, b"b")])
    async with log.reader(Topic.INBOX, {0: 0, 1: 0}) as reader:
        assert [r.value for r in await reader.poll(1.0)] == [b"b"]
        waiting = asyncio.create_task(reader.poll(5.0))
        await asyncio.sleep(0)
        log.release(Topic.INBOX, 0)
        assert [r.value for r in await waiting] == [b"a"]


async def test_an_unavailable_log_says_why(log: MemoryLog) -> None:
    """While it is unavailable every write fails with the reason, reading goes on, and readiness knows."""
    await log.publish(Topic.INBOX, (entry(0, b"x"),))
    log.unavailable = "the cable is out"
    with pytest.raises(LogUnavailableError, match="cable"):
        await log.publish(Topic.INBOX, (entry(0, b"y"),))
    assert await log.check() == "the cable is out"
    assert await read_values(log, Topic.INBOX, 0, 1) == [b"x"]


async def test_time_is_the_test_s() -> None:
    """Records carry the clock's milliseconds; without a clock they are numbered, never timed."""
    log = MemoryLog(1, clock=lambda: 1234)
    await log.publish(Topic.INBOX, (entry(0, b"x"),))
    assert log.records(Topic.INBOX, 0)[0].timestamp_ms == 1234
    bare = MemoryLog(1)
    await bare.publish(Topic.INBOX, [entry(0, b"x"), entry(0, b"y")])
    assert [r.timestamp_ms for r in bare.records(Topic.INBOX, 0)] == [1, 2]


async def test_t11_records_deleted_unread_are_loud(log: MemoryLog) -> None:
    """A member whose next record has been deleted is told so for that partition; the others go on."""
    await log.publish(Topic.INBOX, [entry(p, b"%d" % p) for p in (0, 0, 1)])
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        sub.seek(0, 0)
        sub.seek(1, 0)
        log.truncate(Topic.INBOX, 0, before=1)
        sub.resume([0, 1])
        with pytest.raises(PositionLostError, match="offset 0 is not in the log"):
            await sub.poll(0.1)
        assert [r.value for r in (await sub.poll(1.0))[1]] == [b"1"]


async def test_a_zombie_does_not_know_until_it_is_woken(log: MemoryLog) -> None:
    """An evicted member believes it owns its partitions, may not claim, cannot commit, and is told when it rejoins."""
    first, second = Notes(), Notes()
    group = log.group("g", Topic.INBOX)
    async with (
        log.subscribe("g", Topic.INBOX, first) as zombie,
        log.subscribe("g", Topic.INBOX, second) as heir,
        polled(zombie),
        polled(heir),
    ):
        await eventually(lambda: len(first.held) == len(second.held) == 1, "shared")
        mine = next(iter(first.held))
        await group.evict(zombie.membership)
        assert second.held == {0, 1}
        assert first.held == {mine}
        assert not zombie.may_claim(mine)
        with pytest.raises(LogUnavailableError):
            await zombie.commit({mine: 1})
        await group.rejoin(zombie.membership)
        assert len(first.held) == len(second.held) == 1
        assert first.told[-2:] == [("revoked", (mine,)), ("assigned", tuple(first.held))]


def are_applied(log: MemoryLog, count: int) -> bool:
    """Whether the state topic covers the values 0 to `count`."""
    values = [r.value for p in (0, 1) for r in log.records(Topic.STATE, p) if r.key != CLAIM_KEY]
    return {msgspec.json.decode(v or b"", type=Applied).value for v in values} == {b"%d" % n for n in range(count)}


async def test_an_owner_survives_every_single_fault() -> None:
    """The script of a bad day: each kind of fault in turn, and in the end every record is applied once, in order."""
    log = MemoryLog(2)
    script = [
        Fault(on, nth=nth, written=written)
        for on in (Operation.APPEND, Operation.CLAIM, Operation.REPLAY, Operation.COMMIT)
        for nth in (1, 2, 3)
        for written in (False, True)
        if written is False or on in {Operation.APPEND, Operation.CLAIM}
    ]
    sent = 0
    async with owning(log, Journal()) as owner:
        await eventually(is_live(owner, (0, 1)), "live")
        for fault in script:
            log.faults.add(fault)
            if fault.on in {Operation.CLAIM, Operation.REPLAY}:
                log.faults.add(Fault(Operation.APPEND, times=fault.nth))  # makes it claim again
            for _ in range(4):
                await log.publish(Topic.INBOX, (entry(sent % 2, b"%d" % sent),))
                sent += 1
            await eventually(partial(are_applied, log, sent), "applied")

    for partition in (0, 1):
        applied = [a.value for a in await state_of(log, partition)]
        assert applied == [b"%d" % n for n in range(partition, sent, 2)]
    assert len(log.faults.struck) >= len(script)


async def test_what_the_state_covers_is_not_handed_over_again(log: MemoryLog) -> None:
    """Where the committed offset lags behind the state, the state decides where feeding begins."""
    await log.publish(Topic.INBOX, [entry(0, b"a"), entry(0, b"b")])
    async with owning(log, first := Journal()):
        await eventually(lambda: len(first.handled) == 2, "both handled")
    await log.save_committed("engine", Topic.INBOX, {0: 0})
    await log.publish(Topic.INBOX, (entry(0, b"c"),))

    second = Journal()
    given: list[int] = []

    async def note(ledger: Ledger, records: Sequence[Record]) -> None:
        del ledger
        given.extend(r.offset for r in records)

    second.before_handle = note  # type: ignore[method-assign]
    async with owning(log, second, name="engine-2"):
        await eventually(lambda: second.values() == [b"c"], "the new one handled")
    assert given == [2]


async def test_without_a_fresh_heartbeat_nothing_is_claimed_anew(log: MemoryLog) -> None:
    """After a failed append, an owner that the group has lost keeps its hands off until the group says otherwise."""
    group = log.group("engine", Topic.INBOX)
    async with owning(log, journal := Journal()) as owner:
        await eventually(is_live(owner, (0, 1)), "live")
        (member,) = group.members
        await group.evict(member)
        log.faults.add(Fault(Operation.APPEND))
        await log.publish(Topic.INBOX, (entry(0, b"x"),))
        await eventually(lambda: [p for p, _ in owner.status().failed] == [0], "the append has failed")
        await asyncio.sleep(QUICK.retry_max_s)  # the longest back-off: a wrong claim would be there by now
        assert [p for p, _ in journal.claims].count(0) == 1
        await group.rejoin(member)
        await eventually(lambda: b"x" in journal.values(), "applied after a new assignment")


async def test_a_claim_overtaken_before_its_answer_keeps_its_own_token(log: MemoryLog) -> None:
    """Whoever hears of its claim only after the next one was made is fenced, and does not take the other's place."""
    written, go_on = asyncio.Event(), asyncio.Event()

    async def stand_still(on: Operation, at: Point, _topic: Topic, _partition: int) -> None:
        if (on, at) == (Operation.CLAIM, Point.AFTER):
            written.set()
            await go_on.wait()

    log.faults.hook = stand_still
    late = asyncio.create_task(log.claim(Topic.STATE, 0, "zombie"))
    await written.wait()
    log.faults.hook = None
    owner = await log.claim(Topic.STATE, 0, "owner")
    go_on.set()
    zombie = await late
    assert zombie.token < owner.token
    with pytest.raises(FencedError):
        await zombie.append([entry(0, b"late")])
    await owner.append([entry(0, b"good")])
