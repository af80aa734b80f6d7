"""One action at a time per call, many calls at once, and a bound on everything."""

import asyncio

from action_bench import bench, config_for, hang_up
from cordboard.clock import system_clock
from cordboard.log.faults import Fault, Operation, Point
from cordboard.log.memory import MemoryLog
from fake_twilio import (
    CALL_1,
    CALL_2,
    FakeTwilio,
    Reply,
    call,
    call_path,
)
from schemas.records import ActionOutcome
from schemas.topics import Topic


async def test_actions_of_one_call_never_overlap_and_keep_their_order(twilio: FakeTwilio) -> None:
    """One call's actions go one after the other, each after the answer to the one before."""
    both = (CALL_1, CALL_2)
    for sid in both:
        twilio.on("POST", call_path(sid), Reply(200, call(sid), after=lambda: asyncio.sleep(0.01)))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, *(hang_up(number, sid=both[number % 2]) for number in range(8)))
        reports = await at.reports(8)
        await worker.release()
    assert twilio.most_in_flight == 1
    assert [report.action for report in reports] == [f"call-1.{number}.0" for number in range(8)]
    assert [request.path for request in twilio.requests] == [call_path(both[number % 2]) for number in range(8)]


async def test_actions_of_two_calls_do_overlap(twilio: FakeTwilio) -> None:
    """One call's slow action does not hold up another call."""
    both_there = asyncio.Barrier(2)
    for sid in (CALL_1, CALL_2):
        twilio.on("POST", call_path(sid), Reply(200, call(sid), after=both_there.wait))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, hang_up(1, "call-1", CALL_1), hang_up(1, "call-2", CALL_2))
        reports = await at.reports(2)
        await worker.release()
    assert {report.call_id for report in reports} == {"call-1", "call-2"}


async def test_no_more_requests_at_once_than_allowed(twilio: FakeTwilio) -> None:
    """The concurrency of an account bounds the requests of all its calls."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1), after=lambda: asyncio.sleep(0.005)))
    async with bench(config_for(twilio.url, concurrency=3)) as at:
        worker = await at.take()
        await at.do(worker, *(hang_up(1, f"call-{number}") for number in range(20)))
        await at.reports(20)
        await worker.release()
    assert twilio.most_in_flight == 3


async def test_a_full_queue_holds_back_the_source(twilio: FakeTwilio) -> None:
    """`handle` waits while the queue is full, so that what is not begun stays in the log."""
    go = asyncio.Event()
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1), after=go.wait))
    async with bench(config_for(twilio.url, queue=2)) as at:
        worker = await at.take()
        await at.want(*(hang_up(number) for number in range(4)))
        handling = asyncio.create_task(at.feed(worker))
        await twilio.arrived(1)
        await asyncio.sleep(0)
        assert not handling.done()
        go.set()
        await handling
        assert len(await at.reports(4)) == 4
        await worker.release()


async def test_covered_is_the_lowest_unfinished_action(twilio: FakeTwilio) -> None:
    """A later action that is done does not move the floor past an earlier one that is not."""
    go = asyncio.Event()
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1), after=go.wait))
    twilio.on("POST", call_path(CALL_2), Reply(200, call(CALL_2)))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, hang_up(1, "call-1", CALL_1), hang_up(1, "call-2", CALL_2))
        await at.reports(1)
        assert worker.covered() == 0
        go.set()
        await at.reports(2)
        await worker.release()
        assert worker.covered() == 2
        assert (await at.take()).covered() == 2


async def test_a_result_is_in_the_ledger_before_it_is_reported(twilio: FakeTwilio) -> None:
    """Nobody hears of a result that a successor could not repeat."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    log = MemoryLog(partitions=2, clock=system_clock)
    order: list[str] = []

    async def note(on: Operation, point: Point, topic: Topic, _partition: int) -> None:
        order.append(f"{topic.value} {on.value} {point.value}")

    async with bench(config_for(twilio.url), log) as at:
        worker = await at.take()
        log.faults.hook = note
        await at.do(worker, hang_up(1))
        await at.reports(1)
        await worker.release()
    written = [line for line in order if "call.actions" not in line]
    assert written == [
        "call.ledger append before",
        "call.ledger append after",
        "call.ledger append before",
        "call.ledger append after",
        "call.inbox publish before",
        "call.inbox publish after",
    ]


async def test_a_report_waits_for_the_inbox(twilio: FakeTwilio) -> None:
    """A report that was not acknowledged is published until it is."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    log = MemoryLog(partitions=2, clock=system_clock)
    async with bench(config_for(twilio.url), log) as at:
        worker = await at.take()
        log.faults.add(Fault(Operation.PUBLISH, Topic.INBOX, times=2))
        await at.do(worker, hang_up(1))
        (report,) = await at.reports(1)
        await worker.release()
    assert report.outcome is ActionOutcome.DONE
    assert log.faults.pending() == []
