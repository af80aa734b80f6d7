"""A partition of actions: once at Twilio, in order per call, and a report for each."""

import asyncio

import pytest

from action_bench import PARTITION, Bench, bench, config_for, dial
from actions.ledger import Ledger
from cordboard.clock import system_clock
from cordboard.errors import AppendFailedError
from cordboard.log.faults import Fault, Operation, Point
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from fake_twilio import (
    ACCOUNT,
    CALL_1,
    CALL_2,
    CALLS,
    CONFERENCES,
    ROOM,
    FakeTwilio,
    Reply,
    call,
    call_path,
    conference,
    conference_path,
    participant,
    participant_path,
    participants_path,
    refusal,
)
from schemas.actions import CreateCall, EndConference, HangUp, LookUp, OnDoubt, RemoveParticipant, UpdateParticipant
from schemas.records import ActionOutcome
from schemas.topics import Topic

ROOM_1 = participants_path("room-call-1")
CREATED = Reply(201, participant(CALL_1, "target-1"))


def hang_up(number: int, call_id: str = "call-1", sid: str = CALL_1, deadline_ms: int = 10_000) -> HangUp:
    """A hang-up that may begin for `deadline_ms` from now."""
    now = system_clock()
    return HangUp(
        id=f"{call_id}.{number}.0",
        call_id=call_id,
        account_sid=ACCOUNT,
        at=now,
        deadline=now + deadline_ms,
        call_sid=sid,
    )


async def test_a_creation_is_reported_with_both_sids(twilio: FakeTwilio) -> None:
    """A leg that Twilio has created is reported done with its CallSid and the conference's SID."""
    twilio.on("POST", ROOM_1, CREATED)
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.call_sid, report.conference_sid) == (ActionOutcome.DONE, CALL_1, ROOM)
    assert (report.status, report.attempts, report.leg, report.action_type) == (
        201,
        1,
        "target-1",
        "create_participant",
    )
    assert report.id == "report.call-1.1.0.done"


async def test_an_action_seen_again_is_answered_from_the_ledger(twilio: FakeTwilio) -> None:
    """A repeated action gets the same report, word for word, and Twilio hears nothing of it."""
    twilio.on("POST", ROOM_1, CREATED)
    action = dial()
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action, action)
        first, again = await at.reports(2)
        await worker.release()
    assert first == again
    assert len(twilio.requests) == 1


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


async def test_an_intent_of_which_nothing_is_found_is_unknown(twilio: FakeTwilio) -> None:
    """A person is not dialled twice: what cannot be found after every look is reported unknown."""
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": []}))
    twilio.on("GET", CALLS, Reply(200, {"calls": []}))
    twilio.on("POST", ROOM_1, Reply(503, "<html>bad gateway</html>"))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason, report.status) == (ActionOutcome.UNKNOWN, "twilio_unavailable", 503)
    assert len(twilio.sent("POST", ROOM_1)) == 1


async def test_an_answer_lost_after_the_effect_is_found_by_label(twilio: FakeTwilio) -> None:
    """The connection breaks after Twilio has dialled: the look finds the leg, and it is done."""
    twilio.on("POST", ROOM_1, Reply(0))
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": [conference("init")]}))
    twilio.on("GET", participant_path("target-1"), Reply(200, participant(CALL_1, "target-1")))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.call_sid) == (ActionOutcome.DONE, CALL_1)
    assert len(twilio.sent("POST", ROOM_1)) == 1


async def test_on_doubt_retry_dials_once_more_with_the_same_label(twilio: FakeTwilio) -> None:
    """Where the action allows it, a creation that is nowhere to be found is repeated under its label."""
    twilio.on("POST", ROOM_1, Reply(500), CREATED)
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": []}))
    twilio.on("GET", CALLS, Reply(200, {"calls": []}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial(on_doubt=OnDoubt.RETRY))
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)
    assert [request.field("Label") for request in twilio.sent("POST", ROOM_1)] == ["target-1", "target-1"]


async def test_what_could_not_be_looked_at_is_never_repeated(twilio: FakeTwilio) -> None:
    """Absence is proven by looking: while Twilio does not answer looks, even `retry` does not dial again."""
    twilio.on("POST", ROOM_1, Reply(500))
    twilio.on("GET", CONFERENCES, Reply(503))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial(on_doubt=OnDoubt.RETRY))
        (report,) = await at.reports(1)
        await worker.release()
    assert report.outcome is ActionOutcome.UNKNOWN
    assert len(twilio.sent("POST", ROOM_1)) == 1


async def test_a_taken_label_is_adopted(twilio: FakeTwilio) -> None:
    """16026 says that an earlier attempt of ours holds the label: its call is the leg's."""
    twilio.on("POST", ROOM_1, refusal(400, 16026))
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": [conference()]}))
    twilio.on("GET", participant_path("target-1"), Reply(200, participant(CALL_2, "target-1")))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.call_sid) == (ActionOutcome.DONE, CALL_2)


async def test_a_doubtful_call_is_found_in_the_list_of_calls(twilio: FakeTwilio) -> None:
    """A call without a label is known by its addresses and its time, if there is exactly one."""
    now = system_clock()
    action = CreateCall(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 9000,
        leg="agent-1",
        to="client:a7",
    )
    twilio.on("POST", CALLS, Reply(502))
    twilio.on("GET", CALLS, Reply(200, {"calls": [call(CALL_2, "in-progress")]}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action)
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.call_sid) == (ActionOutcome.DONE, CALL_2)
    assert dict(twilio.sent("GET", CALLS)[0].query)["To"] == "client:a7"


async def test_two_calls_to_one_address_prove_nothing(twilio: FakeTwilio) -> None:
    """Another call's leg is never taken for ours: two candidates leave the outcome unknown."""
    now = system_clock()
    action = CreateCall(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 9000,
        leg="agent-1",
        to="client:a7",
    )
    twilio.on("POST", CALLS, Reply(502))
    twilio.on("GET", CALLS, Reply(200, {"calls": [call(CALL_1), call(CALL_2)]}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action)
        (report,) = await at.reports(1)
        await worker.release()
    assert report.outcome is ActionOutcome.UNKNOWN


async def test_429_is_tried_again_and_succeeds(twilio: FakeTwilio) -> None:
    """A request that Twilio refused for its number was never processed: even a creation is repeated."""
    limited = Reply(429, {"code": 20429, "status": 429, "message": "x"}, headers={"Retry-After": "0"})
    twilio.on("POST", ROOM_1, limited, limited, CREATED)
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 3)


async def test_429_until_the_deadline_expires(twilio: FakeTwilio) -> None:
    """What was never taken before its deadline is expired, with the reason, and nothing has happened."""
    twilio.on("POST", ROOM_1, Reply(429, {"code": 20429, "status": 429}, headers={"Retry-After": "30"}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason, report.code) == (ActionOutcome.EXPIRED, "rate_limited", 20429)


async def test_past_its_deadline_nothing_goes_on_the_wire(twilio: FakeTwilio) -> None:
    """An old wish is never carried out: it is expired, and there is not even an intent."""
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, hang_up(1, deadline_ms=-1))
        (report,) = await at.reports(1)
        await worker.release()
        ledger = await at.records(Topic.LEDGER)
    assert (report.outcome, report.reason) == (ActionOutcome.EXPIRED, "deadline")
    assert twilio.requests == []
    assert [record.key for record in ledger] == [b"~owner", b"call-1.1.0"]


async def test_a_deadline_that_passes_while_the_intent_is_written_is_kept(twilio: FakeTwilio) -> None:
    """The deadline is looked at right before the request, however long the ledger took."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    log = MemoryLog(partitions=2, clock=system_clock)
    action = hang_up(1, deadline_ms=50)

    async def slow(on: Operation, point: Point, _topic: Topic, _partition: int) -> None:
        while on is Operation.APPEND and point is Point.AFTER and system_clock() <= action.deadline:
            await asyncio.sleep(0.005)

    async with bench(config_for(twilio.url), log) as at:
        worker = await at.take()
        log.faults.hook = slow
        await at.do(worker, action)
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason, report.attempts) == (ActionOutcome.EXPIRED, "deadline", 0)
    assert twilio.requests == []


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


async def test_a_setter_in_doubt_is_said_again(twilio: FakeTwilio) -> None:
    """What sets a value may be repeated within its deadline."""
    now = system_clock()
    twilio.on("POST", participant_path(CALL_1), Reply(500), Reply(200, participant(CALL_1)))
    mute = UpdateParticipant(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 8000,
        conference_sid=ROOM,
        call_sid=CALL_1,
        muted=True,
    )
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, mute)
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)
    assert [request.form for request in twilio.requests] == [(("Muted", "true"),)] * 2


async def test_removing_who_has_gone_is_done(twilio: FakeTwilio) -> None:
    """A participant that is not found when it is to be removed is as wanted."""
    now = system_clock()
    remove = RemoveParticipant(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 8000,
        conference_sid=ROOM,
        call_sid=CALL_1,
    )
    twilio.on("DELETE", participant_path(CALL_1), refusal(404, 20404))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, remove)
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason, report.code) == (ActionOutcome.DONE, "already_gone", 20404)


async def test_a_look_up_reports_what_is_there(twilio: FakeTwilio) -> None:
    """A look finds the lone waiting participant's conference too, and leaves out calls that are not there."""
    now = system_clock()
    look = LookUp(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 8000,
        room="room-call-1",
        call_sids=(CALL_1, CALL_2),
    )
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": []}), Reply(200, {"conferences": [conference("init")]}))
    twilio.on("GET", participants_path(), Reply(200, {"participants": [participant(CALL_1, "customer-1")]}))
    twilio.on("GET", call_path(CALL_1), Reply(200, call(CALL_1, "in-progress")))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, look)
        (report,) = await at.reports(1)
        await worker.release()
    assert report.seen is not None
    assert (report.seen.conference_sid, report.seen.conference_status) == (ROOM, "init")
    assert [(seen.call_sid, seen.label) for seen in report.seen.participants] == [(CALL_1, "customer-1")]
    assert [(seen.call_sid, seen.status) for seen in report.seen.calls] == [(CALL_1, "in-progress")]
    assert [dict(request.query)["Status"] for request in twilio.sent("GET", CONFERENCES)] == ["in-progress", "init"]


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


async def test_bytes_that_are_no_action_become_a_dead_letter(twilio: FakeTwilio) -> None:
    """What cannot be read is put aside with its bytes, and the partition goes on."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.log.publish(Topic.ACTIONS, [Entry(PARTITION, b"call-1", b'{"type":"fly"}')])
        await at.feed(worker)
        await at.do(worker, hang_up(1))
        await at.reports(1)
        await worker.release()
        assert worker.covered() == 2
        dead = await _dead_letters(at)
    assert dead == [(b"call-1", b'{"type":"fly"}', b"action_unreadable", b"call.actions")]


async def _dead_letters(at: Bench) -> list[tuple[bytes | None, bytes | None, bytes, bytes]]:
    found = []
    for partition, bounds in (await at.log.bounds(Topic.DEAD_LETTERS)).items():
        for record in await at.records(Topic.DEAD_LETTERS, bounds.earliest, partition):
            headers = dict(record.headers)
            found.append((record.key, record.value, headers["reason"], headers["source_topic"]))
    return found


async def test_a_room_that_has_not_begun_is_ended_by_hanging_up(twilio: FakeTwilio) -> None:
    """Twilio refuses to complete a conference in `init`; its legs are hung up instead, and the action is done."""
    now = system_clock()
    end = EndConference(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 8000,
        conference_sid=ROOM,
        call_sids=(CALL_1,),
    )
    twilio.on("POST", conference_path(), refusal(400, 16099))
    twilio.on("GET", participants_path(), Reply(200, {"participants": []}))
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, end)
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)
    assert len(twilio.sent("POST", call_path(CALL_1))) == 1


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


async def test_an_unknown_account_fails(twilio: FakeTwilio) -> None:
    """An action for an account that is not configured is refused by us."""
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial(account_sid="AC00000000000000000000000000000099"))
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason) == (ActionOutcome.FAILED, "unknown_account")
    assert twilio.requests == []
