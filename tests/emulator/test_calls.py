"""The Call resource: placed, rung, answered, redirected, ended, listed, over REST as twilio-python speaks it."""

import asyncio
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from emulator_bench import ACCOUNT, AGENT, CALLER, NUMBER, TARGET, TOKEN, Bench, BenchFactory

PAUSE = "<Response><Pause length='60'/></Response>"
ALL_EVENTS = ["initiated", "ringing", "answered", "completed"]


async def _dial(bench: Bench, to: str = TARGET, **form: str) -> str:
    fields = {"To": to, "From": NUMBER, "Twiml": PAUSE, **form}
    status, body = await bench.rest("POST", "/Calls.json", fields)
    assert status == 201, body
    return str(body["sid"])


async def test_create_and_progress(bench: Bench) -> None:
    """A created call is queued; its four events come in order, numbered from 0, signed as call progress."""
    bench.site.pages["/go"] = "<Response><Say>hello</Say></Response>"
    async with bench.twilio() as twilio:
        call = await twilio.calls.create_async(
            to=TARGET,
            from_=NUMBER,
            url=bench.url("/go"),
            status_callback=bench.url("/cb"),
            status_callback_event=ALL_EVENTS,
        )
        assert call.sid is not None
        sid = call.sid
        assert (await twilio.calls(sid).fetch_async()).from_formatted == "(555) 010-0001"
        await bench.until(lambda: bench.status(sid) == "completed", "the end")
        done = await twilio.calls(sid).fetch_async()
        assert done.duration == "0"
    await bench.settled()
    told = [(hit.params["CallStatus"], hit.params["SequenceNumber"]) for hit in bench.site.got("/cb")]
    assert told == [("initiated", "0"), ("ringing", "1"), ("in-progress", "2"), ("completed", "3")]
    assert bench.site.got("/cb")[-1].params["SipResponseCode"] == "200"


async def test_default_subscription_is_completed(bench: Bench) -> None:
    """Without StatusCallbackEvent only the end is told, with the number of all events before it."""
    sid = await _dial(bench, StatusCallback=bench.url("/cb"), Twiml="<Response/>")
    await bench.until(lambda: bench.site.got("/cb"), "the callback")
    hits = bench.site.got("/cb", CallSid=sid)
    assert [(hit.params["CallStatus"], hit.params["SequenceNumber"]) for hit in hits] == [("completed", "3")]


async def test_synchronous_client(bench: Bench) -> None:
    """Twilio's ordinary, blocking client works too."""

    class Local(TwilioHttpClient):
        def request(self, method: str, url: str, **rest: Any) -> Response:  # type: ignore[override]
            return super().request(method, url.replace("https://api.twilio.com", bench.emulator.url), **rest)

    def use() -> tuple[str | None, int]:
        twilio = Client(ACCOUNT, TOKEN, http_client=Local(), environment={"_": ""})
        call = twilio.calls.create(to=TARGET, from_=NUMBER, twiml=PAUSE)
        assert call.sid is not None
        twilio.calls(call.sid).update(status="completed")
        return twilio.calls(call.sid).fetch().to, len(twilio.calls.list(limit=5))

    assert await asyncio.to_thread(use) == (TARGET, 1)


async def test_hang_up_by_rest(bench: Bench) -> None:
    """Status=completed ends an answered call as completed, and a second one is refused with 21220."""
    sid = await _dial(bench)
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    status, body = await bench.rest("POST", f"/Calls/{sid}.json", {"Status": "completed"})
    assert (status, body["status"]) == (200, "completed")
    status, body = await bench.rest("POST", f"/Calls/{sid}.json", {"Status": "completed"})
    assert (status, body["code"]) == (400, 21220)


@pytest.mark.parametrize("wish", ["canceled", "completed"])
async def test_cancel_while_ringing(bench: Bench, wish: str) -> None:
    """A ringing call that is cancelled or completed ends as canceled with SIP 487."""
    await bench.person(TARGET, answer="asks")
    sid = await _dial(bench, StatusCallback=bench.url("/cb"))
    await bench.until(lambda: bench.status(sid) == "ringing", "the ring")
    _, body = await bench.rest("POST", f"/Calls/{sid}.json", {"Status": wish})
    assert body["status"] == "canceled"
    await bench.until(lambda: bench.site.got("/cb", CallStatus="canceled", SipResponseCode="487"), "the callback")


async def test_canceled_has_no_effect_once_answered(bench: Bench) -> None:
    """Status=canceled on a call in progress is answered with 200 and changes nothing."""
    sid = await _dial(bench)
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    status, body = await bench.rest("POST", f"/Calls/{sid}.json", {"Status": "canceled"})
    assert (status, body["status"]) == (200, "in-progress")


async def test_redirect_runs_the_new_document(bench: Bench) -> None:
    """Url on a live call fetches and runs that document; a ringing call refuses with 21220."""
    bench.site.pages["/new"] = "<Response><Hangup/></Response>"
    await bench.person(TARGET, answer="asks")
    sid = await _dial(bench)
    await bench.until(lambda: bench.status(sid) == "ringing", "the ring")
    status, body = await bench.rest("POST", f"/Calls/{sid}.json", {"Url": bench.url("/new")})
    assert (status, body["code"]) == (400, 21220)
    await bench.control("POST", f"/calls/{sid}/answer")
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    status, _ = await bench.rest("POST", f"/Calls/{sid}.json", {"Url": bench.url("/new")})
    assert status == 200
    await bench.until(lambda: bench.status(sid) == "completed", "the end")
    assert bench.site.got("/new", CallSid=sid, CallStatus="in-progress")


async def test_redirect_leaves_the_conference(bench: Bench) -> None:
    """Redirecting a leg takes it out of its conference while the leg stays up."""
    caller = await bench.caller_in("room-1")
    await bench.agent_in("room-1")
    await bench.rest("POST", f"/Calls/{caller}.json", {"Twiml": PAUSE})
    assert not bench.joined("room-1", caller)
    assert bench.status(caller) == "in-progress"
    await bench.until(lambda: "participant-leave" in bench.conference_events(), "the leave event")
    left = bench.sent("conference", StatusCallbackEvent="participant-leave")[0]
    assert left.params["ReasonParticipantLeft"] == "participant_updated_via_api"
    assert left.params["ParticipantCallStatus"] == "in-progress"
    assert not bench.site.got("/after"), "the old document must not go on"


async def test_delete_removes_finished_records_only(bench: Bench) -> None:
    """DELETE on a live call is refused with 20009; on a finished one the record is gone."""
    sid = await _dial(bench)
    async with bench.twilio() as twilio:
        with pytest.raises(TwilioRestException) as refused:
            await twilio.calls(sid).delete_async()
        assert refused.value.code == 20009
        await bench.rest("POST", f"/Calls/{sid}.json", {"Status": "completed"})
        assert await twilio.calls(sid).delete_async()
        with pytest.raises(TwilioRestException) as gone:
            await twilio.calls(sid).fetch_async()
        assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_list_filters_and_pages(bench: Bench) -> None:
    """Lists filter by To, From, Status and time, newest first, and page through next_page_uri."""
    sids = [await _dial(bench, to) for to in (TARGET, AGENT, TARGET)]
    await bench.until(lambda: all(bench.status(sid) == "in-progress" for sid in sids), "all answered")
    async with bench.twilio() as twilio:
        assert [call.sid for call in await twilio.calls.list_async(page_size=2)] == sids[::-1]
        assert [call.sid for call in await twilio.calls.list_async(to=AGENT)] == [sids[1]]
        assert len(await twilio.calls.list_async(status="in-progress", from_=NUMBER)) == 3
    assert (await bench.rest("GET", "/Calls.json?StartTime%3C=2001-01-01"))[1]["calls"] == []
    _, body = await bench.rest("GET", "/Calls.json?StartTime%3E=2001-01-01&PageSize=1")
    assert body["page_size"] == 1
    assert body["next_page_uri"]
    assert body["previous_page_uri"] is None


REFUSALS = [
    ({"From": NUMBER, "Twiml": PAUSE}, 400, 21201),
    ({"To": TARGET, "Twiml": PAUSE}, 400, 21213),
    ({"To": "5550100003", "From": NUMBER, "Twiml": PAUSE}, 400, 21211),
    ({"To": TARGET, "From": "client:x", "Twiml": PAUSE}, 400, 21212),
    ({"To": TARGET, "From": "+15559999999", "Twiml": PAUSE}, 400, 21210),
    ({"To": TARGET, "From": NUMBER}, 400, 21205),
    ({"To": TARGET, "From": NUMBER, "Url": "/relative"}, 400, 21205),
    ({"To": TARGET, "From": NUMBER, "Twiml": PAUSE, "Timeout": "9000"}, 400, 21208),
    ({"To": TARGET, "From": NUMBER, "Twiml": PAUSE, "StatusCallbackEvent": "busy"}, 400, 21626),
    ({"To": TARGET, "From": NUMBER, "Twiml": PAUSE, "StatusCallback": "http://a_b.example/x"}, 400, 21609),
    ({"To": TARGET, "From": NUMBER, "ApplicationSid": "AP" + "0" * 32}, 400, 21218),
]


@pytest.mark.parametrize(("form", "status", "code"), REFUSALS)
async def test_refusals(bench: Bench, form: dict[str, str], status: int, code: int) -> None:
    """A bad parameter is refused with Twilio's code, and nobody is dialled."""
    got, body = await bench.rest("POST", "/Calls.json", form)
    assert (got, body["code"], body["status"]) == (status, code, status)
    assert not bench.emulator.world.calls


async def test_calls_per_second_queue(start: BenchFactory) -> None:
    """Above the rate a leg is queued, not refused, and queue_time tells for how long."""
    bench = await start(Bench.config(calls_per_second=20.0))
    answers = [await bench.rest("POST", "/Calls.json", {"To": TARGET, "From": NUMBER, "Twiml": PAUSE}) for _ in "123"]
    waits = [int(str(body["queue_time"])) for _, body in answers]
    assert waits[0] == 0
    assert 0 < waits[1] < waits[2] <= 100
    sids = [str(body["sid"]) for _, body in answers]
    await bench.until(lambda: all(bench.status(sid) == "in-progress" for sid in sids), "all answered in the end")


async def test_time_limit(bench: Bench) -> None:
    """A call ends when its TimeLimit is over."""
    sid = await _dial(bench, TimeLimit="0")
    await bench.until(lambda: bench.status(sid) == "completed", "the limit")


async def test_inbound_number_tells_its_end_only(bench: Bench) -> None:
    """The number's StatusCallback gets the terminal event alone, numbered 0."""
    bench.site.pages["/in"] = "<Response><Say>bye</Say></Response>"
    config = {"voice_url": bench.url("/in"), "status_callback": bench.url("/done")}
    await bench.control("PUT", f"/numbers/{NUMBER}", config)
    await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
    await bench.until(lambda: bench.site.got("/done"), "the callback")
    await bench.settled()
    assert [hit.params["SequenceNumber"] for hit in bench.site.got("/done")] == ["0"]
    assert bench.site.got("/done", CallStatus="completed", Direction="inbound")


async def test_digits_after_the_answer(bench: Bench) -> None:
    """SendDigits is heard by the called party, switches machine detection off, and is refused when malformed."""
    wish = {"SendDigits": "ww12#", "MachineDetection": "Enable"}
    sid = await _dial(bench, **wish)
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    events = [event for event in bench.emulator.world.events.journal.entries if event.call_sid == sid]
    assert next(event.data["what"] for event in events if event.kind == "hears") == "tones: ww12#"
    assert not [event for event in events if event.kind == "call.detected"]
    status, body = await bench.rest(
        "POST", "/Calls.json", {"To": TARGET, "From": NUMBER, "Twiml": PAUSE, "SendDigits": "x"}
    )
    assert (status, body["code"]) == (400, 21206)


async def test_an_update_may_change_the_fallback_alone(bench: Bench) -> None:
    """FallbackUrl without Url counts for what the call runs from then on."""
    bench.site.pages["/fallback"] = PAUSE
    bench.site.pages["/broken"] = 500
    caller = await bench.caller(
        f"<Response><Gather timeout='60' numDigits='1' action='{bench.url('/broken')}'/></Response>"
    )
    await bench.until(lambda: bench.status(caller) == "in-progress", "the answer")
    await bench.rest("POST", f"/Calls/{caller}.json", {"FallbackUrl": bench.url("/fallback")})
    await bench.control("POST", f"/calls/{caller}/digits", {"digits": "1"})
    await bench.until(lambda: bench.site.got("/fallback", ErrorCode="11200"), "the fallback")
