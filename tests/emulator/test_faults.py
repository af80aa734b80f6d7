"""Faults on demand, by the control route: signatures, documents, legs, conferences, late and lost answers, queueing."""

import asyncio

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from emulator import Switches
from emulator_bench import ACCOUNT, AGENT, NUMBER, TARGET, TOKEN, Bench, BenchFactory

FORM = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>"}
EVENTS = "initiated ringing answered completed"


async def test_a_wrong_signature(bench: Bench) -> None:
    """A callback and a request for TwiML are signed with another token; the inspector says that it was asked for."""
    for kind in ("call", "twiml"):
        await bench.control("POST", "/faults", {"effect": "wrong-signature", "match": kind})
    bench.site.pages["/cb"] = 403
    await bench.rest("POST", "/Calls.json", {**FORM, "StatusCallback": bench.url("/cb")})
    await bench.rest("POST", "/Calls.json", {"To": TARGET, "From": NUMBER, "Url": bench.url("/go")})
    await bench.until(lambda: bench.site.got("/cb") and bench.site.got("/go"), "both")
    await bench.settled()
    for path in ("/cb", "/go"):
        hit = bench.site.got(path)[0]
        signature = hit.headers["X-Twilio-Signature"]
        assert not RequestValidator(TOKEN).validate(bench.url(path), hit.params, signature)
    _, told = await bench.control("GET", f"/requests/{bench.sent('call')[0].number}")
    assert "well done" in str(told["explanation"])


@pytest.mark.parametrize("kind", ["announcement", "wait-music", "hold-music"])
async def test_media_fails(bench: Bench, kind: str) -> None:
    """A document of that kind cannot be had: announcements tell announcement-fail, music becomes silence."""
    bench.site.pages["/say"] = "<Response><Say>hello</Say></Response>"
    await bench.control("POST", "/faults", {"effect": "unreachable", "match": kind})
    caller = await bench.caller_in("room-1", waitUrl=bench.url("/say"))
    await bench.agent_in("room-1")
    path = f"/Conferences/{bench.room('room-1').sid}/Participants/{caller}.json"
    wish = (
        {"AnnounceUrl": bench.url("/say")} if kind == "announcement" else {"Hold": "true", "HoldUrl": bench.url("/say")}
    )
    await bench.rest("POST", path, wish)
    await bench.until(lambda: bench.sent(kind) and bench.sent(kind)[0].code == 11200, "the failure")
    assert bench.sent(kind)[0].fault == "unreachable"
    if kind == "announcement":
        await bench.until(lambda: "announcement-fail" in bench.conference_events(), "the event")


async def test_a_leg_drops(bench: Bench) -> None:
    """The leg that matches is gone some time after its answer; the others stay."""
    await bench.control("POST", "/faults", {"effect": "leg-drop", "match": AGENT, "delay_s": 0.05})
    caller = await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1", AGENT)
    await bench.until(lambda: bench.status(agent) == "completed", "the drop")
    assert bench.joined("room-1", caller)
    again = await bench.agent_in("room-1", AGENT)
    assert bench.joined("room-1", again)


async def test_a_whole_conference_ends(bench: Bench) -> None:
    """A conference ends by itself after its start, or at once by the control route."""
    await bench.control("POST", "/faults", {"effect": "conference-end", "match": "room-1"})
    await bench.caller_in("room-1")
    await bench.rest("POST", "/Conferences/room-1/Participants.json", {"To": AGENT, "From": NUMBER})
    room = bench.room("room-1")
    await bench.until(lambda: room.status == "completed", "the end")
    await bench.caller_in("room-2")
    await bench.agent_in("room-2")
    sid = bench.room("room-2").sid
    assert (await bench.control("POST", f"/conferences/{sid}/end"))[0] == 200
    assert bench.room("room-2").status == "completed"
    assert (await bench.control("POST", f"/conferences/{sid}/end"))[0] == 404
    await bench.settled()
    assert [event for event in bench.conference_events() if event == "conference-end"] == ["conference-end"] * 2


async def test_callbacks_before_the_reply(bench: Bench) -> None:
    """With answer-late the callbacks of a create are there before its answer."""
    await bench.control("POST", "/faults", {"effect": "answer-late", "match": "/Calls", "delay_s": 60})
    form = {**FORM, "StatusCallback": bench.url("/cb"), "StatusCallbackEvent": EVENTS}
    request = asyncio.create_task(bench.rest("POST", "/Calls.json", form))
    await bench.until(lambda: len(bench.site.got("/cb")) == 4, "all callbacks")
    assert not request.done()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)


@pytest.mark.parametrize(("effect", "status", "placed"), [("503-before", 503, 0), ("502-after", 502, 1)])
async def test_other_server_errors(bench: Bench, effect: str, status: int, placed: int) -> None:
    """503 comes from the API before anything has happened, 502 from a gateway, as HTML, when it has."""
    await bench.control("POST", "/faults", {"effect": effect})
    url = f"{bench.emulator.url}/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with bench.session.post(url, data=FORM, headers=headers) as answer:
        assert answer.status == status
        assert answer.content_type == ("application/json" if status == 503 else "text/html")
    assert len(bench.emulator.world.calls) == placed


async def test_calls_per_second_from_now_on(bench: Bench) -> None:
    """A limit set by the control route queues the next calls and tells their queue time; 0 ends it."""
    assert (await bench.control("PUT", "/limits", {"calls_per_second": 0.5}))[0] == 200
    times = [int(str((await bench.rest("POST", "/Calls.json", FORM))[1]["queue_time"])) for _ in range(3)]
    assert times[0] == 0
    assert 1_000 < times[1] <= 2_000 < times[2] <= 4_000
    await bench.control("PUT", "/limits", {"calls_per_second": 0})
    assert (await bench.rest("POST", "/Calls.json", FORM))[1]["queue_time"] == "0"
    assert (await bench.control("PUT", "/limits", {"calls_per_second": -1}))[0] == 422


async def test_callbacks_expire(start: BenchFactory) -> None:
    """Callbacks that wait too long behind a slow answer are given up with 15002."""
    bench = await start(Bench.config(switches=Switches(callback_expiry_s=0.05)))
    gate = bench.site.gates["/cb"] = asyncio.Event()
    await bench.rest("POST", "/Calls.json", {**FORM, "StatusCallback": bench.url("/cb"), "StatusCallbackEvent": EVENTS})
    await bench.until(lambda: bench.sent("call", CallStatus="completed"), "the end")
    last = bench.sent("call", CallStatus="completed")[0]
    await bench.until(lambda: bench.emulator.world.clock.now() - last.at > 0.05, "the expiry")
    gate.set()
    await bench.settled()
    assert [entry.status for entry in bench.sent("call")] == [204, None, None, None]
    assert {alert.code for alert in bench.emulator.world.alerts.entries} == {15002}


@pytest.mark.parametrize(("whose", "status"), [("first", 400), ("joiner", 201)])
async def test_whose_maximum_counts(start: BenchFactory, whose: str, status: int) -> None:
    """U23: MaxParticipants of the first participant counts, or each joiner's own."""
    bench = await start(Bench.config(switches=Switches(u23_max_participants=whose)))
    await bench.caller_in("room-1", maxParticipants="2")
    await bench.agent_in("room-1")
    form = {"To": AGENT, "From": NUMBER, "MaxParticipants": "9"}
    assert (await bench.rest("POST", "/Conferences/room-1/Participants.json", form))[0] == status


async def test_participants_hear_of_every_recording_event(bench: Bench) -> None:
    """A leg's recording tells started, paused, resumed and stopped to those who subscribed to them."""
    words = "started in-progress paused resumed stopped completed"
    wish = {"Record": "true", "RecordingStatusCallback": bench.url("/rec"), "RecordingStatusCallbackEvent": words}
    agent = await bench.agent_in("room-1", **wish)
    for status in ("paused", "in-progress", "stopped"):
        await bench.rest("POST", f"/Calls/{agent}/Recordings/Twilio.CURRENT.json", {"Status": status})
    await bench.settled()
    assert [hit.params["RecordingStatus"] for hit in bench.site.got("/rec")] == words.split()
