"""TwiML as a call runs it: verbs, errors, fallbacks, digits, messages, sessions."""

from collections.abc import Callable

import pytest
from aiohttp import web

from emulator import Switches
from emulator.errors import Alert, DocumentError
from emulator.twiml.document import parse
from emulator.twiml.verbs import Dial, Play, Say
from emulator_bench import CALLER, NUMBER, Bench, BenchFactory

PAUSE = "<Response><Pause length='60'/></Response>"


def _codes(bench: Bench) -> list[int]:
    return [alert.code for alert in bench.emulator.world.alerts.entries]


async def _inbound(bench: Bench, page: str | int, **config: str) -> str:
    bench.site.pages["/voice"] = page
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/voice"), **config})
    _, body = await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
    return str(body["call_sid"])


async def _over(bench: Bench, sid: str) -> str:
    await bench.until(lambda: not bench.emulator.world.calls[sid].live, "the end")
    return bench.status(sid)


def test_builder_output_is_understood() -> None:
    """What Twilio's own builder writes parses, entities and alphabetical attributes included."""
    from twilio.twiml.voice_response import VoiceResponse  # noqa: PLC0415 - an oracle of this test alone

    response = VoiceResponse()
    response.say("a & b", loop=2)
    response.play("https://h/x.mp3?a=1&b=2", loop=0)
    dial = response.dial(action="/after?x=1&y=2")
    dial.conference("room é", beep=False, wait_url="", end_conference_on_exit=True, participant_label="customer")
    document = parse(str(response))
    say, play, dialled = document.verbs
    assert say == Say("a & b", 2)
    assert play == Play("https://h/x.mp3?a=1&b=2", 0)
    assert isinstance(dialled, Dial)
    assert dialled.conference is not None
    assert (dialled.action, dialled.conference.name) == ("/after?x=1&y=2", "room é")
    assert (dialled.conference.wait_url, dialled.conference.end_on_exit, dialled.conference.label) == (
        "",
        True,
        "customer",
    )
    assert document.warnings == ()


def test_list_valued_events_are_no_events() -> None:
    """The builder's trap: a list of events renders as Python text, which subscribes to nothing."""
    noun = "<Conference statusCallbackEvent=\"['start', 'end']\">r</Conference>"
    (dial,) = parse(f"<Response><Dial>{noun}</Dial></Response>").verbs
    assert isinstance(dial, Dial)
    assert dial.conference is not None
    assert not dial.conference.status_callback_events & {"start", "end"}


BAD = [
    ("<Response><Say>", Alert.PARSE_FAILURE),
    ("<Answer/>", Alert.SCHEMA),
    ("<Response><Dance/></Response>", Alert.SCHEMA),
    ("<Response><Enqueue></Enqueue></Response>", Alert.ENQUEUE_INVALID),
    ("<Response><Enqueue workflowSid='WW'><Task>no json</Task></Enqueue></Response>", Alert.ENQUEUE_INVALID),
    ("<Response><Dial>alice</Dial></Response>", Alert.NUMBER_INVALID),
    ("<Response><Dial></Dial></Response>", Alert.SCHEMA),
    ("<Response><Dial><Conference>r</Conference><Number>+1</Number></Dial></Response>", Alert.SCHEMA),
    ("<Response><Dial><Sip>alice</Sip></Dial></Response>", Alert.SCHEMA),
    ("<Response><Dial record='yes'><Number>+15550100001</Number></Dial></Response>", Alert.SCHEMA),
    ("<Response><Connect><Conversation/></Connect></Response>", Alert.CONVERSATION_INVALID),
    ("<Response><Dial><Conference> </Conference></Dial></Response>", Alert.SCHEMA),
    ("<Response><Dial><Conference muted='yes'>r</Conference></Dial></Response>", Alert.SCHEMA),
    ("<Response><Pause length='long'/></Response>", Alert.SCHEMA),
]


@pytest.mark.parametrize(("text", "code"), BAD)
def test_bad_documents(text: str, code: Alert) -> None:
    """What is not TwiML, or TwiML that is not emulated, is an error with Twilio's code."""
    with pytest.raises(DocumentError) as error:
        parse(text)
    assert error.value.code is code


async def test_unknown_attribute_is_a_warning(bench: Bench) -> None:
    """An attribute that does not exist (label for participantLabel) is alert 12200 and ignored."""
    caller = await bench.caller("<Response><Dial><Conference label='x'>room-1</Conference></Dial></Response>")
    await bench.until(lambda: bench.joined("room-1", caller), "the caller")
    assert _codes(bench) == [12200]
    assert bench.room("room-1").joined()[0].label == ""


GATHERS = [("speech", "billing", {"SpeechResult": "billing"}), ("dtmf speech", "2", {"Digits": "2"})]


@pytest.mark.parametrize(("ways", "given", "fields"), GATHERS)
async def test_gather_takes_what_it_asks_for(bench: Bench, ways: str, given: str, fields: dict[str, str]) -> None:
    """Speech alone does not listen to keys; with both, the first that comes is told, and only that."""
    gather = f"<Gather input='{ways}' numDigits='1' timeout='60' action='/got'/>"
    sid = await _inbound(bench, f"<Response>{gather}</Response>")
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    if ways == "speech":
        await bench.control("POST", f"/calls/{sid}/digits", {"digits": "7"})
        await bench.control("POST", f"/calls/{sid}/say", {"text": given})
    else:
        await bench.control("POST", f"/calls/{sid}/digits", {"digits": given})
    await bench.until(lambda: bench.site.got("/got"), "the action")
    params = bench.site.got("/got")[0].params
    assert {name: params[name] for name in ("SpeechResult", "Digits") if name in params} == fields


async def test_speech_in_a_conference(bench: Bench) -> None:
    """What one says in a conference is heard by those who hear it; who is on hold does not."""
    caller = await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1", Label="agent-1")
    for label, hears in (("agent-1", 1), ("customer", 1)):
        await bench.control("POST", f"/calls/{caller}/say", {"text": "hello"})
        heard = [
            event for event in bench.emulator.world.events.journal.entries if event.data.get("because") == "speech"
        ]
        assert [event.call_sid for event in heard] == [agent] * hears, label
        path = f"/Conferences/{bench.room('room-1').sid}/Participants/agent-1.json"
        await bench.rest("POST", path, {"Hold": "true"})


async def test_cookies_stay_with_the_call(bench: Bench) -> None:
    """What a server sets comes back with the call's next requests, and with no other call's."""

    def first(_: object) -> web.Response:
        answer = web.Response(text="<Response><Redirect>/next</Redirect></Response>", content_type="text/xml")
        answer.set_cookie("session", "s1", path="/")
        answer.set_cookie("theme", "dark")
        return answer

    bench.site.pages["/first"] = first
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/first")})
    for count in (1, 2):
        await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
        await bench.until(lambda count=count: len(bench.site.got("/next")) == count, "the next request")  # type: ignore[misc]
    assert all("Cookie" not in hit.headers for hit in bench.site.got("/first"))
    assert bench.site.got("/next")[0].headers["Cookie"] == "session=s1; theme=dark"


STRANGE = [
    "<Dial><Number statusCallback='/cb' statusCallbackEvent='no-answer busy completed'>+15550100003</Number></Dial>",
    "<Dial><Conference statusCallback='/cb' statusCallbackEvent='start finish'>room-1</Conference></Dial>",
    "<Record recordingStatusCallback='/cb' recordingStatusCallbackEvent='done' maxLength='1'/>",
]


@pytest.mark.parametrize("verb", STRANGE)
async def test_events_that_do_not_exist(bench: Bench, verb: str) -> None:
    """A word that names no event is a warning in the debugger; the call goes on with those that do."""
    sid = await _inbound(bench, f"<Response>{verb}</Response>")
    await bench.until(lambda: _codes(bench), "the warning")
    assert _codes(bench) == [12200]
    assert "expected some of" in bench.emulator.world.alerts.entries[0].detail
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")


async def test_document_end_hangs_up(bench: Bench) -> None:
    """When the document ends, and when it is empty, the call is completed."""
    for page in ("<Response><Say>bye</Say></Response>", "<Response/>", 204):
        assert await _over(bench, await _inbound(bench, page)) == "completed"
    assert not _codes(bench)


@pytest.mark.parametrize("reason", ["rejected", "busy"])
async def test_reject(bench: Bench, reason: str) -> None:
    """Reject as the first verb ends an unanswered call as busy; nobody has answered."""
    sid = await _inbound(bench, f"<Response><Reject reason='{reason}'/></Response>")
    assert await _over(bench, sid) == "busy"
    assert bench.emulator.world.calls[sid].answered_at is None


async def test_redirect_and_status(bench: Bench) -> None:
    """The first request is ringing, one after an answer is in-progress; relative URLs follow the document."""
    bench.site.pages["/deep/next"] = "<Response><Redirect method='GET'>../last?x=1</Redirect></Response>"
    bench.site.pages["/last"] = "<Response><Hangup/></Response>"
    sid = await _inbound(bench, "<Response><Say>a</Say><Redirect>/deep/next</Redirect></Response>")
    assert await _over(bench, sid) == "completed"
    assert bench.site.got("/voice", CallStatus="ringing")
    assert bench.site.got("/deep/next", CallStatus="in-progress")
    assert bench.site.got("/last", x="1", CallSid=sid)[0].method == "GET"


@pytest.mark.parametrize(
    ("page", "code"), [(500, 11200), (404, 11200), ("<Response><Say>", 12100), ("<Response><Dance/></Response>", 12200)]
)
async def test_fallback(bench: Bench, page: int | str, code: int) -> None:
    """A document that cannot be had or run goes to the fallback URL with ErrorCode and ErrorUrl (U4)."""
    bench.site.pages["/fallback"] = "<Response><Hangup/></Response>"
    sid = await _inbound(bench, page, voice_fallback_url=bench.url("/fallback"))
    assert await _over(bench, sid) == "completed"
    assert bench.site.got("/fallback", ErrorCode=str(code), ErrorUrl=bench.url("/voice"), CallSid=sid)
    assert _codes(bench) == [code]


async def test_no_fallback_ends_the_call(bench: Bench) -> None:
    """Without a fallback the caller hears an application error and the call ends."""
    assert await _over(bench, await _inbound(bench, 500)) == "failed"
    sid = await _inbound(bench, "<Response><Say>a</Say><Redirect>/gone</Redirect></Response>")
    bench.site.pages["/gone"] = 500
    assert await _over(bench, sid) == "completed"


async def test_fallback_without_error_fields(start: BenchFactory) -> None:
    """U4 the other way: the fallback request is an ordinary one."""
    bench = await start(Bench.config(switches=Switches(u4_fallback_carries_error=False)))
    bench.site.pages["/fallback"] = "<Response><Hangup/></Response>"
    await _over(bench, await _inbound(bench, 500, voice_fallback_url=bench.url("/fallback")))
    assert "ErrorCode" not in bench.site.got("/fallback")[0].params


async def test_relative_url_in_inline_twiml(bench: Bench) -> None:
    """Inline TwiML has no base: a relative URL is 15004."""
    form = {"To": "client:a", "From": NUMBER, "Twiml": "<Response><Redirect>/x</Redirect></Response>"}
    _, body = await bench.rest("POST", "/Calls.json", form)
    await _over(bench, str(body["sid"]))
    assert _codes(bench) == [15004]


async def test_gather(bench: Bench) -> None:
    """Digits during the prompt end it and go to the action; the finish key is not among them."""
    bench.site.pages["/keys"] = PAUSE
    prompt = "<Say loop='0'>press</Say>"
    page = f"<Response><Gather action='/keys' numDigits='4'>{prompt}</Gather></Response>"
    sid = await _inbound(bench, page)
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    await bench.until(lambda: _heard(bench, sid), "the prompt")
    assert (await bench.control("POST", f"/calls/{sid}/digits", {"digits": "12#"}))[0] == 200
    await bench.until(lambda: bench.site.got("/keys", Digits="12"), "the action")


def _heard(bench: Bench, sid: str) -> bool:
    events = bench.emulator.world.events.journal.entries
    return any(event.kind == "hears" and event.call_sid == sid for event in events)


async def test_gather_of_nothing_falls_through(bench: Bench) -> None:
    """Nothing pressed: the next verb, or the action with empty Digits if asked for."""
    bench.site.pages["/keys"] = PAUSE
    gather = "<Gather action='/keys' timeout='0.02'/>"
    assert await _over(bench, await _inbound(bench, f"<Response>{gather}<Hangup/></Response>")) == "completed"
    assert not bench.site.got("/keys")
    asking = gather.replace("timeout", "actionOnEmptyResult='true' timeout")
    await _inbound(bench, f"<Response>{asking}</Response>")
    await bench.until(lambda: bench.site.got("/keys", Digits=""), "the action")


async def test_voicemail(bench: Bench) -> None:
    """Record ends at a key and asks its action with the recording; the recording's callback follows."""
    bench.site.pages["/thanks"] = "<Response><Hangup/></Response>"
    record = f"<Record action='/thanks' recordingStatusCallback='{bench.url('/rec')}'/>"
    sid = await _inbound(bench, f"<Response><Say>leave a message</Say>{record}</Response>")
    await bench.until(lambda: bench.emulator.world.recordings, "the recording")
    await bench.control("POST", f"/calls/{sid}/digits", {"digits": "#"})
    await bench.until(lambda: bench.site.got("/thanks", Digits="#", CallSid=sid), "the action")
    await bench.until(lambda: bench.site.got("/rec", RecordingSource="RecordVerb"), "the recording's callback")


async def test_hanging_up_in_voicemail_keeps_the_message(bench: Bench) -> None:
    """Hanging up ends the recording, which is still told, to the action as well."""
    record = f"<Record action='/thanks' recordingStatusCallback='{bench.url('/rec')}'/>"
    sid = await _inbound(bench, f"<Response>{record}</Response>")
    await bench.until(lambda: bench.emulator.world.recordings, "the recording")
    await bench.control("POST", f"/calls/{sid}/hangup")
    await bench.until(lambda: bench.site.got("/rec", RecordingStatus="completed", CallSid=sid), "the callback")
    await bench.until(lambda: bench.site.got("/thanks", Digits="hangup", CallStatus="completed"), "the action")


async def test_star_leaves_the_conference(bench: Bench) -> None:
    """With hangupOnStar a * takes the caller out, and the document goes on; other keys do not."""
    noun = "<Conference>room-1</Conference>"
    bench.site.pages["/after"] = PAUSE
    caller = await bench.caller(f"<Response><Dial action='/after' hangupOnStar='true'>{noun}</Dial></Response>")
    await bench.until(lambda: bench.joined("room-1", caller), "the caller")
    await bench.control("POST", f"/calls/{caller}/digits", {"digits": "1"})
    assert bench.joined("room-1", caller)
    await bench.control("POST", f"/calls/{caller}/digits", {"digits": "*"})
    await bench.until(lambda: bench.site.got("/after", CallSid=caller), "the action")
    assert not bench.joined("room-1", caller)
    assert bench.status(caller) == "in-progress"


ANSWERS = [
    (lambda _: web.Response(text="<Response/>", content_type="text/html"), 12300),
    (lambda _: web.Response(text="hello", content_type="text/plain"), 12300),
    (lambda _: web.Response(text=f"<Response>{' ' * 70_000}</Response>", content_type="text/xml"), 11750),
    (lambda _: web.Response(status=302, headers={"Location": "/voice"}), 11215),
    (lambda _: web.Response(status=503), 11200),
]


@pytest.mark.parametrize(("answer", "code"), ANSWERS)
async def test_answers_that_are_no_twiml(bench: Bench, answer: Callable[[object], web.Response], code: int) -> None:
    """Wrong media types, too much, endless redirects and errors have codes of their own."""
    bench.site.pages["/voice"] = answer
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/voice")})
    _, body = await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
    assert await _over(bench, str(body["call_sid"])) == "failed"
    assert _codes(bench) == [code]


async def test_a_sound_file_is_a_document(bench: Bench) -> None:
    """A waitUrl may be a plain audio file: it is played once."""
    bench.site.pages["/tune.mp3"] = lambda _: web.Response(body=b"ID3", content_type="audio/mpeg")
    caller = await bench.caller_in("room-1", waitUrl=bench.url("/tune.mp3"), waitMethod="GET")
    await bench.until(lambda: _heard(bench, caller), "the music")
    events = bench.emulator.world.events.journal.entries
    assert next(event.data["what"] for event in events if event.kind == "hears") == "sound: tune.mp3"
    assert not _codes(bench)
