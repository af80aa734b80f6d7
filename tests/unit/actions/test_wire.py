"""What goes on the wire for each action: field by field, and as the SDK's own recorded requests where they overlap."""

import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from action_bench import NUMBER, PUBLIC_URL, config_for
from actions.account import TwilioAccount
from actions.twilio import carry_out
from actions.verbs.end_conference import empty_conference
from fake_twilio import (
    ACCOUNT,
    CALL_1,
    CALL_2,
    CALLS,
    PREFIX,
    ROOM,
    FakeTwilio,
    Reply,
    Request,
    call,
    call_path,
    conference,
    conference_path,
    participant,
    participant_path,
    participants_path,
    refusal,
)
from schemas.actions import (
    Action,
    AnnounceAll,
    CreateCall,
    CreateParticipant,
    EndConference,
    HangUp,
    RedirectCall,
    RemoveParticipant,
    UpdateParticipant,
)
from schemas.prompts import Prompt
from vectors import VECTORS

RETRY = "#rc=3&rp=all&ct=2000&rt=4000&tt=15000"
VOICE = f"{PUBLIC_URL}/v1/voice"
STATUS_URL = f"{VOICE}/status?call=call-1&leg=target-1&a=call-1.7.0{RETRY}"
CONFERENCE_URL = f"{VOICE}/conference?call=call-1{RETRY}"
CALL_EVENTS = ["initiated", "ringing", "answered", "completed"]
CONFERENCE_EVENTS = ["start", "end", "join", "leave", "mute", "hold", "modify", "announcement"]


class Recorded(msgspec.Struct, frozen=True):
    """One request of twilio-python 9.13.0 as it was recorded."""

    method: str
    path: str
    headers: dict[str, str]
    form: list[tuple[str, str]]
    sdk_call: str


def recorded(sdk_call: str) -> Recorded:
    """The recorded request of that call."""
    requests = json.loads((VECTORS / "sdk_requests.json").read_text())["requests"]
    (found,) = (item for item in requests if item["sdk_call"] == sdk_call)
    return msgspec.convert(found, Recorded)


def create(**changes: object) -> CreateParticipant:
    """A leg dialled into the room by its name."""
    action = CreateParticipant(
        id="call-1.7.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=0,
        deadline=1,
        leg="target-1",
        room="room-call-1",
        to="client:agent-7",
    )
    return msgspec.structs.replace(action, **changes)


def update(**changes: object) -> UpdateParticipant:
    """A change of a participant."""
    action = UpdateParticipant(
        id="call-1.7.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=0,
        deadline=1,
        leg="target-1",
        conference_sid=ROOM,
        call_sid=CALL_2,
    )
    return msgspec.structs.replace(action, **changes)


@pytest.fixture
async def account(twilio: FakeTwilio) -> AsyncIterator[TwilioAccount]:
    """A session of one account to the recorder."""
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as session:
        yield session


async def sent(twilio: FakeTwilio, account: TwilioAccount, action: Action) -> Request:
    """The one request that an action makes; everything succeeds."""
    for method, path, reply in (
        ("POST", participants_path("room-call-1"), Reply(201, participant(CALL_1, "target-1"))),
        ("POST", participants_path(), Reply(201, participant(CALL_1, "target-1"))),
        ("POST", participant_path(CALL_2), Reply(200, participant(CALL_2))),
        ("DELETE", participant_path(CALL_2), Reply(204)),
        ("POST", CALLS, Reply(201, call(CALL_1))),
        ("POST", call_path(CALL_1), Reply(200, call(CALL_1))),
        ("POST", conference_path(), Reply(200, conference())),
    ):
        twilio.on(method, path, reply)
    await carry_out(account, action)
    (request,) = twilio.requests
    return request


def values(request: Request, name: str) -> list[str]:
    """All values of a repeated field."""
    return [value for key, value in request.form if key == name]


async def test_a_leg_is_dialled_into_the_room(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """A new participant carries its label, both callbacks with all their events, and nothing that was not decided."""
    request = await sent(twilio, account, create())
    assert request.path == f"{PREFIX}/Conferences/room-call-1/Participants.json"
    assert dict(request.form) == {
        "From": NUMBER,
        "To": "client:agent-7",
        "Label": "target-1",
        "Timeout": "20",
        "Beep": "false",
        "EarlyMedia": "false",
        "Muted": "false",
        "StartConferenceOnEnter": "true",
        "EndConferenceOnExit": "false",
        "WaitUrl": "",
        "StatusCallback": STATUS_URL,
        "StatusCallbackMethod": "POST",
        "StatusCallbackEvent": "completed",
        "ConferenceStatusCallback": CONFERENCE_URL,
        "ConferenceStatusCallbackMethod": "POST",
        "ConferenceStatusCallbackEvent": "announcement",
    }
    assert values(request, "StatusCallbackEvent") == CALL_EVENTS
    assert values(request, "ConferenceStatusCallbackEvent") == CONFERENCE_EVENTS


async def test_a_leg_is_dialled_by_conference_sid_once_it_is_known(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """By SID a finished room is never begun anew by accident."""
    request = await sent(twilio, account, create(conference_sid=ROOM))
    assert request.path == participants_path(ROOM)


async def test_a_participant_is_created_as_the_sdk_was_recorded(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """Fields, their spelling and their values are the library's; only order and URLs are ours."""
    vector = recorded("conferences('room1').participants.create(... conference_status_callback_event as list)")
    request = await sent(twilio, account, create(early_media=True))
    theirs, ours = dict(vector.form), dict(request.form)
    same = ("From", "To", "Timeout", "Beep", "StartConferenceOnEnter", "EndConferenceOnExit", "EarlyMedia")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert values(request, "StatusCallbackEvent") == [v for k, v in vector.form if k == "StatusCallbackEvent"]
    assert ours["ConferenceStatusCallbackMethod"] == theirs["ConferenceStatusCallbackMethod"]
    assert vector.path.replace("room1", "room-call-1") == request.path


async def test_requests_carry_the_headers_of_the_sdk(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """To Twilio we are twilio-python: its agent, its content types, Basic authentication."""
    vector = recorded("calls(sid).update(status='completed')")
    request = await sent(twilio, account, hang_up())
    same = ("Accept", "Accept-Charset", "Content-Type", "Content-Length", "Authorization", "Accept-Encoding")
    assert {name: request.headers[name] for name in same} == {name: vector.headers[name] for name in same}
    assert request.headers["X-Twilio-Client"].startswith("python-")
    assert request.headers["User-Agent"].startswith("twilio-python/")
    assert request.headers["X-Orig-Host"] == "api.twilio.com"


def hang_up() -> HangUp:
    """The end of one call."""
    return HangUp(id="call-1.7.0", call_id="call-1", account_sid=ACCOUNT, at=0, deadline=1, call_sid=CALL_1)


@pytest.mark.parametrize(
    ("sdk_call", "action"),
    [
        ("calls(sid).update(status='completed')", hang_up()),
        ("conferences(CF).participants(CA).update(hold=False)", update(hold=False)),
        ("conferences(CF).participants(CA).update(end_conference_on_exit=True)", update(end_on_exit=True)),
        (
            "conferences(CF).participants(CA).delete()",
            RemoveParticipant(
                id="a", call_id="call-1", account_sid=ACCOUNT, at=0, deadline=1, conference_sid=ROOM, call_sid=CALL_2
            ),
        ),
        (
            "conferences(CF).update(status='completed')",
            EndConference(id="a", call_id="call-1", account_sid=ACCOUNT, at=0, deadline=1, conference_sid=ROOM),
        ),
    ],
)
async def test_setters_are_what_the_sdk_was_recorded_to_send(
    twilio: FakeTwilio, account: TwilioAccount, sdk_call: str, action: Action
) -> None:
    """Method, path and form are those of the recorded call."""
    vector = recorded(sdk_call)
    request = await sent(twilio, account, action)
    assert (request.method, request.path, list(request.form)) == (vector.method, vector.path, vector.form)


async def test_hold_names_its_audio_and_its_method(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """Twilio's default method for a hold URL is GET, so POST is said, as it was recorded."""
    vector = recorded("conferences(CF).participants(CA).update(hold=True,hold_url)")
    request = await sent(twilio, account, update(hold=True, hold_audio="https://cdn.example.test/a b.mp3"))
    assert [key for key, _ in request.form] == [key for key, _ in vector.form]
    assert request.field("HoldMethod") == "POST"
    audio = "https%3A%2F%2Fcdn.example.test%2Fa+b.mp3"
    assert request.field("HoldUrl") == f"{VOICE}/hold?call=call-1&leg=target-1&audio={audio}{RETRY}"


@pytest.mark.parametrize(
    ("change", "form"),
    [
        ({"muted": True}, {"Muted": "true"}),
        ({"coach": CALL_1, "muted": False}, {"Muted": "false", "Coaching": "true", "CallSidToCoach": CALL_1}),
        ({"coach": "", "muted": True}, {"Muted": "true", "Coaching": "false"}),
        (
            {"announce": Prompt(say="Two minutes.")},
            {
                "AnnounceUrl": f"{VOICE}/announce?call=call-1&leg=target-1&say=Two+minutes.{RETRY}",
                "AnnounceMethod": "POST",
            },
        ),
        ({"hold": False, "end_on_exit": True}, {"Hold": "false", "EndConferenceOnExit": "true"}),
    ],
)
async def test_only_what_changes_is_sent(
    twilio: FakeTwilio, account: TwilioAccount, change: dict[str, object], form: dict[str, str]
) -> None:
    """An update has the fields of what changes and no others; an empty `coach` ends coaching."""
    request = await sent(twilio, account, update(**change))
    assert dict(request.form) == form


async def test_aspects_that_twilio_refuses_together_go_one_by_one(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """Hold, coaching and announcing are separate requests; muting goes with the first."""
    twilio.on("POST", participant_path(CALL_2), Reply(200, participant(CALL_2)))
    await carry_out(account, update(hold=False, muted=True, coach="", announce=Prompt(say="Hello.")))
    assert [[key for key, _ in request.form] for request in twilio.requests] == [
        ["Muted", "Hold"],
        ["Coaching"],
        ["AnnounceUrl", "AnnounceMethod"],
    ]


async def test_a_whispered_leg_is_called_with_our_twiml(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """A leg that hears a whisper is a plain call whose TwiML lets it into the room."""
    action = CreateCall(
        id="call-1.7.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=0,
        deadline=1,
        leg="target-1",
        to="+15551230001",
        whisper=Prompt(say="A transfer."),
        timeout_s=30,
        detect_machine=True,
    )
    request = await sent(twilio, account, action)
    vector = recorded("calls.create(url,to,from_,status_callback,status_callback_event=[4 events])")
    ours, theirs = dict(request.form), dict(vector.form)
    assert request.path == vector.path
    assert theirs.keys() <= ours.keys()
    same = ("To", "From", "Method", "StatusCallbackMethod", "Timeout")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert values(request, "StatusCallbackEvent") == CALL_EVENTS
    assert ours["Url"] == f"{VOICE}/conference-join?call=call-1&leg=target-1&a=call-1.7.0&say=A+transfer.{RETRY}"
    machine = dict(recorded("calls.create(twiml,machine_detection,async_amd)").form)
    assert (ours["MachineDetection"], ours["AsyncAmd"]) == (machine["MachineDetection"], machine["AsyncAmd"])
    assert ours["AsyncAmdStatusCallback"] == f"{VOICE}/amd?call=call-1&leg=target-1&a=call-1.7.0{RETRY}"


@pytest.mark.parametrize(("to_the_end", "mode"), [(False, "Enable"), (True, "DetectMessageEnd")])
async def test_machine_detection_of_a_participant(
    twilio: FakeTwilio,
    account: TwilioAccount,
    to_the_end: bool,
    mode: str,
) -> None:
    """A participant has no asynchronous switch: detection and its callback are all."""
    request = await sent(twilio, account, create(detect_machine=True, detect_message_end=to_the_end))
    assert request.field("MachineDetection") == mode
    assert request.field("AmdStatusCallback") == f"{VOICE}/amd?call=call-1&leg=target-1&a=call-1.7.0{RETRY}"
    assert request.field("AsyncAmd") is None


async def test_a_redialled_customer_hears_wait_music(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """Only a customer hears music while alone; the others wait for a phone that rings."""
    request = await sent(twilio, account, create(leg="customer-1"))
    assert request.field("WaitUrl") == f"{VOICE}/wait?call=call-1&leg=customer-1{RETRY}"


async def test_an_announcement_to_all_goes_to_the_conference(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """Everybody hears what is announced to the conference."""
    prompt = Prompt(play="https://cdn.example.test/a.mp3")
    action = AnnounceAll(
        id="a", call_id="call-1", account_sid=ACCOUNT, at=0, deadline=1, conference_sid=ROOM, announce=prompt
    )
    request = await sent(twilio, account, action)
    url = f"{VOICE}/announce?call=call-1&play=https%3A%2F%2Fcdn.example.test%2Fa.mp3{RETRY}"
    assert (request.path, request.field("AnnounceUrl")) == (conference_path(), url)


async def test_a_redirected_leg_is_given_our_document(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """A redirect takes the leg out of the room to hear a prompt."""
    action = RedirectCall(
        id="a",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=0,
        deadline=1,
        leg="customer-1",
        call_sid=CALL_1,
        announce=Prompt(say="Goodbye."),
    )
    request = await sent(twilio, account, action)
    vector = recorded("calls(sid).update(url=...,method='POST')")
    assert [key for key, _ in request.form] == [key for key, _ in vector.form]
    assert request.field("Url") == f"{VOICE}/announce?call=call-1&leg=customer-1&say=Goodbye.{RETRY}"


async def test_a_room_that_has_not_begun_is_emptied_leg_by_leg(twilio: FakeTwilio, account: TwilioAccount) -> None:
    """Every leg that is named or listed is hung up; one that has gone already is no failure."""
    twilio.on("GET", participants_path(), Reply(200, {"participants": [participant(CALL_2)]}))
    twilio.on("POST", call_path(CALL_1), refusal(400, 21220))
    twilio.on("POST", call_path(CALL_2), Reply(200, call(CALL_2)))
    end = EndConference(
        id="a", call_id="call-1", account_sid=ACCOUNT, at=0, deadline=1, conference_sid=ROOM, call_sids=(CALL_1,)
    )
    await empty_conference(account, end)
    assert [request.path for request in twilio.requests[1:]] == [call_path(CALL_1), call_path(CALL_2)]
