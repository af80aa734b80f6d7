"""``<Dial>`` of numbers, clients and SIP addresses, and ``<Connect><Conversation>`` (twilio-facts.md 2.4, 2.9, 4)."""

import pytest

from emulator import ConversationConfig, Switches
from emulator.entities import Call
from emulator_bench import CALLER, NUMBER, TARGET, Bench, BenchFactory

EVENTS = "initiated ringing answered completed"


def children(bench: Bench, parent: str) -> list[Call]:
    """Return the legs that a call's Dial has made."""
    return [call for call in bench.emulator.world.calls.values() if call.parent_call_sid == parent]


async def dials(bench: Bench, inside: str, attributes: str = "") -> str:
    """Let a caller reach a Dial; return the CallSid."""
    return await bench.caller(f'<Response><Dial action="/dialled" {attributes}>{inside}</Dial><Hangup/></Response>')


async def talking(bench: Bench, parent: str) -> Call:
    """Wait until the caller talks with a child leg, and return it."""
    events = bench.emulator.world.events.journal.entries
    await bench.until(
        lambda: any(one.kind == "hears" and one.call_sid == parent and one.data["what"] == "people" for one in events),
        "the bridge",
    )
    return next(leg for leg in children(bench, parent) if leg.live)


async def result(bench: Bench, path: str = "/dialled") -> dict[str, str]:
    """Wait for the action and return its fields."""
    await bench.until(lambda: bench.site.got(path), "the action")
    return bench.site.got(path)[0].params


async def test_a_number_is_dialled_and_talked_with(bench: Bench) -> None:
    """The child leg has the parent's SID and number; its end is the Dial's end, told to the action."""
    caller = await dials(bench, TARGET)
    child = await talking(bench, caller)
    assert (child.to, child.from_, child.direction, child.parent_call_sid) == (TARGET, CALLER, "outbound-dial", caller)
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    told = await result(bench)
    assert (told["DialCallStatus"], told["DialCallSid"], told["DialBridged"]) == ("completed", child.sid, "true")
    assert told["DialCallDuration"] == "0"
    assert told["CallStatus"] == "in-progress"


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        ({"answer": "busy"}, "busy"),
        ({"answer": "no-answer", "ring_s": 0.05}, "no-answer"),
        ({"answer": "fails"}, "failed"),
        ({"answer": "rejects"}, "busy"),
    ],
)
async def test_nobody_to_talk_with(bench: Bench, behaviour: dict[str, object], status: str) -> None:
    """The action tells why it came to nothing; there is no duration."""
    await bench.person("client:bob", **behaviour)
    await dials(bench, "<Client>bob</Client>")
    told = await result(bench)
    assert (told["DialCallStatus"], told["DialBridged"], "DialCallDuration" in told) == (status, "false", False)


async def test_callbacks_of_a_party(bench: Bench) -> None:
    """A noun's statusCallback hears the child leg, with ParentCallSid."""
    noun = f'<Sip statusCallback="/leg" statusCallbackEvent="{EVENTS}">sip:desk@example.test</Sip>'
    caller = await dials(bench, noun, 'callerId="+15550100001"')
    child = await talking(bench, caller)
    assert child.from_ == NUMBER
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    await bench.until(lambda: bench.site.got("/leg", CallStatus="completed"), "the last callback")
    hits = bench.site.got("/leg")
    assert [hit.params["CallStatus"] for hit in hits] == ["initiated", "ringing", "in-progress", "completed"]
    assert {hit.params["ParentCallSid"] for hit in hits} == {caller}
    assert {hit.params["Direction"] for hit in hits} == {"outbound-dial"}


async def test_the_whisper_comes_first(bench: Bench) -> None:
    """The called party hears its document before the bridge; until it is over the caller talks with nobody."""
    bench.site.pages["/whisper"] = '<Response><Gather numDigits="1" action="/pressed" timeout="60"/></Response>'
    bench.site.pages["/pressed"] = "<Response><Say>connecting</Say></Response>"
    caller = await dials(bench, f'<Number url="/whisper">{TARGET}</Number>')
    await bench.until(lambda: bench.site.got("/whisper"), "the whisper")
    (child,) = children(bench, caller)
    heard = [one.kind for one in bench.emulator.world.events.journal.entries if one.call_sid == caller]
    assert "hears" not in heard
    await bench.control("POST", f"/calls/{child.sid}/digits", {"digits": "1"})
    assert await talking(bench, caller) is child
    assert bench.site.got("/pressed", Digits="1")


@pytest.mark.parametrize(
    ("whisper", "codes"),
    [("<Response><Hangup/></Response>", []), ("<Response><Dial>+15550100007</Dial></Response>", [13201])],
)
async def test_the_called_party_declines(bench: Bench, whisper: str, codes: list[int]) -> None:
    """``<Hangup/>`` in the whisper declines the call; ``<Dial>`` there is 13201."""
    bench.site.pages["/whisper"] = whisper
    await dials(bench, f'<Number url="/whisper">{TARGET}</Number>')
    assert (await result(bench))["DialBridged"] == "false"
    assert [alert.code for alert in bench.emulator.world.alerts.entries] == codes


async def test_all_at_once(bench: Bench) -> None:
    """Several parties ring together; the first to answer is connected, the others stop ringing."""
    await bench.person("client:slow", answer="asks")
    await bench.person("client:busy", answer="busy")
    caller = await dials(bench, "<Client>slow</Client><Client>busy</Client><Client>quick</Client>")
    winner = await talking(bench, caller)
    assert winner.to == "client:quick"
    ended = {leg.to: leg.status.value for leg in children(bench, caller) if leg is not winner}
    assert ended == {"client:slow": "canceled", "client:busy": "busy"}


async def test_one_after_the_other(bench: Bench) -> None:
    """``sequential`` dials the next party when the one before has failed, and no more than needed."""
    await bench.person("client:busy", answer="busy")
    inside = "<Client>busy</Client><Client>second</Client><Client>third</Client>"
    caller = await dials(bench, inside, 'sequential="true"')
    assert (await talking(bench, caller)).to == "client:second"
    assert [leg.to for leg in children(bench, caller)] == ["client:busy", "client:second"]


async def test_the_ring_timeout(bench: Bench) -> None:
    """The Dial's timeout ends the ringing as no-answer."""
    await bench.person("client:asks", answer="asks")
    await dials(bench, "<Client>asks</Client>", 'timeout="0.05"')
    assert (await result(bench))["DialCallStatus"] == "no-answer"


async def test_a_star_ends_the_talk(bench: Bench) -> None:
    """With hangupOnStar the caller leaves by ``*``; the action says answered, the child is hung up."""
    caller = await dials(bench, TARGET, 'hangupOnStar="true"')
    child = await talking(bench, caller)
    await bench.control("POST", f"/calls/{caller}/digits", {"digits": "*"})
    assert (await result(bench))["DialCallStatus"] == "answered"
    assert child.status == "completed"


async def test_the_caller_hangs_up(bench: Bench) -> None:
    """The child ends with its parent, ringing or talking; the action is asked although its TwiML cannot run."""
    await bench.person("client:asks", answer="asks")
    caller = await dials(bench, "<Client>asks</Client>")
    await bench.until(lambda: children(bench, caller), "the child")
    (child,) = children(bench, caller)
    await bench.until(lambda: child.status == "ringing", "the ringing")
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.until(lambda: child.status == "canceled", "the end of the child")
    assert (await result(bench))["DialCallStatus"] == "canceled"


async def test_answer_on_bridge(bench: Bench) -> None:
    """With answerOnBridge the caller's leg rings until somebody answers."""
    await bench.person("client:asks", answer="asks")
    caller = await dials(bench, "<Client>asks</Client>", 'answerOnBridge="true"')
    await bench.until(lambda: any(leg.status == "ringing" for leg in children(bench, caller)), "the ringing")
    assert bench.status(caller) == "ringing"
    await bench.control("POST", f"/calls/{children(bench, caller)[0].sid}/answer")
    await talking(bench, caller)
    assert bench.status(caller) == "in-progress"


async def test_the_child_is_redirected(bench: Bench) -> None:
    """A child that is redirected goes on by itself; its parent's Dial is over."""
    bench.site.pages["/own"] = "<Response><Pause length='60'/></Response>"
    caller = await dials(bench, TARGET)
    child = await talking(bench, caller)
    await bench.rest("POST", f"/Calls/{child.sid}.json", {"Url": bench.url("/own")})
    assert (await result(bench))["DialCallStatus"] == "completed"
    await bench.until(lambda: bench.site.got("/own", CallSid=child.sid), "the child's own TwiML")
    assert child.status == "in-progress"


async def test_a_recorded_dial(bench: Bench) -> None:
    """``record`` keeps the talk, and the action names the recording."""
    caller = await dials(bench, TARGET, 'record="record-from-answer-dual" recordingStatusCallback="/rec"')
    child = await talking(bench, caller)
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    sid = (await result(bench))["RecordingSid"]
    taken = bench.emulator.world.recordings[sid]
    assert (taken.call_sid, taken.wish.channels, taken.status) == (caller, 2, "completed")


async def test_a_number_is_sent_digits_and_its_machine_detected(bench: Bench) -> None:
    """``<Number>`` presses keys after the answer, or tells by callback whether a machine has answered."""
    await bench.person(TARGET, answer="machine", ring_s=0.0)
    attributes = "machineDetection='Enable' amdStatusCallback='/amd'"
    await bench.caller(f"<Response><Dial><Number {attributes}>{TARGET}</Number></Dial></Response>")
    await bench.until(lambda: bench.site.got("/amd", AnsweredBy="machine_start"), "the verdict")
    caller = await bench.caller(
        f"<Response><Dial><Number sendDigits='w9' {attributes}>{TARGET}</Number></Dial></Response>"
    )
    child = await talking(bench, caller)
    events = [event for event in bench.emulator.world.events.journal.entries if event.call_sid == child.sid]
    assert "tones: w9" in [event.data.get("what") for event in events]
    assert len(bench.site.got("/amd")) == 1


async def test_a_recorded_dial_calls_back(bench: Bench) -> None:
    """A relative recording callback follows the document; the track is the one that was asked for."""
    wish = "record='record-from-answer' recordingTrack='inbound' recordingStatusCallback='/rec'"
    caller = await bench.caller(f"<Response><Dial {wish}>{TARGET}</Dial></Response>")
    child = await talking(bench, caller)
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    await bench.until(
        lambda: bench.site.got("/rec", RecordingTrack="inbound", RecordingSource="DialVerb"), "the callback"
    )


async def test_recording_in_the_background(bench: Bench) -> None:
    """``<Start><Recording>`` records two channels while the document goes on, until ``<Stop>`` or its end."""
    start = "<Start><Recording name='{}' recordingStatusCallback='/rec' recordingStatusCallbackEvent='{}'/></Start>"
    words = "in-progress completed"
    caller = await bench.caller(
        f"<Response>{start.format('a', words)}{start.format('b', words)}<Say>hello</Say>"
        "<Stop><Recording name='a'/></Stop><Pause length='60'/></Response>"
    )
    await bench.until(lambda: bench.site.got("/rec", RecordingStatus="completed"), "the first end")
    _, listed = await bench.rest("GET", f"/Calls/{caller}/Recordings.json")
    assert [one["status"] for one in listed["recordings"]] == ["completed", "in-progress"]  # type: ignore[attr-defined]
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.until(lambda: len(bench.site.got("/rec", RecordingStatus="completed")) == 2, "the second end")
    assert bench.site.got("/rec")[0].params["RecordingSource"] == "StartCallRecordingTwiML"
    assert bench.site.got("/rec")[0].params["RecordingChannels"] == "2"


# -- Conversation -----------------------------------------------------------------------------------------------------

SERVICE = "IS" + "1" * 32
NOUN = (
    f'<Conversation serviceInstanceSid="{SERVICE}" inboundTimeout="1" routingAssignmentTimeout="0" '
    'statusCallback="/conv" statusCallbackEvent="call-initiated call-ringing call-answered call-completed" {more}/>'
)


async def converses(
    start: BenchFactory, config: ConversationConfig, more: str = "", switches: Switches | None = None
) -> tuple[Bench, str]:
    """Let a caller reach a Conversation; return the bench and the CallSid."""
    bench = await start(Bench.config(conversations={SERVICE: config}, switches=switches or Switches()))
    noun = NOUN.format(more=more)
    return bench, await bench.caller(f'<Response><Connect action="/connected">{noun}</Connect></Response>')


async def test_a_worker_is_reached(start: BenchFactory) -> None:
    """The worker is dialled and talked with; callbacks count from 1 and have no CallSid; the action says success."""
    bench, caller = await converses(start, ConversationConfig(worker="client:worker"))
    child = await talking(bench, caller)
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    told = await result(bench, "/connected")
    assert (told["Result"], told["WorkerInitiated"], told["DialCallSid"]) == ("session-success", "false", child.sid)
    assert (told["DialCallStatus"], told["DialCallDuration"]) == ("completed", "0")
    await bench.until(lambda: bench.site.got("/conv", Status="call-completed"), "the last callback")
    hits = [hit.params for hit in bench.site.got("/conv")]
    names = ["call-initiated", "call-ringing", "call-answered", "call-completed"]
    assert [(hit["SequenceNumber"], hit["Status"]) for hit in hits] == [
        (str(number), name) for number, name in enumerate(names, 1)
    ]
    keys = "AccountSid ConversationSid DialCallSid WorkerInitiated Status SequenceNumber Timestamp CallbackSource"
    assert all(set(hit) == set(keys.split()) for hit in hits)


async def test_a_worker_who_does_not_answer(start: BenchFactory) -> None:
    """A timeout is ``dialed-call-incomplete`` with DialCallStatus ``no-answer``."""
    bench, _ = await converses(start, ConversationConfig(worker="client:worker"))
    await bench.person("client:worker", answer="no-answer", ring_s=0.02)
    noun = NOUN.format(more="")
    await bench.caller(f'<Response><Connect action="/second">{noun}</Connect></Response>')
    told = await result(bench, "/second")
    assert (told["Result"], told["DialCallStatus"]) == ("dialed-call-incomplete", "no-answer")


@pytest.mark.parametrize(
    ("config", "more", "expected"),
    [
        (ConversationConfig(), "", "no-other-participants"),
        (ConversationConfig(worker="client:w"), 'inboundAutocreation="false"', "no-existing-conversation"),
        (ConversationConfig(result="internal-error"), "", "internal-error"),
    ],
)
async def test_no_conversation(start: BenchFactory, config: ConversationConfig, more: str, expected: str) -> None:
    """Without a worker, or without a conversation that may be used, the action says which."""
    bench, _ = await converses(start, config, more)
    assert (await result(bench, "/connected"))["Result"] == expected


async def test_without_an_action_the_document_may_be_asked_again(start: BenchFactory) -> None:
    """The switch: the result of a conversation goes to the URL of the document that it stood in."""
    switches = Switches(conversation_action_defaults_to_document=True)
    bench = await start(
        Bench.config(conversations={SERVICE: ConversationConfig(worker="client:worker")}, switches=switches)
    )
    caller = await bench.caller(f"<Response><Connect>{NOUN.format(more='')}</Connect></Response>")
    child = await talking(bench, caller)
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    await bench.until(lambda: bench.site.got("/voice", Result="session-success"), "the result")


async def test_a_worker_calls_from_the_browser(start: BenchFactory) -> None:
    """Whom the browser calls is dialled, and the callbacks say that a worker began it."""
    bench = await start(Bench.config(conversations={SERVICE: ConversationConfig()}))
    bench.site.pages["/app"] = f'<Response><Connect action="/second">{NOUN.format(more="")}</Connect></Response>'
    app = "AP" + "1" * 32
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    wish = {"from": "client:worker", "to": "+15550166", "application_sid": app, "parameters": {"To": "+15550166"}}
    _, placed = await bench.control("POST", "/calls", wish)
    caller = str(placed["call_sid"])
    child = await talking(bench, caller)
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    told = await result(bench, "/second")
    assert (child.to, told["Result"], told["WorkerInitiated"]) == ("+15550166", "session-success", "true")


async def test_a_service_is_configured_while_it_runs(start: BenchFactory) -> None:
    """By the control route."""
    bench, _ = await converses(start, ConversationConfig())
    await bench.control("PUT", f"/conversations/{SERVICE}", {"result": "internal-error"})
    noun = NOUN.format(more="")
    await bench.caller(f'<Response><Connect action="/third">{noun}</Connect></Response>')
    assert (await result(bench, "/third"))["Result"] == "internal-error"


@pytest.mark.parametrize(("retries", "attempts"), [(False, 1), (True, 2)])
async def test_the_retry_fragment(start: BenchFactory, retries: bool, attempts: int) -> None:
    """U28: connection overrides have no effect on these callbacks, unless the switch says so."""
    switches = Switches(u28_conversation_callbacks_retry=retries)
    bench, caller = await converses(start, ConversationConfig(worker="client:w"), switches=switches)
    await talking(bench, caller)
    bench.site.pages["/broken"] = 500
    noun = NOUN.format(more="").replace('"/conv"', '"/broken#rc=1&amp;rp=5xx"')
    other = await bench.caller(f'<Response><Connect action="/second">{noun}</Connect></Response>')
    await bench.until(lambda: bench.site.got("/broken", Status="call-initiated"), "a callback")
    (child,) = children(bench, other)
    await bench.control("POST", f"/calls/{child.sid}/hangup")
    await result(bench, "/second")
    await bench.settled()
    assert len(bench.site.got("/broken", Status="call-initiated")) == attempts
