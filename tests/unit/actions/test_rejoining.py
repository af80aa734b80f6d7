"""A leg is let into another room once: a redirect in doubt is looked for, because a second one takes out who is in."""

from action_bench import bench, config_for
from cordboard.clock import system_clock
from fake_twilio import (
    ACCOUNT,
    CALL_1,
    PREFIX,
    ROOM,
    FakeTwilio,
    Reply,
    call,
    call_path,
    conference,
    participant,
    participants_path,
    refusal,
)
from schemas.actions import RejoinRoom
from schemas.records import ActionOutcome, ActionReport

ROOMS = f"{PREFIX}/Conferences.json"
NEXT = "room2-call-1"


def rejoin() -> RejoinRoom:
    """The customer is to come into the next room."""
    now = system_clock()
    return RejoinRoom(
        id="call-1.1.0", call_id="call-1", account_sid=ACCOUNT, at=now, deadline=now + 8000, leg="customer-1",
        call_sid=CALL_1, room=NEXT,
    )  # fmt: skip


async def carried_out(twilio: FakeTwilio) -> ActionReport:
    """The report of the redirect."""
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, rejoin())
        (report,) = await at.reports(1)
        await worker.release()
    assert isinstance(report, ActionReport)
    return report


async def test_the_url_names_the_room(twilio: FakeTwilio) -> None:
    """The leg's own call is redirected to the TwiML that lets it in, under its own label."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))

    report = await carried_out(twilio)

    (request,) = twilio.requests
    assert report.outcome is ActionOutcome.DONE
    assert str(request.field("Url")).startswith(
        f"https://cordboard.example.test/v1/voice/conference-join?call=call-1&leg=customer-1&a=call-1.1.0&room={NEXT}#"
    )


async def test_a_redirect_in_doubt_that_has_happened_is_not_repeated(twilio: FakeTwilio) -> None:
    """The answer was lost, and the leg is in the room: that is the answer."""
    twilio.on("POST", call_path(CALL_1), Reply(0))
    twilio.on("GET", ROOMS, Reply(200, {"conferences": [conference(sid=ROOM)]}))
    twilio.on("GET", participants_path(ROOM), Reply(200, {"participants": [participant(CALL_1)]}))

    report = await carried_out(twilio)

    assert (report.outcome, report.reason) == (ActionOutcome.DONE, "reconciled")
    assert len(twilio.sent("POST", call_path(CALL_1))) == 1


async def test_a_redirect_that_has_not_happened_is_made_again(twilio: FakeTwilio) -> None:
    """Nobody is in that room: it is asked for once more."""
    twilio.on("POST", call_path(CALL_1), Reply(503), Reply(200, call(CALL_1)))
    twilio.on("GET", ROOMS, Reply(200, {"conferences": []}))

    report = await carried_out(twilio)

    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)


async def test_a_call_that_is_over_is_told_as_such(twilio: FakeTwilio) -> None:
    """Unlike where somebody is to be gone, that is no success."""
    twilio.on("POST", call_path(CALL_1), refusal(400, 21220))

    report = await carried_out(twilio)

    assert (report.outcome, report.reason, report.code) == (ActionOutcome.FAILED, "wrong_state", 21220)
