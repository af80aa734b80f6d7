"""The express lane: what it takes, and that nobody can tell it from aiohttp's own way but by its speed.

These tests pin what `ingress/protocol.py` relies on inside aiohttp.
"""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import msgspec
import pytest
from aiohttp.http_parser import RawRequestMessage
from twilio.request_validator import RequestValidator

from cordboard.clock import system_clock
from cordboard.errors import LogUnavailableError
from cordboard.log.memory import MemoryLog
from ingress.app import IngressConfig
from ingress.express import Express
from ingress.handling import Ingress
from ingress.protocol import Answering, Server
from ingress.recorder import Recorder
from schemas.topics import partition_of
from signing_twilio import PUBLIC_URL, STATUS, TOKEN, Inboxes, Twilio, calling

TARGET = "/v1/voice/status"
USUAL = "application/x-www-form-urlencoded; charset=UTF-8"


def request(content_type: str = USUAL, **fields: str) -> bytes:
    """A signed callback as it goes over the wire."""
    form = {**STATUS, **fields}
    body = urlencode(form)
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + TARGET, form)
    return (
        f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nX-Twilio-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Line:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send, and let the server see it."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        """The head of the next answer."""
        async with asyncio.timeout(10):
            return await self._reader.readuntil(b"\r\n\r\n")


class Gate:
    """Holds back what is published, and counts it."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def hold(self, *_: object) -> None:
        """The log's hook."""
        self.reached.set()
        await self.open.wait()


@pytest.fixture
def gate(log: MemoryLog) -> Gate:
    """A gate before the log."""
    made = Gate()
    log.faults.hook = made.hold
    return made


@pytest.fixture
async def patient(config: IngressConfig, log: MemoryLog) -> AsyncIterator[Twilio]:
    """An ingress that waits long for its log."""
    async with calling(msgspec.structs.replace(config, ack_timeout_s=30.0), log) as client:
        yield client


async def line_to(twilio: Twilio) -> Line:
    """A new connection."""
    return Line(*await asyncio.open_connection("127.0.0.1", twilio.port))


@pytest.fixture
def only_express(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes aiohttp's way fails."""

    async def handle(*_: object) -> None:
        raise AssertionError("not taken")

    monkeypatch.setattr(Ingress, "handle", handle)


@pytest.mark.usefixtures("only_express")
async def test_it_takes_a_callback(twilio: Twilio, inboxes: Inboxes) -> None:
    """A whole signed callback skips aiohttp's handler, one after the other on one connection."""
    line = await line_to(twilio)
    for number in range(3):
        await line.send(request(SequenceNumber=str(number)))
        assert b"204 No Content" in await line.head()
    line.writer.close()
    assert len(inboxes.records) == 3


class Hasty(asyncio.Transport):
    """Somebody who sends each request the moment the answer before is written, faster than any network."""

    def __init__(self, protocol: asyncio.Protocol, requests: list[bytes]) -> None:
        super().__init__()
        self.done = asyncio.Event()
        self._protocol, self._requests = protocol, requests
        protocol.connection_made(self)
        protocol.data_received(self._requests.pop(0))

    def write(self, _: object) -> None:
        """An answer, and the next request in the same turn of the loop."""
        if not self._requests:
            self.done.set()
            return
        request = self._requests.pop(0)
        for piece in (request[:100], request[100:]):
            asyncio.get_running_loop().call_soon(self._protocol.data_received, piece)

    def is_closing(self) -> bool:
        """Never: who sends reads to the end."""
        return False

    def close(self) -> None:
        """Nothing to give back."""


@pytest.mark.parametrize("first", [request(), b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["taken", "refused"])
async def test_a_connection_that_is_not_awaited_yet(config: IngressConfig, log: MemoryLog, first: bytes) -> None:
    """What comes before aiohttp waits for it, at the beginning or after an answer of its own, is the lane's as well."""
    ingress = Ingress(config, Recorder(log, 1.0), system_clock)
    taken: list[bool] = []

    class Watched(Express):
        def take(self, message: RawRequestMessage, body: bytes, asker: Answering) -> bool:
            taken.append(super().take(message, body, asker))
            return taken[-1]

    hasty = Hasty(Server(Watched(ingress), ingress.handle)(), [first, *(request(SequenceNumber=str(n)) for n in "12")])
    async with asyncio.timeout(10):
        await hasty.done.wait()
    assert taken == [True] * (2 + first.startswith(b"POST"))


async def test_both_ways_leave_the_same_record(twilio: Twilio, inboxes: Inboxes) -> None:
    """A content type that only aiohttp's way knows to be a form makes the same record, and the same answer."""
    line, heads = await line_to(twilio), []
    for content_type in (USUAL, "application/x-www-form-urlencoded;charset=utf-8"):
        await line.send(request(content_type))
        heads.append(await line.head())
    line.writer.close()
    express, usual = inboxes.records
    assert express == usual
    assert {head.partition(b"\r\n")[0] for head in heads} == {b"HTTP/1.1 204 No Content"}
    assert all(b"\r\nDate: " in head and b"Content-Length" not in head for head in heads)


async def test_answers_keep_their_order(patient: Twilio, gate: Gate, inboxes: Inboxes) -> None:
    """What is sent while a callback is in hand is answered after it, also when it needs no log."""
    line = await line_to(patient)
    await line.send(request())
    await gate.reached.wait()
    await line.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" + request(SequenceNumber="4"))
    gate.open.set()
    assert (await line.head()).startswith(b"HTTP/1.1 204")
    assert (await line.head()).startswith(b"HTTP/1.1 403")
    assert b"HTTP/1.1 204" in await line.head()  # behind the body of the refusal
    line.writer.close()
    assert len(inboxes.records) == 2


async def test_pipelined_in_one_piece(twilio: Twilio, inboxes: Inboxes) -> None:
    """Several requests in one packet are aiohttp's business, and the next one is the lane's again."""
    line = await line_to(twilio)
    await line.send(request(SequenceNumber="1") + request(SequenceNumber="2"))
    heads = [await line.head(), await line.head()]
    await line.send(request(SequenceNumber="3"))
    heads.append(await line.head())
    line.writer.close()
    assert all(head.startswith(b"HTTP/1.1 204") for head in heads)
    assert len(inboxes.records) == 3


async def test_in_pieces(twilio: Twilio, inboxes: Inboxes) -> None:
    """A request that comes in two pieces is aiohttp's business."""
    line, whole = await line_to(twilio), request()
    await line.send(whole[:-20])
    await twilio.send("GET", "/", None, {})  # the server has seen the first piece
    await line.send(whole[-20:])
    assert (await line.head()).startswith(b"HTTP/1.1 204")
    line.writer.close()
    assert len(inboxes.records) == 1


async def test_who_hangs_up_leaves_a_record(patient: Twilio, gate: Gate, inboxes: Inboxes) -> None:
    """A connection that ends while its callback is in hand takes nothing with it, and leaves nothing behind."""
    line = await line_to(patient)
    await line.send(request())
    await gate.reached.wait()
    line.writer.close()
    await line.writer.wait_closed()
    await patient.send("GET", "/", None, {})
    gate.open.set()
    async with asyncio.timeout(10):
        while not inboxes.records:
            await asyncio.sleep(0)
    assert (await patient.post(TARGET, STATUS)).status == 204


async def test_log_is_away(twilio: Twilio, gate: Gate) -> None:
    """What the log does not acknowledge in time is put off, and the connection stays usable."""
    line = await line_to(twilio)
    await line.send(request())
    refused = await line.head()
    gate.open.set()
    await line.send(request())
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"\r\nRetry-After: 1\r\n" in refused
    assert (await line.head()).startswith(b"HTTP/1.1 204")
    line.writer.close()


class Sharded(MemoryLog):
    """A log whose partitions fail one by one, as Kafka's do."""

    @property
    def fails_as_one(self) -> bool:
        """See `Log`."""
        return False


async def test_one_partition_is_away(config: IngressConfig) -> None:
    """Callbacks for a partition that cannot be written are put off; those for the others are taken."""
    log = Sharded(partitions=4)
    calls = [f"CA{digit * 32}" for digit in "0123456789"]
    away = partition_of(calls[0].encode(), 4)

    async def refuse(_on: object, _point: object, _topic: object, partition: int) -> None:
        if partition == away:
            raise LogUnavailableError("no leader")

    log.faults.hook = refuse
    async with calling(config, log) as twilio:
        answers = await asyncio.gather(*(twilio.post(TARGET, {**STATUS, "CallSid": call}) for call in calls))
    expected = [503 if partition_of(call.encode(), 4) == away else 204 for call in calls]
    assert [answer.status for answer in answers] == expected
    assert set(expected) == {204, 503}
