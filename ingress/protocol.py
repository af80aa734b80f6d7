"""aiohttp's connection with an express lane: a callback that came whole and wants but a 204 skips its machinery.

For each request aiohttp wakes the connection's task, starts another one, makes a request, a writer and a response, and
serialises headers: more than it costs us to check and to record a callback. The parser, its limits, keep-alive and the
orderly stop stay aiohttp's. What the lane does not take goes aiohttp's way, untouched. What is private to aiohttp here
is pinned by `tests/contract/ingress/test_express.py`; what is taken, and how it is answered, is `express.py`'s.
"""

import asyncio
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from ingress.reading import MAX_BODY_BYTES


class Answering(Protocol):
    """Where the answer of a request that was taken goes, exactly once."""

    def answer(self, response: bytes) -> None:
        """Send the whole response, head and all."""


class Lane(Protocol):
    """Who takes requests at once."""

    def take(self, message: RawRequestMessage, body: bytes, asker: Answering) -> bool:
        """Whether the request was taken; then `asker` gets its answer, later and within bounds, and never now."""


class Server(web.Server):
    """A server whose connections have an express lane."""

    def __init__(self, lane: Lane, handler: Any, **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(handler, **options)
        self._lane = lane

    def __call__(self) -> web.RequestHandler:
        """A protocol for a new connection."""
        return Connection(self._lane, self, loop=self._loop, **self._kwargs)


class Connection(web.RequestHandler):
    """One connection. While a request of the express lane is in hand it looks busy to aiohttp: nothing waits."""

    __slots__ = ("_early", "_idle", "_lane")

    def __init__(self, lane: Lane, manager: web.Server, **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(manager, **options)
        self._lane = lane
        self._idle: asyncio.Future[None] | None = None
        self._early = b""

    def data_received(self, data: bytes) -> None:
        """As aiohttp's; but it is looked at what came before the connection's task is woken."""
        waiter = self._waiter
        if self._early or (waiter is None and not self._request_in_progress and not self._messages):
            self._put_off(data)
            return
        self._receive(data)

    def _put_off(self, data: bytes) -> None:
        """Give the connection's task its turn first: it has not begun to wait for what is here already."""
        if not self._early:
            self._loop.call_soon(self._receive_early)
        self._early += data

    def _receive_early(self) -> None:
        early, self._early = self._early, b""
        self._receive(early)

    def _receive(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done() or self._paused:
            super().data_received(data)
            return
        self._waiter = None  # nobody to wake: aiohttp only parses and queues
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if len(self._messages) == 1 and self._take(*self._messages[0]):
            self._idle, self._waiter = waiter, None
        elif self._messages:
            waiter.set_result(None)

    def _take(self, message: Any, payload: StreamReader) -> bool:  # noqa: ANN401 - an error's is private
        if not isinstance(message, RawRequestMessage) or payload is EMPTY_PAYLOAD or not payload.is_eof():
            return False
        body = b"".join(payload._buffer)  # noqa: SLF001 - read without consuming: aiohttp's way may need it yet
        if len(body) > MAX_BODY_BYTES or not self._lane.take(message, body, self):
            return False
        self._messages.popleft()
        if self._parser is not None:  # it is; aiohttp drops it with the connection
            self._parser.message_consumed()
        self._request_in_progress = True  # an orderly stop waits for it
        return True

    def answer(self, response: bytes) -> None:
        """See `Answering`. Afterwards the connection is aiohttp's again, with whatever was sent meanwhile."""
        waiter, self._idle = self._idle, None
        if waiter is None:
            raise RuntimeError("a request is answered once")
        if self.transport is not None:
            self.transport.write(response)
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        if waiter.done():
            return  # the stop ran out of patience and cancelled the connection's task
        if self._close or self._force_close:
            waiter.cancel()
            return
        self._waiter = waiter
        self._next_keepalive_close_time = close_at = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(close_at, self._process_keepalive)
        if self._messages:
            waiter.set_result(None)
