"""A partition of actions: a report for each, and nothing too late."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from action_bench import PARTITION, Bench, bench, config_for, dial, hang_up
from actions.account import TwilioAccount
from actions.effect import Effect
from actions.twilio import carry_out
from cordboard.clock import system_clock
from cordboard.log.faults import Operation, Point
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from cordboard.stop_rule import TooManyDeadLettersError
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
from schemas.actions import Action, EndConference, LookUp, RemoveParticipant
from schemas.records import ActionOutcome
from schemas.topics import Topic

ROOM_1 = participants_path("room-call-1")
CREATED = Reply(201, participant(CALL_1, "target-1"))


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


async def test_too_much_that_is_no_action_stops_the_partition(twilio: FakeTwilio) -> None:
    """Fifty in a row and no more are put aside: only we write this topic, so something of ours is wrong."""
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.log.publish(Topic.ACTIONS, [Entry(PARTITION, b"call-1", b"{")] * 60)
        with pytest.raises(TooManyDeadLettersError, match="50 dead letters in a row"):
            await at.feed(worker)
        await worker.release()
        assert len(await _dead_letters(at)) == 50
        assert worker.covered() == 50


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


async def test_an_unknown_account_fails(twilio: FakeTwilio) -> None:
    """An action for an account that is not configured is refused by us."""
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial(account_sid="AC00000000000000000000000000000099"))
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason) == (ActionOutcome.FAILED, "unknown_account")
    assert twilio.requests == []


@pytest.mark.parametrize(
    ("queue_time", "outcome", "reason"),
    [("1000", ActionOutcome.DONE, None), ("60000", ActionOutcome.FAILED, "capacity"), (None, ActionOutcome.DONE, None)],
)
async def test_a_call_that_would_ring_after_its_deadline_is_called_off(
    twilio: FakeTwilio, queue_time: str | None, outcome: ActionOutcome, reason: str | None
) -> None:
    """Twilio queues calls above the account's rate: one whose turn comes too late is taken out again."""
    twilio.on("POST", ROOM_1, Reply(201, participant(CALL_1, "target-1") | {"queue_time": queue_time}))
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1, "canceled")))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason) == (outcome, reason)
    assert len(twilio.sent("POST", call_path(CALL_1))) == (outcome is ActionOutcome.FAILED)


async def test_one_line_and_the_figures_of_each_action(twilio: FakeTwilio) -> None:
    """Each action leaves one canonical line and is counted once, however often it is repeated."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1), {"Twilio-Request-Id": "RQ1"}))
    labels = {"type": "hang_up", "outcome": "done"}
    before = REGISTRY.get_sample_value("cordboard_actions_total", labels) or 0.0
    action = hang_up(1)
    with capture_logs() as logs:
        async with bench(config_for(twilio.url)) as at:
            worker = await at.take()
            await at.do(worker, action, action)
            await at.reports(2)
            await worker.release()
    (line,) = [entry for entry in logs if entry["event"] == "action.done"]
    said = {name: line[name] for name in ("call_id", "action", "type", "attempts", "status", "request_id", "log_level")}
    assert said == {
        "call_id": "call-1",
        "action": "call-1.1.0",
        "type": "hang_up",
        "attempts": 1,
        "status": 200,
        "request_id": "RQ1",
        "log_level": "info",
    }
    assert REGISTRY.get_sample_value("cordboard_actions_total", labels) == before + 1


async def test_no_number_is_written_to_the_logs(twilio: FakeTwilio) -> None:
    """Not even of a creation that goes wrong in every way: ids, never addresses."""
    twilio.on("POST", ROOM_1, Reply(0))
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": []}))
    twilio.on("GET", CALLS, Reply(0))
    with capture_logs() as logs:
        async with bench(config_for(twilio.url)) as at:
            worker = await at.take()
            await at.do(worker, dial())
            await at.reports(1)
            await worker.release()
    assert {"action.look_failed", "action.reconciled", "action.unknown"} <= {entry["event"] for entry in logs}
    assert "1555123" not in str(logs)


async def test_a_fault_of_ours_ends_one_action_only(twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is logged and reported, and the other calls go on."""

    async def faulty(account: TwilioAccount, action: Action) -> Effect:
        if action.call_id == "call-2":
            raise RuntimeError("a fault of ours")
        return await carry_out(account, action)

    monkeypatch.setattr("actions.perform.carry_out", faulty)
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    with capture_logs() as logs:
        async with bench(config_for(twilio.url)) as at:
            worker = await at.take()
            await at.do(worker, hang_up(1, "call-1"), hang_up(1, "call-2"))
            reports = {report.call_id: report for report in await at.reports(2)}
            await worker.release()
    assert reports["call-1"].outcome is ActionOutcome.DONE
    assert (reports["call-2"].outcome, reports["call-2"].reason) == (ActionOutcome.UNKNOWN, "internal")
    assert [entry["action"] for entry in logs if entry["event"] == "action.broke"] == ["call-2.1.0"]
