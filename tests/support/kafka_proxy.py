"""A TCP proxy in front of a broker that understands just enough Kafka to fail in chosen ways.

The broker must advertise the proxy's address, or clients go around it. Faults are by client id: one client can be
cut off from a cluster that others reach. Requests are counted by kind; no byte is changed.
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from enum import IntEnum
from types import TracebackType
from typing import Self


class Api(IntEnum):
    """Kafka's request kinds that tests speak of."""

    PRODUCE = 0
    FETCH = 1
    HEARTBEAT = 12


class KafkaProxy:
    """Listens on `port` and forwards to the broker at `target_port`, both on loopback."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.requests: Counter[int] = Counter()
        """Requests that have passed, by api key."""
        self.connections = 0
        """Connections that were tried."""
        self.swallowed = 0
        """Requests that have disappeared."""
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._refusing = False
        self._held: set[str] = set()
        self._swallowed: list[Callable[[str, int, int], bool]] = []
        self._changed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def refuse(self) -> None:
        """Close every connection, and each new one at once: nobody is there."""
        self._refusing = True
        for writer in list(self._open):
            writer.transport.abort()

    def hold(self, client_id: str) -> None:
        """Forward nothing more of this client, either way: its sockets stay open and silent."""
        self._held.add(client_id)

    def swallow(self, api: Api, *, until_connection: int | None = None) -> None:
        """Let requests of a kind disappear, on connections made up to now or up to the nth."""
        self._swallowed.append(
            lambda _client, key, number: key == api and (until_connection is None or number <= until_connection)
        )

    def heal(self) -> None:
        """Undo everything. What was held goes on its way."""
        self._refusing = False
        self._held.clear()
        self._swallowed.clear()
        self._changed.set()
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse inside the context."""
        self.refuse()
        try:
            yield
        finally:
            self.heal()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if not self._refusing:
                await self._forward(reader, writer)
        finally:
            await _close(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, downstream = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            return
        client = _Client(self.connections)
        self._open |= {writer, downstream}
        pumps = {
            asyncio.create_task(self._pump_requests(client, reader, downstream)),
            asyncio.create_task(self._pump_answers(client, upstream, writer)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open -= {writer, downstream}
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            await _close(downstream)

    async def _pump_requests(
        self, client: "_Client", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(4)
                body = await reader.readexactly(struct.unpack(">i", head)[0])
                (api,) = struct.unpack_from(">h", body)
                (length,) = struct.unpack_from(">h", body, 8)
                client.client_id = body[10 : 10 + length].decode() if length > 0 else ""
                await self._wait_while_held(client)
                self.requests[api] += 1
                if any(rule(client.client_id, api, client.number) for rule in self._swallowed):
                    self.swallowed += 1
                    continue
                writer.write(head + body)
                await writer.drain()

    async def _pump_answers(
        self, client: "_Client", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._wait_while_held(client)
                writer.write(data)
                await writer.drain()

    async def _wait_while_held(self, client: "_Client") -> None:
        while client.client_id in self._held:
            await self._changed.wait()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Drop the connection: whoever holds the other end may not be reading any more."""
    writer.transport.abort()
    await asyncio.sleep(0)


class _Client:
    """One connection, as far as it is known."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.client_id = ""
