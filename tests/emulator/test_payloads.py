"""The parameters of callbacks and document requests, name by name, against the recorded and documented payloads."""

import json
from pathlib import Path

import pytest

from emulator_bench import AGENT, CALLER, EVENTS, NUMBER, TARGET, Bench

LINES = (Path(__file__).parents[1] / "vectors" / "payloads.jsonl").read_text().splitlines()
VECTORS = {line["id"]: line for line in map(json.loads, LINES)}
LABELLED = {"ParticipantLabel"}


def _names(vector: str) -> set[str]:
    return set(VECTORS[vector]["params"])


async def test_incoming_call(bench: Bench) -> None:
    """The voice webhook of a number: the recorded names, and CallToken, which Twilio documents since (2.1)."""
    await bench.caller("<Response><Hangup/></Response>")
    await bench.until(lambda: bench.site.got("/voice"), "the voice webhook")
    hit = bench.site.got("/voice")[0]
    assert set(hit.params) == _names("in-01") | {"CallToken"}
    assert (hit.params["CallStatus"], hit.params["Direction"]) == ("ringing", "inbound")
    assert (hit.params["Caller"], hit.params["Called"], hit.params["FromCountry"]) == (CALLER, NUMBER, "US")
    wanted = set(VECTORS["in-01"]["headers"])
    assert wanted <= set(hit.headers)
    assert hit.headers["Content-Type"] == VECTORS["in-01"]["headers"]["Content-Type"]
    assert hit.headers["User-Agent"] == "TwilioProxy/1.1"


async def test_browser_call(bench: Bench) -> None:
    """A browser's call through a TwiML app: no geography, To empty unless given, parameters under their own names."""
    app = "AP" + "1" * 32
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    wish = {"from": "client:Anonymous", "application_sid": app, "parameters": {"phoneNumber": TARGET}}
    await bench.control("POST", "/calls", wish)
    await bench.until(lambda: bench.site.got("/app"), "the webhook")
    params = bench.site.got("/app")[0].params
    assert set(params) == _names("client-01")
    assert (params["To"], params["Called"], params["phoneNumber"]) == ("", "", TARGET)


async def test_browser_names_whom_it_calls(bench: Bench) -> None:
    """A custom parameter named To is the call's To and Called."""
    app = "AP" + "1" * 32
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    await bench.control("POST", "/calls", {"from": AGENT, "application_sid": app, "parameters": {"To": TARGET}})
    await bench.until(lambda: bench.site.got("/app", To=TARGET, Called=TARGET), "the webhook")


async def test_custom_parameters_cannot_forge_twilio_fields(bench: Bench) -> None:
    """A custom parameter named like one of Twilio's own does not replace it."""
    app = "AP" + "1" * 32
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    wish = {"from": AGENT, "application_sid": app, "parameters": {"AccountSid": "AC", "From": "client:boss"}}
    await bench.control("POST", "/calls", wish)
    await bench.until(lambda: bench.site.got("/app"), "the webhook")
    assert bench.site.got("/app", From=AGENT)[0].params["AccountSid"] != "AC"


async def test_outbound_document_request(bench: Bench) -> None:
    """The TwiML request of an API call is in-progress and has no callback fields."""
    form = {"To": TARGET, "From": NUMBER, "Url": bench.url("/go")}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: bench.site.got("/go"), "the document request")
    params = bench.site.got("/go")[0].params
    # The recording of 2016 lacks the called side's legacy duplicates that newer ones have.
    missing = {"CallerCity", "CallerState", "CallerZip", "CallerCountry"} - _names("twiml-out-01")
    assert set(params) - missing == _names("twiml-out-01")
    assert params["CallStatus"] == "in-progress"


async def test_call_completed(bench: Bench) -> None:
    """The completed callback of a dialled leg has exactly the recorded names."""
    form = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>", "StatusCallback": bench.url("/cb")}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: bench.site.got("/cb"), "the callback")
    assert set(bench.site.got("/cb")[0].params) == _names("status-11")


async def test_recorded_call_completed(bench: Bench) -> None:
    """With Record=true the end tells the recording too."""
    form = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>", "StatusCallback": bench.url("/cb"), "Record": "true"}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: bench.site.got("/cb"), "the callback")
    more = {"RecordingUrl", "RecordingSid", "RecordingDuration"}
    assert set(bench.site.got("/cb")[0].params) == _names("status-11") | more


async def test_inbound_completed(bench: Bench) -> None:
    """The terminal callback of an inbound number has exactly the recorded names: no SipResponseCode."""
    bench.site.pages["/in"] = "<Response><Hangup/></Response>"
    config = {"voice_url": bench.url("/in"), "status_callback": bench.url("/done")}
    await bench.control("PUT", f"/numbers/{NUMBER}", config)
    await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
    await bench.until(lambda: bench.site.got("/done"), "the callback")
    params = bench.site.got("/done")[0].params
    assert set(params) == _names("status-09")
    assert params["SequenceNumber"] == VECTORS["status-09"]["params"]["SequenceNumber"]


@pytest.mark.parametrize(("answer", "status", "code"), [("busy", "busy", "486"), ("fails", "failed", "404")])
async def test_unanswered_callback(bench: Bench, answer: str, status: str, code: str) -> None:
    """A leg that nobody answered has CallDuration 0 and no Duration."""
    await bench.person(TARGET, answer=answer)
    form = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>", "StatusCallback": bench.url("/cb")}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: bench.site.got("/cb"), "the callback")
    params = bench.site.got("/cb")[0].params
    assert set(params) == _names("status-11") - {"Duration"}
    assert (params["CallStatus"], params["SipResponseCode"], params["CallDuration"]) == (status, code, "0")
    assert params["SequenceNumber"] == "1", "a skipped state consumes no number"


CONFERENCE = [name for name in VECTORS if name.startswith("conf-doc-")]


@pytest.mark.parametrize("vector", CONFERENCE)
async def test_conference_events(bench: Bench, vector: str) -> None:
    """Each conference event has exactly the documented names."""
    event = VECTORS[vector]["params"]["StatusCallbackEvent"]
    await _everything(bench)
    sent = bench.sent("conference", StatusCallbackEvent=event)
    assert sent, f"{event} was never sent"
    for entry in sent:
        # Label fields only where there is a label; ours all have one.
        assert set(entry.params) == _names(vector)


async def _everything(bench: Bench) -> None:
    """Make a conference tell every event there is."""
    bench.site.pages["/say"] = "<Response><Say>hello</Say></Response>"
    bench.site.pages["/bad"] = 500
    caller = await bench.caller_in("room-1", statusCallbackEvent=f"{EVENTS} speaker")
    agent = await bench.agent_in("room-1", Label="agent-1")
    for speaking in (True, False):
        await bench.control("POST", f"/calls/{agent}/speak", {"speaking": speaking})
    path = f"/Conferences/{bench.room('room-1').sid}/Participants/{caller}.json"
    changes = [{"Muted": "true"}, {"Muted": "false"}, {"Hold": "true"}, {"Hold": "false"}]
    changes += [{"EndConferenceOnExit": "true"}, {"AnnounceUrl": bench.url("/say")}, {"AnnounceUrl": bench.url("/bad")}]
    for form in changes:
        status, body = await bench.rest("POST", path, form)
        assert status == 200, body
    told = {"announcement-end", "announcement-fail"}
    await bench.until(lambda: told <= set(bench.conference_events()), "the announcements")
    await bench.control("POST", f"/calls/{agent}/hangup")
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.settled()


async def test_unlabelled_participant(bench: Bench) -> None:
    """Without a label there is no ParticipantLabel."""
    await bench.caller_in("room-1")
    await bench.agent_in("room-1")
    await bench.settled()
    params = bench.sent("conference", StatusCallbackEvent="participant-join")[-1].params
    assert set(params) == _names("conf-doc-participant-join") - LABELLED


@pytest.mark.parametrize(
    ("vector", "event"), [("rec-doc-inprogress", "in-progress"), ("rec-doc-completed", "completed")]
)
async def test_conference_recording(bench: Bench, vector: str, event: str) -> None:
    """A conference recording begins with the conference and tells the documented names."""
    attributes = {"record": "record-from-start", "recordingStatusCallback": bench.url("/rec")}
    caller = await bench.caller_in("room-1", **attributes, recordingStatusCallbackEvent="in-progress completed")
    agent = await bench.agent_in("room-1")
    for sid in (caller, agent):
        await bench.control("POST", f"/calls/{sid}/hangup")
    await bench.until(lambda: bench.site.got("/rec", RecordingStatus=event), f"recording {event}")
    params = bench.site.got("/rec", RecordingStatus=event)[0].params
    assert set(params) == _names(vector)
    assert params["RecordingSource"] == "Conference"


async def test_silent_recording(bench: Bench) -> None:
    """A leg that says nothing gives an absent recording without a URL, told only to those who subscribed to it."""
    await bench.person(CALLER, silent=True)
    caller = await bench.caller_in("room-1")
    for path, events in (("/rec", "completed absent"), ("/default", "completed")):
        form = {"RecordingStatusCallback": bench.url(path), "RecordingStatusCallbackEvent": events}
        await bench.rest("POST", f"/Calls/{caller}/Recordings.json", form)
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.until(lambda: bench.site.got("/rec"), "the callback")
    await bench.settled()
    params = bench.site.got("/rec")[0].params
    # The vector is a conference's; a call's names the call and its track, and the documented ErrorCode.
    call_only = {"CallSid", "RecordingTrack", "ErrorCode"}
    assert set(params) == _names("rec-doc-absent") - {"ConferenceSid"} | call_only
    assert params["RecordingStatus"] == "absent"
    assert not bench.site.got("/default")


async def test_machine_detection_callback(bench: Bench) -> None:
    """An AMD callback has four fields and no parties."""
    await bench.person(TARGET, answer="machine", ring_s=0.0)
    form = {"MachineDetection": "Enable", "AmdStatusCallback": bench.url("/amd")}
    await bench.agent_in("room-1", TARGET, **form)
    await bench.until(lambda: bench.site.got("/amd"), "the verdict")
    params = bench.site.got("/amd")[0].params
    assert set(params) == {"AccountSid", "CallSid", "AnsweredBy", "MachineDetectionDuration"}
    assert params["AnsweredBy"] == "machine_start"
