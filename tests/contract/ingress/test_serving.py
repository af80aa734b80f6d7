"""How the ingress comes and goes."""

import asyncio

import aiohttp
import msgspec
import pytest
from aiohttp import http_parser

from cordboard.log.memory import MemoryLog
from ingress.app import IngressConfig, NoCParserError, serve_ingress
from signing_twilio import NOW_MS, STATUS, Inboxes, Twilio


class Gate:
    """Holds every publish back until it is opened, and knows when one has come."""

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


async def test_what_is_in_hand_is_ended(config: IngressConfig, log: MemoryLog, inboxes: Inboxes, gate: Gate) -> None:
    """Stopping waits for the requests that are being handled: each has its answer and its record."""
    patient = msgspec.structs.replace(config, ack_timeout_s=10.0)
    serving = serve_ingress(patient, log, lambda: NOW_MS)
    async with aiohttp.ClientSession() as session, asyncio.timeout(15):
        twilio = Twilio(session, await serving.__aenter__())
        request = asyncio.create_task(twilio.post("/v1/voice/status", STATUS))
        await gate.reached.wait()
        leaving = asyncio.create_task(serving.__aexit__(None, None, None))
        await until_not_listening(twilio)
        gate.open.set()
        assert (await request).status == 204
        await leaving
    assert len(inboxes.records) == 1


async def until_not_listening(twilio: Twilio) -> None:
    """New connections are refused: stopping has begun."""
    while True:
        try:
            await twilio.send("GET", "/", None, {})
        except aiohttp.ClientError:
            return


async def test_two_cannot_have_one_port(config: IngressConfig, log: MemoryLog) -> None:
    """A port that is taken stops the start."""
    async with serve_ingress(config, log, lambda: NOW_MS) as port:
        taken = IngressConfig(public_url=config.public_url, accounts=config.accounts, port=port)
        with pytest.raises(OSError, match="address already in use"):
            async with serve_ingress(taken, log, lambda: NOW_MS):
                pass


async def test_c_parser_is_demanded(config: IngressConfig, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiohttp's C parser the ingress does not start."""
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(NoCParserError, match="C parser is not loaded"):
        async with serve_ingress(config, log, lambda: NOW_MS):
            pass
