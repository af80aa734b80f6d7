"""The ledger: what a successor learns, how long results are remembered, and that appends are shared."""

import asyncio

import msgspec
import pytest

from action_bench import PARTITION, dial
from actions.ledger import Ledger, Phase
from cordboard.errors import AppendFailedError
from cordboard.log.faults import Fault, Operation, Point
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from schemas.records import ActionOutcome, ActionReport
from schemas.topics import Topic


class Time:
    """A clock that a test moves."""

    now = 1_000_000

    def __call__(self) -> int:
        """Milliseconds."""
        return self.now


def report(action: str, call_id: str = "call-1") -> ActionReport:
    """A result."""
    return ActionReport(
        id=f"report.{action}.done",
        call_id=call_id,
        at=5,
        action=action,
        action_type="hang_up",
        outcome=ActionOutcome.DONE,
    )


async def taken(log: MemoryLog, clock: Time, kept: int = 100) -> tuple[Ledger, int | None]:
    """A new owner's ledger, replayed, and where the source is to be read from."""
    ledger = Ledger(PARTITION, await log.claim(Topic.LEDGER, PARTITION, "w"), clock, kept_ms=60_000, kept=kept)
    return ledger, await ledger.replay()


async def test_a_new_ledger_knows_nothing() -> None:
    """Without records the group's committed offset decides."""
    ledger, start = await taken(MemoryLog(1), Time())
    assert start is None
    assert ledger.of("a") is None


async def test_results_and_open_intents_survive_their_owner() -> None:
    """A successor finds the report word for word, and the intent with its attempt."""
    log, clock = MemoryLog(1), Time()
    first, _ = await taken(log, clock)
    await first.intend(dial(1), attempt=1, offset=0, floor=0)
    await first.finish(report("call-1.1.0"), offset=0, floor=0)
    await first.intend(dial(2), attempt=3, offset=1, floor=1)
    second, start = await taken(log, clock)
    done, begun = second.of("call-1.1.0"), second.of("call-1.2.0")
    assert done is not None
    assert (done.phase, done.report) == (Phase.DONE, report("call-1.1.0"))
    assert begun is not None
    assert (begun.phase, begun.attempt, begun.report) == (Phase.INTENT, 3, None)
    assert (start, second.open_intents()) == (1, 1)


async def test_the_start_skips_what_has_ended_in_a_row() -> None:
    """The last result was written before it counted as finished: the next owner need not see it again."""
    log, clock = MemoryLog(1), Time()
    first, _ = await taken(log, clock)
    for offset in (0, 1, 3):
        await first.finish(report(f"a{offset}"), offset=offset, floor=0)
    assert (await taken(log, clock))[1] == 2


async def test_a_position_written_by_itself_counts() -> None:
    """A record that left no result of its own is not seen again either."""
    log, clock = MemoryLog(1), Time()
    ledger, _ = await taken(log, clock)
    await ledger.advance(offset=9, floor=10)
    assert (await taken(log, clock))[1] == 10


async def test_old_results_are_forgotten_unless_they_may_come_again() -> None:
    """After their time results go, but never one at or above the floor."""
    log, clock = MemoryLog(1), Time()
    ledger, _ = await taken(log, clock)
    await ledger.finish(report("old"), offset=0, floor=0)
    await ledger.finish(report("stuck"), offset=1, floor=1)
    clock.now += 61_000
    await ledger.finish(report("new"), offset=2, floor=1)
    assert ledger.of("old") is None
    assert ledger.of("stuck") is not None
    assert ledger.of("new") is not None


async def test_no_more_results_than_allowed_are_remembered() -> None:
    """Memory is bounded, whatever happens."""
    ledger, _ = await taken(MemoryLog(1), Time(), kept=2)
    for offset in range(3):
        await ledger.finish(report(f"a{offset}"), offset=offset, floor=0)
    assert [ledger.of(f"a{offset}") is not None for offset in range(3)] == [False, True, True]


async def test_what_an_earlier_owner_writes_too_late_is_left_aside() -> None:
    """A record with a lower token after a higher one is never believed."""
    log, clock = MemoryLog(1), Time()
    zombie, _ = await taken(log, clock)
    fenced = await log.claim(Topic.LEDGER, PARTITION, "w2")
    new = Ledger(PARTITION, fenced, clock, kept_ms=1000, kept=10)
    await new.replay()
    await new.intend(dial(1), attempt=1, offset=0, floor=0)
    with pytest.raises(AppendFailedError):
        await zombie.finish(report("call-1.1.0"), offset=0, floor=0)
    forged = msgspec.json.encode({"phase": "done", "owner": 0, "at": 1, "offset": 0, "floor": 7})
    await log.append(Topic.LEDGER, [Entry(PARTITION, b"call-1.1.0", forged)], fenced.token)
    third, start = await taken(log, clock)
    known = third.of("call-1.1.0")
    assert known is not None
    assert (known.phase, start) == (Phase.INTENT, 0)


async def test_intents_of_the_same_moment_share_an_append() -> None:
    """Many calls at once cost two appends: the first one's, and one for all who came meanwhile."""
    log, clock = MemoryLog(1), Time()
    ledger, _ = await taken(log, clock)
    appends = 0

    async def count(on: Operation, _point: object, _topic: Topic, _partition: int) -> None:
        nonlocal appends
        appends += on is Operation.APPEND

    log.faults.hook = count
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(ledger.intend(dial(number, f"call-{number}"), attempt=1, offset=number, floor=0))
    assert ledger.open_intents() == 50
    assert appends // 2 <= 2  # the hook is called before and after each


async def test_a_failed_append_fails_everybody_in_it_and_after_it() -> None:
    """The one error rule: nothing that waited may be believed, and nothing more can be written."""
    log, clock = MemoryLog(1), Time()
    ledger, _ = await taken(log, clock)
    log.faults.add(Fault(Operation.APPEND, Topic.LEDGER, written=True))
    results = await asyncio.gather(
        *(ledger.intend(dial(number), attempt=1, offset=number, floor=0) for number in range(3)),
        return_exceptions=True,
    )
    assert all(isinstance(result, AppendFailedError) for result in results)
    assert ledger.open_intents() == 0
    with pytest.raises(AppendFailedError):
        await ledger.intend(dial(9), attempt=1, offset=9, floor=0)


async def test_a_failed_append_fails_those_that_waited_for_the_next() -> None:
    """Who came while an append was on its way does not wait for ever when it fails."""
    log, clock = MemoryLog(1), Time()
    ledger, _ = await taken(log, clock)
    on_its_way, go = asyncio.Event(), asyncio.Event()

    async def held(on: Operation, point: Point, _topic: Topic, _partition: int) -> None:
        if on is Operation.APPEND and point is Point.BEFORE:
            on_its_way.set()
            await go.wait()

    log.faults.hook = held
    log.faults.add(Fault(Operation.APPEND, Topic.LEDGER))
    first = asyncio.create_task(ledger.intend(dial(1), attempt=1, offset=0, floor=0))
    await on_its_way.wait()
    second = asyncio.create_task(ledger.intend(dial(2), attempt=1, offset=1, floor=0))
    await asyncio.sleep(0)
    go.set()
    async with asyncio.timeout(5):
        results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(result) for result in results] == [AppendFailedError, AppendFailedError]


async def test_a_large_burst_goes_in_several_appends() -> None:
    """No append is larger than a broker takes."""
    log, clock = MemoryLog(1), Time()
    ledger, _ = await taken(log, clock)
    large = msgspec.structs.replace(report("x"), reason="r" * 150_000)
    await asyncio.gather(
        *(ledger.finish(msgspec.structs.replace(large, action=f"a{n}"), offset=n, floor=0) for n in range(6))
    )
    assert all(ledger.of(f"a{n}") is not None for n in range(6))
