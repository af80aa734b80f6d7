"""Outcomes in doubt: looked for, adopted, said again, or admitted to be unknown."""

import msgspec

from action_bench import bench, config_for, dial, hang_up
from cordboard.clock import system_clock
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
    participant,
    participant_path,
    participants_path,
    refusal,
)
from schemas.actions import CreateCall, OnDoubt, UpdateParticipant
from schemas.records import ActionOutcome

ROOM_1 = participants_path("room-call-1")
CREATED = Reply(201, participant(CALL_1, "target-1"))


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


async def test_a_second_doubt_ends_the_retrying(twilio: FakeTwilio) -> None:
    """Once more means once: doubtful again and nowhere to be found, it is unknown."""
    twilio.on("POST", ROOM_1, Reply(500))
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": []}))
    twilio.on("GET", CALLS, Reply(200, {"calls": []}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial(on_doubt=OnDoubt.RETRY))
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.attempts) == (ActionOutcome.UNKNOWN, 2)
    assert len(twilio.sent("POST", ROOM_1)) == 2


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


async def test_a_call_of_another_action_is_never_taken_for_ours(twilio: FakeTwilio) -> None:
    """A call that is known to be another leg's leaves one candidate, and that one is ours."""
    now = system_clock()
    known = CreateCall(
        id="call-2.1.0",
        call_id="call-2",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 9000,
        leg="agent-1",
        to="client:a7",
    )
    doubtful = msgspec.structs.replace(known, id="call-1.1.0", call_id="call-1")
    twilio.on("POST", CALLS, Reply(201, call(CALL_1)), Reply(502))
    twilio.on("GET", CALLS, Reply(200, {"calls": [call(CALL_1), call(CALL_2)]}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, known)
        await at.reports(1)
        await at.do(worker, doubtful)
        (_, report) = await at.reports(2)
        await worker.release()
    assert (report.action, report.outcome, report.call_sid) == ("call-1.1.0", ActionOutcome.DONE, CALL_2)


async def test_a_call_from_before_the_intent_is_not_ours(twilio: FakeTwilio) -> None:
    """Yesterday's call to the same address proves nothing about today's."""
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
    twilio.on("GET", CALLS, Reply(200, {"calls": [call(CALL_1, "completed", "Wed, 18 Nov 2020 21:07:19 +0000")]}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action)
        (report,) = await at.reports(1)
        await worker.release()
    assert report.outcome is ActionOutcome.UNKNOWN


async def test_a_live_call_outside_the_room_is_not_our_participant(twilio: FakeTwilio) -> None:
    """A participant that lives would be in the room; one that is over can only be seen in the list."""
    twilio.on("POST", ROOM_1, Reply(503))
    twilio.on("GET", CONFERENCES, Reply(200, {"conferences": [conference()]}))
    twilio.on("GET", CALLS, Reply(200, {"calls": [call(CALL_1, "in-progress"), call(CALL_2, "busy")]}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, dial())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.call_sid) == (ActionOutcome.DONE, CALL_2)


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


async def test_a_setter_in_doubt_until_its_deadline_is_unknown(twilio: FakeTwilio) -> None:
    """It may have been carried out by any of the tries: `unknown`, never `expired`."""
    twilio.on("POST", call_path(CALL_1), Reply(500, {"code": 20500}, {"Retry-After": "30"}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, hang_up(1))
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason, report.code) == (ActionOutcome.UNKNOWN, "twilio_unavailable", 20500)
