"""Twilio's side as an aiohttp application, and serving it within bounds (design.md section 6, reliability.md 4.3)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import http_parser, web
from aiohttp.typedefs import Handler

from cordboard.clock import Clock
from cordboard.errors import CordboardError
from cordboard.log.port import Log
from ingress.config import IngressConfig
from ingress.handling import Ingress
from ingress.reading import MAX_BODY_BYTES

__all__ = ["IngressConfig", "create_app", "serve_ingress"]

_KEEP_ALIVE_S = 15.0
_MAX_LINE_BYTES = 16_384
_MAX_HEADERS = 64
_LINGER_S = 2.0
_DRAIN_S = 5.0
_BACKLOG = 1024


class NoCParserError(CordboardError):
    """aiohttp runs without its C parser: the pure Python one is slow and had request smuggling (CVE-2026-111750)."""


def create_app(config: IngressConfig, log: Log, clock: Clock) -> web.Application:
    """The application. It has no routes of aiohttp's: whatever comes, on any path, is first of all checked."""
    ingress = Ingress(config, log, clock)

    @web.middleware
    async def everything(request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG001 - aiohttp's name
        return await ingress.handle(request)

    return web.Application(middlewares=[everything], client_max_size=MAX_BODY_BYTES)


@asynccontextmanager
async def serve_ingress(config: IngressConfig, log: Log, clock: Clock) -> AsyncIterator[int]:
    """Serve until the context is left; gives the bound port. What is in hand then has 5 s to end.

    Raises `NoCParserError`, and `OSError` when the address cannot be bound.
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise NoCParserError("aiohttp's C parser is not loaded: install a wheel of aiohttp, or build its extensions")
    runner = web.AppRunner(
        create_app(config, log, clock),
        access_log=None,
        handler_cancellation=False,
        keepalive_timeout=_KEEP_ALIVE_S,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
        max_headers=_MAX_HEADERS,
        lingering_time=_LINGER_S,
        auto_decompress=False,
        shutdown_timeout=_DRAIN_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port, backlog=_BACKLOG).start()
        port: int = runner.addresses[0][1]
        structlog.get_logger("ingress").info("ingress.listening", host=config.host, port=port)
        yield port
    finally:
        await runner.cleanup()
