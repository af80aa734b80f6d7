"""What Twilio's side refuses: without a trace, with the same words for everybody, and in bounded time."""

import asyncio
import json

import msgspec
import pytest

from cordboard import metrics
from cordboard.log.memory import MemoryLog
from ingress.app import IngressConfig
from signing_twilio import STATUS, VOICE, Inboxes, Twilio, calling


@pytest.mark.parametrize("path", ["/v1/voice/status", "/v1/voice/twiml", "/no/such/path", "/", "/v1/commands"])
async def test_unsigned_is_forbidden_on_any_path(twilio: Twilio, inboxes: Inboxes, path: str) -> None:
    """Without a signature, or with a wrong one, any path answers the same 403 and leaves nothing."""
    bare = await twilio.send("POST", path, b"CallSid=x", {})
    wrong = await twilio.post(path, STATUS, "not-the-token")
    assert (bare.status, wrong.status) == (403, 403)
    assert bare.text == wrong.text == "Forbidden\n"
    assert not inboxes.records
    assert not inboxes.dead


async def test_unknown_account_is_forbidden(twilio: Twilio) -> None:
    """An AccountSid that is not ours is refused like a wrong signature."""
    answer = await twilio.post("/v1/voice/status", {**STATUS, "AccountSid": "AC" + "9" * 32})
    assert (answer.status, answer.text) == (403, "Forbidden\n")


async def test_too_large(twilio: Twilio) -> None:
    """A body over 64 KiB is refused, announced or not; so is a form of endless fields."""
    signature = {"X-Twilio-Signature": "x"}
    assert (await twilio.send("POST", "/v1/voice/status", b"a" * 65_537, signature)).status == 413
    assert (await twilio.send("POST", "/v1/voice/status", b"a&" * 600, signature)).status == 413
    assert (await twilio.send("POST", "/v1/voice/status", b"a" * 65_536, signature)).status == 403


async def test_packed_body_is_refused(twilio: Twilio) -> None:
    """Twilio does not compress; what is compressed is not unpacked."""
    headers = {"X-Twilio-Signature": "x", "Content-Encoding": "gzip"}
    assert (await twilio.send("POST", "/v1/voice/status", b"\x1f\x8b", headers)).status == 415


async def test_signed_json_is_no_form(twilio: Twilio) -> None:
    """A signed JSON body, its hash in the query, is from Twilio and still nothing that we take."""
    body = json.dumps({"a": 1}).encode()
    assert (await twilio.signed_json("/v1/voice/status", body, body)).status == 415
    assert (await twilio.signed_json("/v1/voice/status", body, b"{}")).status == 403


async def test_stalled_body_is_given_up(twilio: Twilio) -> None:
    """A body that stops half-way is answered 408 and its connection closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", twilio.port)
    writer.write(
        b"POST /v1/voice/status HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: x\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nCallSid="
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
    assert b"408" in head
    await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def test_host_header_means_nothing(twilio: Twilio) -> None:
    """The signed URL is the configured one, whatever the request calls its host."""
    assert (await twilio.post("/v1/voice/status", STATUS, Host="evil.example")).status == 204


async def test_other_methods(twilio: Twilio) -> None:
    """Twilio asks by GET and POST; anything else is not for us."""
    assert (await twilio.send("DELETE", "/v1/voice/status", None, {"X-Twilio-Signature": "x"})).status == 403


async def test_overload_is_shed(config: IngressConfig, log: MemoryLog) -> None:
    """Beyond what we can do at once callbacks get 503 at once, and TwiML is still given."""
    release, reached = asyncio.Event(), asyncio.Semaphore(0)

    async def hold(*_: object) -> None:
        reached.release()
        await release.wait()

    log.faults.hook = hold
    busy = msgspec.structs.replace(config, max_in_flight=2, ack_timeout_s=30.0)
    async with calling(busy, log) as twilio:
        waiting = []
        for _ in range(2):
            waiting.append(asyncio.create_task(twilio.post("/v1/voice/status", STATUS)))
            await reached.acquire()
        shed = await twilio.post("/v1/voice/status", STATUS)
        music = await twilio.post("/v1/voice/wait", VOICE)
        release.set()
        answers = await asyncio.gather(*waiting)
    assert (shed.status, shed.headers["Retry-After"], music.status) == (503, "1", 200)
    assert [answer.status for answer in answers] == [204, 204]


async def test_others_cannot_use_up_twilios_room(config: IngressConfig, log: MemoryLog) -> None:
    """Requests that stall before they are checked take no place of those that Twilio has signed."""
    patient = msgspec.structs.replace(config, max_in_flight=1, body_timeout_s=30.0)
    async with calling(patient, log) as twilio:
        stalled = []
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", twilio.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: x\r\nContent-Length: 9\r\n\r\na")
            await writer.drain()
            stalled.append(writer)
        assert (await twilio.post("/v1/voice/status", STATUS)).status == 204
        for writer in stalled:
            writer.close()


def _gone() -> float:
    return float(metrics.WEBHOOKS_REFUSED.labels("gone")._value.get())


async def test_whoever_hangs_up_in_the_middle_is_counted(config: IngressConfig, log: MemoryLog) -> None:
    """A connection that is lost before the body has come is a refusal like others, and no error of ours."""
    before = _gone()
    patient = msgspec.structs.replace(config, body_timeout_s=30.0)
    async with calling(patient, log) as twilio:
        _, writer = await asyncio.open_connection("127.0.0.1", twilio.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: x\r\nContent-Length: 9\r\n\r\na")
        await writer.drain()
        writer.close()
        while _gone() == before:
            await asyncio.sleep(0.01)
    assert _gone() == before + 1
