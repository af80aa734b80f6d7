"""Twilio's side over real HTTP: what is taken, what is refused, what is in the log when Twilio has its answer."""

import asyncio
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from cordboard.log.faults import Fault, Operation
from cordboard.log.memory import MemoryLog
from schemas.records import Webhook
from schemas.topics import Topic
from schemas.webhooks import Source
from signing_twilio import ACCOUNT, CALL, CONFERENCE, NOW_MS, STATUS, VOICE, Inboxes, Twilio

XML = "text/xml; charset=utf-8"


def webhook(inboxes: Inboxes) -> Webhook:
    """The one record that is in the inbox."""
    (record,) = inboxes.records
    assert isinstance(record, Webhook)
    return record


def conference(text: str) -> ET.Element:
    """The conference of a TwiML document."""
    found = ET.fromstring(text).find("Dial/Conference")  # noqa: S314 - our own document
    assert found is not None
    return found


async def test_caller_is_let_into_the_room(twilio: Twilio, inboxes: Inboxes) -> None:
    """A call that begins is recorded under its CallSid and answered with the room of its own."""
    answer = await twilio.post("/v1/voice/twiml", VOICE)
    assert (answer.status, answer.headers["Content-Type"]) == (200, XML)
    assert conference(answer.text).text == f"room-{CALL}"
    assert conference(answer.text).get("participantLabel") == "customer-1"
    record = webhook(inboxes)
    assert (record.call_id, record.source, record.at, record.leg) == (CALL, Source.VOICE, NOW_MS, None)
    assert msgspec.json.decode(record.params) == VOICE


async def test_browser_is_an_agent(twilio: Twilio) -> None:
    """A call from a browser begins with the agent's leg, who waits in silence for the ringing phone."""
    answer = await twilio.post("/v1/voice/twiml", {**VOICE, "From": "client:anna"})
    assert conference(answer.text).get("participantLabel") == "agent-1"
    assert conference(answer.text).get("waitUrl") == ""


async def test_get_is_taken(twilio: Twilio, inboxes: Inboxes) -> None:
    """A number may be set to GET: the fields stand in the query, and the record is the same."""
    answer = await twilio.get("/v1/voice/twiml", VOICE)
    assert answer.status == 200
    assert msgspec.json.decode(webhook(inboxes).params) == VOICE


async def test_with_the_path_prefix(twilio: Twilio, inboxes: Inboxes) -> None:
    """The path prefix of the public URL may still be there when a request arrives."""
    assert (await twilio.send("GET", "/twilio/v1/voice/wait", None, {})).status == 403
    signed = await twilio.prefixed().post("/v1/voice/status", STATUS)
    assert signed.status == 204
    assert len(inboxes.records) == 1


async def test_status_is_durable_before_the_answer(twilio: Twilio, inboxes: Inboxes) -> None:
    """A status callback of our URL is recorded for the call and leg that the query names, blank fields included."""
    answer = await twilio.post("/v1/voice/status?call=dial-1&leg=agent-2&a=dial-1.4.0", STATUS)
    assert (answer.status, answer.text) == (204, "")
    record = webhook(inboxes)
    assert (record.call_id, record.leg, record.action) == ("dial-1", "agent-2", "dial-1.4.0")
    assert msgspec.json.decode(record.params)["FromCity"] == ""


@pytest.mark.parametrize(
    ("target", "fields", "source"),
    [
        ("/v1/voice/status", STATUS, Source.STATUS),
        ("/v1/voice/conference", CONFERENCE, Source.CONFERENCE),
        ("/v1/voice/amd", {**VOICE, "AnsweredBy": "human"}, Source.AMD),
        ("/v1/voice/recording", {**VOICE, "RecordingSid": "RE1", "RecordingStatus": "completed"}, Source.RECORDING),
    ],
)
async def test_callback_without_our_query(
    twilio: Twilio, inboxes: Inboxes, target: str, fields: dict[str, str], source: Source
) -> None:
    """A callback that does not name its call is placed by its CallSid, or by the name of its room."""
    assert (await twilio.post(target, fields)).status == 204
    assert (webhook(inboxes).call_id, webhook(inboxes).source) == (CALL, source)


async def test_second_delivery_has_the_same_id(twilio: Twilio, inboxes: Inboxes) -> None:
    """Two deliveries of one callback are two records with one id."""
    for _ in range(2):
        await twilio.post("/v1/voice/status", STATUS)
    first, second = inboxes.records
    assert first.id == second.id


@pytest.mark.parametrize("token", ["token-of-the-account", "next-token"])
async def test_every_token_verifies(twilio: Twilio, token: str) -> None:
    """While a token is rotated both verify."""
    assert (await twilio.post("/v1/voice/status", STATUS, token)).status == 204


async def test_signed_but_no_such_route(twilio: Twilio, inboxes: Inboxes) -> None:
    """What Twilio signed for a route that we do not have is set aside with its bytes, and answered 404."""
    answer = await twilio.post("/v1/voice/nothing", STATUS)
    assert answer.status == 404
    (dead,) = inboxes.dead
    headers = dict(dead.headers)
    assert (headers["reason"], headers["source_topic"]) == (b"no_route", b"http")
    assert headers["target"] == b"/v1/voice/nothing"
    assert b"CallStatus=completed" in (dead.value or b"")


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        ("/v1/voice/conference", {**CONFERENCE, "FriendlyName": "somebody else's"}, b"no_call"),
        ("/v1/voice/status?call=not%20an%20id", STATUS, b"bad_call"),
        ("/v1/voice/status?call=c1&leg=nobody", STATUS, b"bad_leg"),
        ("/v1/voice/status", {"AccountSid": ACCOUNT, "CallSid": CALL}, b"bad_form"),
        ("/v1/voice/status", {**STATUS, "SequenceNumber": "three"}, b"bad_form"),
        ("/v1/voice/status", {**STATUS, "CallSid": "CA1"}, b"no_call"),
    ],
)
async def test_unplaceable_is_set_aside(
    twilio: Twilio, inboxes: Inboxes, target: str, fields: dict[str, str], reason: bytes
) -> None:
    """A signed callback that cannot become a record is a dead letter with its reason, and Twilio gets its 204."""
    assert (await twilio.post(target, fields)).status == 204
    assert not inboxes.records
    (dead,) = inboxes.dead
    assert dict(dead.headers)["reason"] == reason


@pytest.mark.parametrize("target", ["/v1/voice/conference-join", "/v1/voice/conference-join?call=c1"])
async def test_unplaceable_leg_is_hung_up(twilio: Twilio, inboxes: Inboxes, target: str) -> None:
    """A leg that can be placed in no room hears nothing and is hung up; its request is set aside."""
    answer = await twilio.post(target, VOICE)
    assert (answer.status, answer.text.partition("?>")[2]) == (200, "<Response><Hangup /></Response>")
    assert len(inboxes.dead) == 1


async def test_dialled_leg_hears_its_whisper_and_joins(twilio: Twilio, inboxes: Inboxes) -> None:
    """A leg that we dialled hears the whisper of its URL, then enters the room under its own label."""
    answer = await twilio.post("/v1/voice/conference-join?call=c1&leg=agent-3&say=A+%26+B", VOICE)
    assert ET.fromstring(answer.text).findtext("Say") == "A & B"  # noqa: S314 - our own document
    assert (conference(answer.text).get("participantLabel"), conference(answer.text).text) == ("agent-3", "room-c1")
    assert (webhook(inboxes).source, webhook(inboxes).leg) == (Source.JOINING, "agent-3")


@pytest.mark.parametrize("written", [True, False])
async def test_log_away_means_ask_again(twilio: Twilio, log: MemoryLog, written: bool) -> None:
    """A callback whose record is not acknowledged gets 503 and an invitation to come again."""
    log.faults.add(Fault(Operation.PUBLISH, Topic.INBOX, written=written))
    answer = await twilio.post("/v1/voice/status", STATUS)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert (await twilio.post("/v1/voice/status", STATUS)).status == 204


async def test_log_away_keeps_the_caller_on_the_line(twilio: Twilio, log: MemoryLog) -> None:
    """While the log is away a caller holds the line and the same request comes again two seconds later."""
    log.unavailable = "no broker"
    answer = await twilio.post("/v1/voice/conference-join?call=c1&leg=agent-1&say=x", VOICE)
    root = ET.fromstring(answer.text)  # noqa: S314 - our own document
    assert [element.tag for element in root] == ["Pause", "Redirect"]
    assert (root.findtext("Redirect") or "").startswith(
        "https://calls.example.com/twilio/v1/voice/conference-join?call=c1&leg=agent-1&say=x#rc=3"
    )
    assert (await twilio.post("/v1/voice/hold", VOICE)).status == 200


async def test_slow_log_is_not_waited_for_without_end(twilio: Twilio, log: MemoryLog) -> None:
    """A log that does not answer in time is a log that is away."""
    never = asyncio.Event()

    async def hang(*_: object) -> None:
        await never.wait()

    log.faults.hook = hang
    assert (await twilio.post("/v1/voice/status", STATUS)).status == 503
    assert "Redirect" in (await twilio.post("/v1/voice/twiml", VOICE)).text


async def test_dead_letter_that_cannot_be_written(twilio: Twilio, log: MemoryLog) -> None:
    """What cannot even be set aside is not answered as if it were."""
    log.unavailable = "no broker"
    assert (await twilio.post("/v1/voice/nothing", STATUS)).status == 503
    assert (await twilio.post("/v1/voice/status?call=%20", STATUS)).status == 503


async def test_wait_music_is_that_of_the_number(twilio: Twilio) -> None:
    """Whoever waits hears, without end, what the called number's policy says; held ones too."""
    wait = await twilio.post("/v1/voice/wait", VOICE)
    assert '<Play loop="0">https://audio.example/wait.mp3</Play>' in wait.text
    assert "BusyStrings" in (await twilio.post("/v1/voice/wait", {**VOICE, "To": "+15559999"})).text
    hold = await twilio.post("/v1/voice/hold?call=c1", VOICE)
    assert "<Say>Hold</Say>" in hold.text
    assert "/twilio/v1/voice/hold?call=c1#rc=3" in hold.text
    asked = await twilio.post("/v1/voice/hold?audio=https%3A%2F%2Fa.example%2Fx.mp3%3Fa%3D1%26b%3D2", VOICE)
    assert '<Play loop="0">https://a.example/x.mp3?a=1&amp;b=2</Play>' in asked.text


async def test_announcement_and_whisper(twilio: Twilio, inboxes: Inboxes) -> None:
    """A prompt is heard once; one that is none is left out rather than ending the call; neither needs the log."""
    assert "<Say>It is late</Say>" in (await twilio.post("/v1/voice/announce?say=It+is+late", {})).text
    assert (
        "<Play>https://a.example/x</Play>" in (await twilio.post("/v1/voice/whisper?play=https://a.example/x", {})).text
    )
    assert "<Response />" in (await twilio.post("/v1/voice/whisper?play=file:///etc/passwd", {})).text
    assert not inboxes.records


async def test_message_is_recorded_and_told(twilio: Twilio, log: MemoryLog, inboxes: Inboxes) -> None:
    """A voicemail is recorded with an action of its own; what was recorded is durable before the call ends."""
    document = await twilio.post("/v1/voice/voicemail?call=c1&leg=customer-1&say=Speak", VOICE)
    record = ET.fromstring(document.text).find("Record")  # noqa: S314 - our own document
    assert record is not None
    action = (record.get("action") or "").removeprefix("https://calls.example.com/twilio").partition("#")[0]
    assert not inboxes.records
    left = {**VOICE, "RecordingSid": "RE1", "RecordingDuration": "7"}
    log.faults.add(Fault(Operation.PUBLISH, Topic.INBOX))
    assert "left=1" in (await twilio.post(action, left)).text
    assert "<Hangup />" in (await twilio.post(action, left)).text
    assert (webhook(inboxes).source, webhook(inboxes).leg) == (Source.VOICEMAIL, "customer-1")


async def test_a_leg_out_of_the_room_waits_for_word(twilio: Twilio, inboxes: Inboxes) -> None:
    """It stays on the line for a while and hangs up; nothing is recorded, the conference tells of it."""
    answer = await twilio.post("/v1/voice/dial-action?call=c1&leg=customer-1", {**VOICE, "CallStatus": "in-progress"})
    assert '<Pause length="10" /><Hangup />' in answer.text
    assert not inboxes.records


async def test_a_leg_whose_call_is_over_does_not_wait(twilio: Twilio) -> None:
    """The party has hung up: there is nothing to wait for."""
    answer = await twilio.post("/v1/voice/dial-action?call=c1&leg=customer-1", {**VOICE, "CallStatus": "completed"})
    assert "<Pause" not in answer.text
    assert "<Hangup />" in answer.text


async def test_a_leg_is_let_into_the_room_that_its_url_names(twilio: Twilio, inboxes: Inboxes) -> None:
    """After a rescue that is the next room of the call, under the leg's own label."""
    answer = await twilio.post("/v1/voice/conference-join?call=c1&leg=customer-1&room=room2-c1", VOICE)
    assert ">room2-c1</Conference>" in answer.text
    assert 'participantLabel="customer-1"' in answer.text
    assert webhook(inboxes).source is Source.JOINING


async def test_a_call_waits_with_the_audio_of_the_policy_it_began_with(twilio: Twilio) -> None:
    """The file may say something else by now: what the URL carries counts."""
    join = "/v1/voice/conference-join?call=c1&leg=customer-1&room=room2-c1"
    answer = await twilio.post(f"{join}&audio=Please+wait", VOICE)
    assert "audio=Please+wait" in str(conference(answer.text).get("waitUrl"))


async def test_a_room_of_another_call_is_refused(twilio: Twilio, inboxes: Inboxes) -> None:
    """A URL of ours never says that: it is set aside, and the leg hangs up."""
    answer = await twilio.post("/v1/voice/conference-join?call=c1&leg=customer-1&room=room2-c2", VOICE)
    assert "<Hangup />" in answer.text
    assert len(inboxes.dead) == 1


PAYLOADS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "unit" / "ingress" / "payloads.jsonl").read_text().splitlines()
]
ROUTES = {"voice.status": "status", "voice": "twiml", "conference": "conference", "recording": "recording"}


@pytest.mark.parametrize("payload", PAYLOADS, ids=[payload["id"] for payload in PAYLOADS])
async def test_recorded_payloads(twilio: Twilio, inboxes: Inboxes, payload: dict[str, dict[str, str]]) -> None:
    """Every callback that was recorded from Twilio or documented by it is taken or set aside, never an error."""
    kind = str(payload["kind"])
    name = next((name for prefix, name in ROUTES.items() if kind.startswith(prefix)), "unknown")
    fields = {**payload["params"], "AccountSid": ACCOUNT}
    answer = await twilio.post(f"/v1/voice/{name}?call=c1", fields)
    assert answer.status == {"twiml": 200, "unknown": 404}.get(name, 204)
    assert len(inboxes.records) + len(inboxes.dead) == 1
    assert bool(inboxes.records) is (name != "unknown")
