"""Twilio's side as an aiohttp server, within bounds (design.md section 6, reliability.md 4.3)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import http_parser, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from cordboard.clock import Clock
from cordboard.errors import CordboardError
from cordboard.log.port import Log
from ingress.config import IngressConfig
from ingress.express import Express
from ingress.handling import Ingress
from ingress.protocol import Server
from ingress.reading import MAX_BODY_BYTES
from ingress.recorder import Recorder

__all__ = ["IngressConfig", "create_server", "serve_ingress"]

_KEEP_ALIVE_S = 15.0
_MAX_LINE_BYTES = 16_384
_MAX_HEADERS = 64
_LINGER_S = 2.0
_DRAIN_S = 5.0
_BACKLOG = 1024


class NoCParserError(CordboardError):
    """aiohttp runs without its C parser: the pure Python one is slow and had request smuggling (CVE-2026-111750)."""


def create_server(config: IngressConfig, recorder: Recorder, clock: Clock) -> web.Server:
    """The server. It has no routes of aiohttp's: whatever comes, on any path, is first of all checked.

    Below `web.Application`, whose routing, middlewares and 404 would cost a third of what an empty request costs.
    """
    ingress = Ingress(config, recorder, clock)
    return Server(
        Express(ingress),
        ingress.handle,
        request_factory=_request,
        handler_cancellation=False,
        access_log=None,
        keepalive_timeout=_KEEP_ALIVE_S,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
        max_headers=_MAX_HEADERS,
        lingering_time=_LINGER_S,
        auto_decompress=False,
    )


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """As aiohttp makes it, with a body no larger than we take."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)


@asynccontextmanager
async def serve_ingress(
    config: IngressConfig, log: Log, clock: Clock, recorder: Recorder | None = None
) -> AsyncIterator[int]:
    """Serve until the context is left; gives the bound port. What is in hand then has 5 s to end.

    `recorder` makes records durable; without one they go to `log` alone, and there is no spool.
    Raises `NoCParserError`, and `OSError` when the address cannot be bound.
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise NoCParserError("aiohttp's C parser is not loaded: install a wheel of aiohttp, or build its extensions")
    recorder = recorder or Recorder(log, config.ack_timeout_s)
    runner = web.ServerRunner(create_server(config, recorder, clock), shutdown_timeout=_DRAIN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port, backlog=_BACKLOG).start()
        port: int = runner.addresses[0][1]
        structlog.get_logger("ingress").info("ingress.listening", host=config.host, port=port)
        yield port
    finally:
        await runner.cleanup()
