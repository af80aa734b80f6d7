"""A load generator that costs little: requests made beforehand, one in flight a connection, answers just recognised."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import cast

import msgspec


class Load(msgspec.Struct, frozen=True):
    """What a run of load saw: seconds in all, and of each request; how many answers were "come again" (503)."""

    wall_s: float
    latencies_s: list[float]
    put_off: int


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], latencies: list[float], done: asyncio.Future[None]) -> None:
        self.put_off = 0
        self._request = b""
        self._requests = requests
        self._latencies = latencies
        self._done = done
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods and not the class

    def begin(self) -> None:
        """Send the next request, or end."""
        request = next(self._requests, None)
        if request is None:
            self._done.set_result(None)
            return
        self._request = request
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 204") and data.endswith(b"\r\n\r\n"):
            self._latencies.append(time.perf_counter() - self._sent_at)
            self.begin()
        elif data.startswith(b"HTTP/1.1 503"):
            self.put_off += 1
            self._send()
        else:
            self._done.set_exception(AssertionError(f"neither 204 nor 503: {data[:200]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server hung up"))


async def load(port: int, requests: list[bytes], connections: int) -> Load:
    """All `requests` over so many connections; what is put off by a 503 is sent again. Raises `AssertionError`."""
    loop = asyncio.get_running_loop()
    shared, latencies = iter(requests), list[float]()
    made = []
    for _ in range(connections):
        done = loop.create_future()
        connected = await loop.create_connection(partial(_Connection, shared, latencies, done), "127.0.0.1", port)
        made.append((*connected, done))
    began = time.perf_counter()
    for _, connection, _ in made:
        connection.begin()
    await asyncio.gather(*(done for _, _, done in made))
    wall_s = time.perf_counter() - began
    for transport, _, _ in made:
        transport.close()
    return Load(wall_s, latencies, sum(connection.put_off for _, connection, _ in made))
