"""Owners that die, come late or are given up: what their successors do, and what never leaves."""

import asyncio
import time

import pytest

from action_bench import PARTITION, bench, config_for, dial, hang_up
from actions.ledger import Ledger
from cordboard.clock import system_clock
from cordboard.errors import AppendFailedError, FencedError
from cordboard.log.faults import Fault, Operation, Point
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from fake_twilio import (
    CALL_1,
    CONFERENCES,
    ROOM,
    FakeTwilio,
    Reply,
    call,
    call_path,
    conference,
    participant,
    participant_path,
    participants_path,
)
from schemas.records import ActionOutcome
from schemas.topics import Topic

ROOM_1 = participants_path("room-call-1")
CREATED = Reply(201, participant(CALL_1, "target-1"))


async def test_a_successor_answers_what_its_predecessor_did(twilio: FakeTwilio) -> None:
    """The ledger outlives its owner: after a take-over a repeated action is not carried out again."""
    twilio.on("POST", ROOM_1, CREATED)
    action = dial()
    async with bench(config_for(twilio.url)) as at:
        first = await at.take()
        await at.do(first, action)
        await at.reports(1)
        await first.release()
        second = await at.take()
        await at.do(second, action)
        before, restored, after = await at.reports(3)  # the second one because it may not have been reported before
        await second.release()
    assert before == restored == after
    assert len(twilio.requests) == 1


async def test_an_intent_without_a_result_is_looked_up_never_repeated(twilio: FakeTwilio) -> None:
    """Killed between intent and result: the successor finds the leg by its label and creates nothing."""
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": [conference()]}))
    twilio.on("GET", participant_path("target-1"), Reply(200, participant(CALL_1, "target-1")))
    stuck = asyncio.Event()
    twilio.on("POST", ROOM_1, Reply(201, participant(CALL_1, "target-1"), after=stuck.wait))
    async with bench(config_for(twilio.url)) as at:
        first = await at.take()
        await at.do(first, dial())
        await twilio.arrived(1)
        await first.release()  # cut short: the answer never came
        second = await at.take()
        assert second.covered() == 0
        await at.feed(second)
        (report,) = await at.reports(1)
        await second.release()
        stuck.set()
    assert (report.outcome, report.call_sid, report.conference_sid) == (ActionOutcome.DONE, CALL_1, ROOM)
    assert report.reason == "reconciled"
    assert len(twilio.sent("POST", ROOM_1)) == 1


async def test_an_interrupted_setter_is_said_again_in_time(twilio: FakeTwilio) -> None:
    """A successor repeats what sets a value, while it still makes sense."""
    stuck = asyncio.Event()
    done = Reply(200, call(CALL_1))
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1), after=stuck.wait), done)
    async with bench(config_for(twilio.url)) as at:
        first = await at.take()
        await at.do(first, hang_up(1))
        await twilio.arrived(1)
        await first.release()
        second = await at.take()
        await at.feed(second)
        (report,) = await at.reports(1)
        await second.release()
        stuck.set()
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)


class Sleeper:
    """An event loop that stands still for 6 s once, when the first intent has just been written."""

    def __init__(self, log: MemoryLog, *, robbed: bool) -> None:
        self._log = log
        self._robbed = robbed
        self._slept_s = 0.0
        log.faults.hook = self._hook

    def monotonic(self) -> float:
        """Seconds, the sleep counted."""
        return time.monotonic() + self._slept_s

    async def _hook(self, on: Operation, point: Point, topic: Topic, partition: int) -> None:
        if (on, point, topic) == (Operation.APPEND, Point.AFTER, Topic.LEDGER) and not self._slept_s:
            self._slept_s = 6.0
            if self._robbed:
                await self._log.claim(topic, partition, "successor")


async def test_who_stood_still_after_its_intent_makes_sure_that_the_partition_is_still_its_own(
    twilio: FakeTwilio,
) -> None:
    """The intent is written once more, the log takes it, and the request leaves once."""
    twilio.on("POST", ROOM_1, CREATED)
    log = MemoryLog(partitions=2, clock=system_clock)
    async with bench(config_for(twilio.url), log) as at:
        worker = await at.take(monotonic=Sleeper(log, robbed=False).monotonic)
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
        written = [record for record in await at.records(Topic.LEDGER) if b'"phase":"intent"' in (record.value or b"")]
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 1)
    assert len(written) == 2
    assert len(twilio.requests) == 1


async def test_who_stood_still_and_has_a_successor_sends_nothing(twilio: FakeTwilio) -> None:
    """Nothing but the intent can tell: a request would reach Twilio beside the successor's own."""
    log = MemoryLog(partitions=2, clock=system_clock)
    async with bench(config_for(twilio.url), log) as at:
        worker = await at.take(monotonic=Sleeper(log, robbed=True).monotonic)
        await at.do(worker, dial())
        with pytest.raises(FencedError):
            await worker.watch()
        await worker.release()
    assert twilio.requests == []


async def test_an_interrupted_setter_past_its_deadline_is_unknown(twilio: FakeTwilio) -> None:
    """It may have been carried out before the crash, and is not said again now: `unknown`, never `expired`."""
    action = hang_up(1, deadline_ms=-1)
    async with bench(config_for(twilio.url)) as at:
        fenced = await at.log.claim(Topic.LEDGER, PARTITION, "dead")
        ledger = Ledger(PARTITION, fenced, system_clock, kept_ms=1000, kept=10)
        await ledger.intend(action, attempt=1, offset=0, floor=0)
        await at.want(action)
        successor = await at.take()
        await at.feed(successor)
        (report,) = await at.reports(1)
        await successor.release()
    assert (report.outcome, report.reason) == (ActionOutcome.UNKNOWN, "interrupted")
    assert twilio.requests == []


async def test_a_result_that_was_not_reported_is_reported_by_the_successor(twilio: FakeTwilio) -> None:
    """Killed between result and report: the successor publishes the report that the ledger holds."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    log = MemoryLog(partitions=2, clock=system_clock)
    async with bench(config_for(twilio.url), log) as at:
        first = await at.take()
        log.faults.add(Fault(Operation.PUBLISH, Topic.INBOX))
        await at.do(first, hang_up(1))
        async with asyncio.timeout(5):
            while not log.faults.struck:
                await asyncio.sleep(0.001)
        await first.release()
        second = await at.take()
        (report,) = await at.reports(1)
        await second.release()
    assert report.outcome is ActionOutcome.DONE
    assert len(twilio.requests) == 1


async def test_what_leaves_no_result_is_not_seen_again(twilio: FakeTwilio) -> None:
    """A repeated action and a dead letter move the start of the next owner, or a quiet partition would fall behind."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    action = hang_up(1)
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action, action)
        await at.reports(2)
        await at.log.publish(Topic.ACTIONS, [Entry(PARTITION, b"call-1", b"?")])
        await at.feed(worker, 2)
        await worker.release()
        assert (await at.take()).covered() == 3


async def test_an_intent_that_is_not_durable_sends_nothing(twilio: FakeTwilio) -> None:
    """When the ledger cannot be written, nothing goes to Twilio and the partition is given back."""
    log = MemoryLog(partitions=2, clock=system_clock)
    async with bench(config_for(twilio.url), log) as at:
        worker = await at.take()
        log.faults.add(Fault(Operation.APPEND, Topic.LEDGER))
        await at.do(worker, hang_up(1))
        with pytest.raises(AppendFailedError):
            await asyncio.wait_for(worker.watch(), 5)
        with pytest.raises(AppendFailedError):
            await at.do(worker, hang_up(2))
        await worker.release()
    assert twilio.requests == []


async def test_a_fenced_worker_sends_nothing(twilio: FakeTwilio) -> None:
    """Once another owner has claimed the ledger, the old one can begin nothing more."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    async with bench(config_for(twilio.url)) as at:
        zombie = await at.take("zombie")
        successor = await at.take("successor")
        await at.do(zombie, hang_up(1))
        with pytest.raises(AppendFailedError):
            await asyncio.wait_for(zombie.watch(), 5)
        assert twilio.requests == []
        await zombie.release()
        await at.feed(successor)
        (report,) = await at.reports(1)
        await successor.release()
    assert report.outcome is ActionOutcome.DONE


async def test_a_fenced_worker_repeats_nothing(twilio: FakeTwilio) -> None:
    """Every try has an intent of its own: who lost the partition meanwhile does not try again."""
    limited = Reply(429, {"code": 20429}, {"Retry-After": "0.2"})
    twilio.on("POST", call_path(CALL_1), limited, Reply(200, call(CALL_1)))
    async with bench(config_for(twilio.url)) as at:
        zombie = await at.take("zombie")
        await at.do(zombie, hang_up(1))
        await twilio.arrived(1)
        successor = await at.take("successor")
        with pytest.raises(AppendFailedError):
            await asyncio.wait_for(zombie.watch(), 5)
        assert len(twilio.requests) == 1
        await zombie.release()
        await successor.release()


async def test_a_partition_given_up_while_the_intent_is_written_sends_nothing(twilio: FakeTwilio) -> None:
    """Between the ledger's acknowledgement and the request there is one more look at whether we still own it."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    log = MemoryLog(partitions=2, clock=system_clock)
    writing, go = asyncio.Event(), asyncio.Event()

    async def held(on: Operation, point: Point, _topic: Topic, _partition: int) -> None:
        if on is Operation.APPEND and point is Point.AFTER:
            writing.set()
            await go.wait()

    async with bench(config_for(twilio.url), log) as at:
        worker = await at.take()
        log.faults.hook = held
        await at.do(worker, hang_up(1))
        await writing.wait()
        releasing = asyncio.create_task(worker.release())
        await asyncio.sleep(0)
        go.set()
        await releasing
        assert twilio.requests == []
        log.faults.hook = None
        successor = await at.take()
        await at.feed(successor)
        (report,) = await at.reports(1)
        await successor.release()
    assert report.outcome is ActionOutcome.DONE


async def test_after_release_nothing_leaves(twilio: FakeTwilio) -> None:
    """Given up, a partition begins nothing that was queued, and says nothing more."""
    go = asyncio.Event()
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1), after=go.wait))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, hang_up(1), hang_up(2))
        await twilio.arrived(1)
        releasing = asyncio.create_task(worker.release())
        go.set()
        await releasing
        ledger = (await at.log.bounds(Topic.LEDGER))[PARTITION].end
        await at.feed(worker)
        assert (await at.log.bounds(Topic.LEDGER))[PARTITION].end == ledger
        (report,) = await at.reports(1)
    assert report.action == "call-1.1.0"
    assert len(twilio.requests) == 1
