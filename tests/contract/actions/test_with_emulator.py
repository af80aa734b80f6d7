"""The workers against the local Twilio: real effects, lost answers, limits, labels that are taken."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from action_desk import Desk, at_desk
from emulator import Person
from emulator.faults import Effect
from emulator.people import Answer
from emulator_bench import TARGET, Site
from emulator_bench import Bench as EmulatorBench
from schemas.actions import (
    AnnounceAll,
    CreateCall,
    EndConference,
    HangUp,
    OnDoubt,
    RecordingStatus,
    RedirectCall,
    RejoinRoom,
    RemoveParticipant,
    StartRecording,
    UpdateRecording,
)
from schemas.prompts import Prompt
from schemas.records import ActionOutcome

OTHER = "client:agent-7"


@pytest.fixture
async def desk(site: Site) -> AsyncIterator[Desk]:
    """A desk in front of a local Twilio where everybody picks up at once."""
    async with at_desk(site, EmulatorBench.config()) as ready:
        yield ready


async def test_a_call_from_dial_to_end(desk: Desk) -> None:
    """Two legs are dialled, held, muted, spoken to, coached and removed, and the room is ended."""
    first = await desk.dial()
    second = await desk.dial("agent-1", OTHER, conference_sid=first.conference_sid)
    assert first.outcome is second.outcome is ActionOutcome.DONE
    assert first.conference_sid == second.conference_sid
    await desk.until_joined("agent-1", "target-1")
    assert (await desk.update(first, hold=True)).outcome is ActionOutcome.DONE
    assert (await desk.update(second, muted=True)).outcome is ActionOutcome.DONE
    seen = await desk.until_joined("agent-1", "target-1")
    assert {p.label: (p.hold, p.muted) for p in seen.participants} == {
        "target-1": (True, False),
        "agent-1": (False, True),
    }
    await desk.update(first, hold=False)
    coached = await desk.update(second, coach=first.call_sid, muted=False)
    assert coached.outcome is ActionOutcome.DONE
    seen = await desk.look()
    assert {p.label: p.coaching for p in seen.participants} == {"target-1": None, "agent-1": first.call_sid}
    assert (await desk.update(second, coach="", end_on_exit=False)).outcome is ActionOutcome.DONE
    fields = desk.fields(conference_sid=first.conference_sid, announce=Prompt(say="One more minute."))
    assert (await desk.do(msgspec.convert(fields, AnnounceAll))).outcome is ActionOutcome.DONE
    removal = {"conference_sid": second.conference_sid, "call_sid": second.call_sid}
    removed = await desk.do(msgspec.convert(desk.fields(**removal), RemoveParticipant))
    assert (removed.outcome, removed.reason) == (ActionOutcome.DONE, None)
    again = await desk.do(msgspec.convert(desk.fields(**removal), RemoveParticipant))
    assert (again.outcome, again.reason) == (ActionOutcome.DONE, "already_gone")
    await desk.until_joined("target-1")
    ended = await desk.do(msgspec.convert(desk.fields(conference_sid=first.conference_sid), EndConference))
    assert ended.outcome is ActionOutcome.DONE
    seen = await desk.look(first.call_sid or "")
    assert [(c.call_sid, c.status) for c in seen.calls] == [(first.call_sid, "completed")]


async def test_callbacks_come_to_the_urls_that_were_handed_out(desk: Desk) -> None:
    """Progress names call, leg and action; conference events name the call alone."""
    first = await desk.dial()
    await desk.until_joined("target-1")
    async with asyncio.timeout(8):
        while not desk.site.got("/v1/voice/conference", StatusCallbackEvent="participant-join"):
            await asyncio.sleep(0.01)
    progress = {hit.raw_path for hit in desk.site.hits if hit.path == "/v1/voice/status"}
    assert progress == {f"/v1/voice/status?call=call-1&leg=target-1&a={first.action}"}
    (joined,) = desk.site.got("/v1/voice/conference", StatusCallbackEvent="participant-join")
    assert joined.raw_path == "/v1/voice/conference?call=call-1"
    assert joined.params["ParticipantLabel"] == "target-1"


@pytest.mark.parametrize("effect", [Effect.ANSWER_LOST, Effect.ERROR_AFTER])
async def test_an_answer_lost_after_the_effect_is_found(desk: Desk, effect: Effect) -> None:
    """The leg was dialled and we were not told: the look finds it, and nobody is dialled again."""
    desk.break_next(effect, "POST", "Participants.json")
    report = await desk.dial(on_doubt=OnDoubt.RETRY)
    assert (report.outcome, report.reason, report.attempts) == (ActionOutcome.DONE, "reconciled", 1)
    assert report.call_sid in desk.emulator.world.calls
    assert desk.dialled() == 1


async def test_an_error_before_the_effect_is_unknown(desk: Desk) -> None:
    """500 and nothing to be found: a person is not dialled again without being told to."""
    desk.break_next(Effect.ERROR_BEFORE, "POST", "Participants.json")
    report = await desk.dial()
    assert (report.outcome, report.status) == (ActionOutcome.UNKNOWN, 500)
    assert desk.dialled() == 0


async def test_an_error_before_the_effect_is_repeated_where_that_is_allowed(desk: Desk) -> None:
    """500 and nothing to be found: an agent's own device is dialled once more."""
    desk.break_next(Effect.ERROR_BEFORE, "POST", "Participants.json")
    report = await desk.dial("agent-1", OTHER, on_doubt=OnDoubt.RETRY)
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)
    assert desk.dialled() == 1


async def test_a_call_that_was_over_before_the_look_is_found_in_the_list(site: Site) -> None:
    """Busy at once and the answer lost: the label is gone with the leg, the list of calls still knows it."""
    config = EmulatorBench.config(people={TARGET: Person(answer=Answer.BUSY)})
    async with at_desk(site, config) as desk:
        desk.break_next(Effect.ANSWER_LOST, "POST", "Participants.json")
        report = await desk.dial()
        assert (report.outcome, report.reason) == (ActionOutcome.DONE, "reconciled")
        assert report.call_sid in desk.emulator.world.calls


async def test_a_limited_request_is_repeated(desk: Desk) -> None:
    """429 twice, then taken: dialled once."""
    desk.break_next(Effect.TOO_MANY_REQUESTS, "POST", "Participants.json", times=2)
    report = await desk.dial()
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 3)
    assert desk.dialled() == 1


async def test_a_label_in_use_is_adopted(desk: Desk) -> None:
    """The same leg wanted by another action, as after a lost ledger: its call is adopted, not doubled."""
    first = await desk.dial()
    again = await desk.dial()
    assert (again.outcome, again.call_sid, again.conference_sid) == (
        ActionOutcome.DONE,
        first.call_sid,
        first.conference_sid,
    )
    assert desk.dialled() == 1


async def test_a_ringing_leg_is_hung_up(site: Site) -> None:
    """A dial-out that still rings is ended through its call, and once more is no failure."""
    config = EmulatorBench.config(people={TARGET: Person(answer=Answer.NO_ANSWER)})
    async with at_desk(site, config) as desk:
        leg = await desk.dial()
        for reason in (None, "already_gone"):
            report = await desk.do(msgspec.convert(desk.fields(call_sid=leg.call_sid), HangUp))
            assert report.outcome is ActionOutcome.DONE
            assert report.reason in {None, reason}
        seen = await desk.look(leg.call_sid or "")
        assert seen.calls[0].status in {"canceled", "completed"}


async def test_a_room_that_has_not_begun_is_emptied(desk: Desk) -> None:
    """A lone leg waits in `init`, where Twilio refuses the end: it is hung up instead."""
    leg = await desk.dial()
    seen = await desk.until_joined("target-1")
    assert seen.conference_status == "init"
    ended = await desk.do(msgspec.convert(desk.fields(conference_sid=leg.conference_sid), EndConference))
    assert (ended.outcome, ended.attempts) == (ActionOutcome.DONE, 2)
    assert (await desk.look()).participants == ()


async def test_a_whispered_leg_fetches_its_twiml(desk: Desk) -> None:
    """The call asks our join URL, with what it is to hear."""
    fields = desk.fields(leg="agent-1", to=OTHER, whisper=Prompt(say="A transfer."), detect_machine=True)
    report = await desk.do(msgspec.convert(fields, CreateCall))
    assert report.outcome is ActionOutcome.DONE
    async with asyncio.timeout(8):
        while not desk.site.got("/v1/voice/conference-join"):
            await asyncio.sleep(0.01)
    (asked,) = desk.site.got("/v1/voice/conference-join")
    assert asked.raw_path.endswith(f"?call=call-1&leg=agent-1&a={report.action}&say=A+transfer.")
    assert asked.params["CallSid"] == report.call_sid


async def test_a_doubtful_whispered_leg_is_found_in_the_list_of_calls(desk: Desk) -> None:
    """A plain call has no label: its addresses and its time find it."""
    desk.break_next(Effect.ANSWER_LOST, "POST", "Calls.json")
    report = await desk.do(msgspec.convert(desk.fields(leg="agent-1", to=OTHER), CreateCall))
    assert (report.outcome, report.reason) == (ActionOutcome.DONE, "reconciled")
    assert desk.dialled() == 1


async def test_a_recording_from_start_to_stop(desk: Desk) -> None:
    """The leg's own call is recorded, paused, resumed and stopped, and stopping once more is no failure."""
    leg = await desk.dial()
    await desk.until_joined("target-1")
    started = await desk.do(msgspec.convert(desk.fields(call_sid=leg.call_sid, leg="target-1"), StartRecording))
    assert (started.outcome, started.recording_status) == (ActionOutcome.DONE, "in-progress")
    for status in (RecordingStatus.PAUSED, RecordingStatus.IN_PROGRESS, RecordingStatus.STOPPED):
        fields = desk.fields(call_sid=leg.call_sid, recording_sid=started.recording_sid, status=status)
        report = await desk.do(msgspec.convert(fields, UpdateRecording))
        assert (report.outcome, report.recording_status) == (ActionOutcome.DONE, status.value)
    fields = desk.fields(call_sid=leg.call_sid, recording_sid=started.recording_sid, status=RecordingStatus.STOPPED)
    assert (await desk.do(msgspec.convert(fields, UpdateRecording))).outcome is ActionOutcome.DONE


async def test_a_recording_whose_answer_was_lost_is_found(desk: Desk) -> None:
    """One call, one recording."""
    leg = await desk.dial()
    await desk.until_joined("target-1")
    desk.break_next(Effect.ANSWER_LOST, "POST", "Recordings.json")
    started = await desk.do(msgspec.convert(desk.fields(call_sid=leg.call_sid, leg="target-1"), StartRecording))
    assert (started.outcome, started.reason) == (ActionOutcome.DONE, "reconciled")
    assert list(desk.emulator.world.recordings) == [started.recording_sid]


async def test_a_customer_is_redirected_to_a_message_box(desk: Desk) -> None:
    """The leg leaves the room and asks for the voicemail document, with the prompt before the beep."""
    leg = await desk.dial("customer-1")
    await desk.until_joined("customer-1")
    prompt = Prompt(say="Please leave a message.")
    fields = desk.fields(leg="customer-1", call_sid=leg.call_sid, announce=prompt, voicemail=True)
    assert (await desk.do(msgspec.convert(fields, RedirectCall))).outcome is ActionOutcome.DONE
    async with asyncio.timeout(8):
        while not desk.site.got("/v1/voice/voicemail"):
            await asyncio.sleep(0.01)
    await desk.until_joined()


async def test_a_leg_is_let_into_another_room(desk: Desk) -> None:
    """Its own call is redirected to our TwiML, which names the room; a redirect in doubt is not made twice."""
    leg = await desk.dial("customer-1")
    await desk.until_joined("customer-1")
    fields = desk.fields(leg="customer-1", call_sid=leg.call_sid, room="room2-call-1")
    assert (await desk.do(msgspec.convert(fields, RejoinRoom))).outcome is ActionOutcome.DONE
    async with asyncio.timeout(8):
        while not desk.site.got("/v1/voice/conference-join"):
            await asyncio.sleep(0.01)
    await desk.until_joined()


async def test_a_call_that_is_over_cannot_be_let_into_a_room(desk: Desk) -> None:
    """That is how the engine learns that the leg has left."""
    leg = await desk.dial("customer-1")
    await desk.until_joined("customer-1")
    await desk.do(msgspec.convert(desk.fields(leg="customer-1", call_sid=leg.call_sid), HangUp))
    fields = desk.fields(leg="customer-1", call_sid=leg.call_sid, room="room2-call-1")
    report = await desk.do(msgspec.convert(fields, RejoinRoom))
    assert (report.outcome, report.reason, report.code) == (ActionOutcome.FAILED, "wrong_state", 21220)


@pytest.mark.parametrize(
    ("changes", "reason", "code"),
    [
        ({"to": "+1"}, "invalid_number", None),
        ({"from_": "+15550199999"}, "invalid_caller_id", 21210),
        ({"conference_sid": "CF" + "9" * 32}, "not_found", None),
    ],
)
async def test_a_refused_creation_says_why(desk: Desk, changes: dict[str, str], reason: str, code: int | None) -> None:
    """What cannot be dialled fails with a word that the engine can act on, and nobody is dialled."""
    report = await desk.dial(**changes)
    assert (report.outcome, report.reason) == (ActionOutcome.FAILED, reason)
    assert code in {None, report.code}
    assert desk.dialled() == 0


async def test_an_unknown_participant_cannot_be_changed(desk: Desk) -> None:
    """Not found on an update is a failure that the engine looks into, not a success."""
    leg = await desk.dial()
    await desk.until_joined("target-1")
    ghost = msgspec.structs.replace(leg, call_sid="CA" + "9" * 32)
    report = await desk.update(ghost, muted=True)
    assert (report.outcome, report.reason) == (ActionOutcome.FAILED, "not_found")


async def test_the_wrong_token_is_refused(site: Site) -> None:
    """401 is no doubt: it fails at once."""
    async with at_desk(site, EmulatorBench.config(auth_token="another")) as desk:
        report = await desk.dial()
        assert (report.outcome, report.reason, report.status) == (ActionOutcome.FAILED, "authentication", 401)
