"""Delivery of callbacks: order, retries by URL fragment, tokens, redirects, credentials, faults, journals."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from emulator import Switches
from emulator.exchange import parse_policy
from emulator_bench import NUMBER, TARGET, TOKEN, Bench, BenchFactory

ALL = "initiated ringing answered completed"


async def _call(bench: Bench, callback: str, events: str = "completed") -> str:
    form = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>", "StatusCallback": callback}
    status, body = await bench.rest("POST", "/Calls.json", {**form, "StatusCallbackEvent": events})
    assert status == 201, body
    sid = str(body["sid"])
    await bench.until(lambda: bench.status(sid) == "completed", "the end")
    await bench.settled()
    return sid


@asynccontextmanager
async def _mute_server() -> AsyncIterator[tuple[str, list[int]]]:
    """A server that takes connections and never answers; yields its URL and what it has counted."""
    taken: list[int] = []
    release = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(len(await reader.read(65_536)))
        await release.wait()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mute", taken
    finally:
        release.set()
        server.close()


@asynccontextmanager
async def _closed_port() -> AsyncIterator[str]:
    """A URL at which nobody listens."""
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    yield f"http://127.0.0.1:{port}/nobody"


def test_policy_of_a_fragment() -> None:
    """The fragment's numbers are milliseconds and counts within Twilio's ranges; without one, one retry on connect."""
    plain, full = parse_policy(""), parse_policy("ct=200&rt=99999&tt=1&rc=9&rp=5xx,rt&e=dublin")
    assert (plain.retries, plain.on, plain.total_s) == (1, frozenset({"ct"}), 15.0)
    assert (full.connect_s, full.read_s, full.total_s, full.retries) == (0.2, 15.0, 0.1, 5)
    assert full.retries_on("rt")
    assert not full.retries_on("ct")
    assert parse_policy("rp=all").retries_on("4xx")


CASES = [
    ("", 500, 1),
    ("#rc=2", 500, 1),
    ("#rc=2&rp=5xx", 500, 3),
    ("#rc=2&rp=5xx", 404, 1),
    ("#rc=1&rp=4xx", 404, 2),
    ("#rc=3&rp=all", 503, 4),
    ("#rc=0&rp=all", 503, 1),
]


@pytest.mark.parametrize(("fragment", "status", "attempts"), CASES)
async def test_retries_on_status(bench: Bench, fragment: str, status: int, attempts: int) -> None:
    """Errors are retried only as the fragment says, and the failure is in the debugger and the journal."""
    bench.site.pages["/cb"] = status
    await _call(bench, bench.url(f"/cb{fragment}"))
    hits = bench.site.got("/cb")
    assert len(hits) == attempts
    assert len({hit.headers["I-Twilio-Idempotency-Token"] for hit in hits}) == 1
    entry = bench.sent("call")[0]
    assert (entry.attempts, entry.status, entry.error) == (attempts, status, f"HTTP {status}")
    assert 15003 in [alert.code for alert in bench.emulator.world.alerts.entries]


async def test_retry_until_it_works(bench: Bench) -> None:
    """A retry that succeeds is a delivery: no alert."""
    answers = iter([500, 204])
    bench.site.pages["/cb"] = lambda _params: next(answers)
    await _call(bench, bench.url("/cb#rc=3&rp=5xx"))
    entry = bench.sent("call")[0]
    assert (entry.attempts, entry.status, entry.error) == (2, 204, None)
    assert not bench.emulator.world.alerts.entries


async def test_tokens_may_differ(start: BenchFactory) -> None:
    """U2 the other way: every attempt has a token of its own."""
    bench = await start(Bench.config(switches=Switches(u2_same_token_for_attempts=False)))
    bench.site.pages["/cb"] = 500
    await _call(bench, bench.url("/cb#rc=2&rp=5xx"))
    assert len({hit.headers["I-Twilio-Idempotency-Token"] for hit in bench.site.got("/cb")}) == 3


async def test_connect_failure_is_retried_by_default(bench: Bench) -> None:
    """Nobody listening: one retry without any fragment, none with rc=0."""
    async with _closed_port() as url:
        await _call(bench, url)
        await _call(bench, f"{url}#rc=0")
    assert [entry.attempts for entry in bench.sent("call")] == [2, 1]


async def test_read_timeout(bench: Bench) -> None:
    """A server that does not answer within rt is a read timeout: retried with rp=rt only."""
    async with _mute_server() as (url, taken):
        await _call(bench, f"{url}#rt=200&rc=2&rp=rt")
        assert len(taken) == 3
        await _call(bench, f"{url}#rt=200&rc=2")
        assert len(taken) == 4
    assert all("no answer" in str(entry.error) for entry in bench.sent("call"))


async def test_total_time_bounds_all_attempts(bench: Bench) -> None:
    """Tt ends the retries, however many are left."""
    async with _mute_server() as (url, taken):
        await _call(bench, f"{url}#rt=200&tt=300&rc=5&rp=all")
        assert len(taken) == 2


async def test_callbacks_of_one_call_stay_in_order(bench: Bench) -> None:
    """Callbacks of one resource start one after the other, a retry included."""
    failed = iter([500])
    bench.site.pages["/cb"] = lambda _params: next(failed, 204)
    await _call(bench, bench.url("/cb#rc=1&rp=5xx"), ALL)
    told = [hit.params["SequenceNumber"] for hit in bench.site.got("/cb")]
    assert told == ["0", "0", "1", "2", "3"]


async def test_a_stuck_server_blocks_no_other_resource(bench: Bench) -> None:
    """While one call's callbacks hang, another's are delivered and the world goes on."""
    async with _mute_server() as (url, taken):
        form = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>", "StatusCallback": f"{url}#rc=0"}
        await bench.rest("POST", "/Calls.json", {**form, "StatusCallbackEvent": ALL})
        await bench.until(lambda: taken, "the stuck callback")
        await bench.rest("POST", "/Calls.json", {**form, "StatusCallback": bench.url("/cb")})
        await bench.until(lambda: bench.site.got("/cb"), "the other call's callback")


async def test_a_redirect_is_followed_with_get(bench: Bench) -> None:
    """A 302 is followed with GET: the fields are lost and the signature is the new URL's."""
    bench.site.pages["/old"] = lambda _: web.Response(status=302, headers={"Location": "/moved"})
    await _call(bench, bench.url("/old"))
    hit = bench.site.got("/moved")[0]
    assert (hit.method, hit.params) == ("GET", {})


async def test_credentials_only_when_asked_for(bench: Bench) -> None:
    """user:password@ in a URL is sent after a 401 only, and never signed."""
    bench.site.pages["/cb"] = lambda _params: 401 if len(bench.site.hits) == 1 else 204
    await _call(bench, bench.url("/cb").replace("http://", "http://user:secret@"))
    first, second = bench.site.got("/cb")
    assert "Authorization" not in first.headers
    assert second.headers["Authorization"] == "Basic " + base64.b64encode(b"user:secret").decode()
    assert first.headers["X-Twilio-Signature"] == second.headers["X-Twilio-Signature"]


async def test_dropped_and_doubled(bench: Bench) -> None:
    """Faults drop and double the callbacks that match, and no others."""
    await bench.control("POST", "/faults", {"effect": "drop", "match": "ringing"})
    await bench.control("POST", "/faults", {"effect": "double", "match": "answered"})
    await _call(bench, bench.url("/cb"), ALL)
    told = [hit.params["CallStatus"] for hit in bench.site.got("/cb")]
    assert told == ["initiated", "in-progress", "in-progress", "completed"]
    assert bench.sent("call", CallStatus="ringing")[0].error == "dropped by a fault"
    assert (await bench.control("GET", "/faults"))[1] == {"faults": []}


async def test_a_delayed_callback_is_overtaken(bench: Bench) -> None:
    """A delayed callback arrives after later ones."""
    await bench.control("POST", "/faults", {"effect": "delay", "match": "initiated", "delay_s": 0.6})
    await _call(bench, bench.url("/cb"), ALL)
    await bench.until(lambda: len(bench.site.got("/cb")) == 4, "all four")
    assert bench.site.got("/cb")[-1].params["CallStatus"] == "initiated"


async def test_journals_show_everything(bench: Bench) -> None:
    """The control routes show requests, callbacks, alerts and counts."""
    sid = await _call(bench, bench.url("/cb"), ALL)
    _, body = await bench.control("GET", f"/callbacks?kind=call&resource={sid}")
    callbacks = body["callbacks"]
    assert isinstance(callbacks, list)
    assert [entry["status"] for entry in callbacks] == [204] * 4
    assert all(entry["done_at"] >= entry["at"] for entry in callbacks)
    _, body = await bench.control("GET", "/requests?limit=1")
    assert (len(list(body["requests"])), body["total"], body["dropped"]) == (1, 4, 0)  # type: ignore[call-overload]
    _, health = await bench.control("GET", "/health")
    assert health["crashes"] == 0
    assert health["callbacks"] == {"waiting": 0, "delivered": 4, "failed": 0, "dropped": 0}


async def test_journals_are_bounded(start: BenchFactory) -> None:
    """A journal keeps its last entries and counts what it dropped; ended calls are forgotten too."""
    bench = await start(Bench.config(journal_size=3, history_size=1))
    first = await _call(bench, bench.url("/cb"), ALL)
    await _call(bench, bench.url("/cb"), ALL)
    _, body = await bench.control("GET", "/requests")
    assert (len(list(body["requests"])), body["total"], body["dropped"]) == (3, 8, 5)  # type: ignore[call-overload]
    assert (await bench.rest("GET", f"/Calls/{first}.json"))[0] == 404


async def test_a_307_keeps_method_and_fields(bench: Bench) -> None:
    """A 307 is followed with the same method and fields, and signed anew."""
    bench.site.pages["/old"] = lambda _: web.Response(status=307, headers={"Location": "/moved"})
    await _call(bench, bench.url("/old"))
    hit = bench.site.got("/moved", CallStatus="completed")[0]
    assert hit.method == "POST"
    assert RequestValidator(TOKEN).validate(bench.url("/moved"), hit.params, hit.headers["X-Twilio-Signature"])


async def test_endless_redirects_end(bench: Bench) -> None:
    """More than ten redirects are a failure."""
    bench.site.pages["/old"] = lambda _: web.Response(status=302, headers={"Location": "/old"})
    await _call(bench, bench.url("/old"))
    assert bench.sent("call")[0].error == "more than 10 redirects"


async def test_a_partial_answer_is_not_retried(bench: Bench) -> None:
    """An answer that breaks off is never tried again, whatever the policy says."""
    taken: list[bytes] = []

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: text/xml\r\n\r\n<Resp")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/half#rc=5&rp=all"
        await _call(bench, url)
    assert len(taken) == 1
    assert bench.sent("call")[0].error == "the answer broke off"
