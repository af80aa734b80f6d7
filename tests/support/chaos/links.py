"""TCP links between parts that can be cut and slowed down. One with several targets is a plain load balancer."""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Self, cast

_CONNECT_S = 5.0


class Link:
    """Listens on a loopback port and forwards to the first of `targets` that takes the connection, in turns."""

    def __init__(self, port: int, targets: Sequence[int]) -> None:
        self.port = port
        self.delay_s = 0.0
        self._targets = tuple(targets)
        self._turn = count()
        self._refusing = False
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Break every connection, and each new one at once, until `heal`."""
        self._refusing = True
        for end in list(self._ends):
            end.abort()

    def heal(self) -> None:
        """Forward again, without delay."""
        self._refusing = False
        self.delay_s = 0.0

    @property
    def held(self) -> int:
        """Pieces of data that wait for their time."""
        return sum(len(end.waiting) for end in self._ends)

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        while self._ends or self._tasks:
            await asyncio.sleep(0)

    def accepted(self, end: "_End") -> None:
        """Somebody has connected."""
        if self._refusing:
            end.abort()
            return
        task = asyncio.get_running_loop().create_task(self._connect(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def opened(self, end: "_End") -> None:
        """Keep an end, to cut it."""
        self._ends.add(end)

    def closed(self, end: "_End") -> None:
        """Forget an end."""
        self._ends.discard(end)

    async def _connect(self, end: "_End") -> None:
        loop = asyncio.get_running_loop()
        first = next(self._turn)
        for number in range(len(self._targets)):
            target = self._targets[(first + number) % len(self._targets)]
            try:
                async with asyncio.timeout(_CONNECT_S):
                    _, other = await loop.create_connection(lambda: _End(self, end), "127.0.0.1", target)
            except (OSError, TimeoutError):
                continue
            end.meet(other)
            return
        end.abort()


class _End(asyncio.Protocol):
    """One end of a forwarded connection. Without a peer it waits for one, and what comes in waits with it."""

    def __init__(self, link: Link, peer: "_End | None" = None) -> None:
        self._link = link
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self.waiting: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._link.opened(self)
        if self._peer is None:
            self._link.accepted(self)

    def meet(self, peer: "_End") -> None:
        """The other end is there: what has waited goes on."""
        self._peer = peer
        if self._transport is None or self._transport.is_closing():
            peer.abort()
        self._pass_on()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        delay_s = self._link.delay_s
        if not delay_s and not self.waiting and self._peer is not None:
            self._peer.write(data)
            return
        self.waiting.append((asyncio.get_running_loop().time() + delay_s, data))
        self._pass_on()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`: an end that will say nothing more is closed on both sides, as HTTP and Kafka do."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._link.closed(self)
        self._closing = True
        if error is not None or not self.waiting:
            self._end_peer()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: who writes to us waits."""
        if self._peer is not None:
            self._peer.pause(still=True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self._peer is not None:
            self._peer.pause(still=False)

    def pause(self, *, still: bool) -> None:
        """Read nothing more, or read again."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if still else self._transport.resume_reading)()

    def write(self, data: bytes) -> None:
        """Send."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self.waiting.clear()
        if self._transport is not None:
            self._transport.abort()

    def _pass_on(self) -> None:
        """Send what is due; come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._peer is not None and self.waiting:
            due, data = self.waiting[0]
            if due > loop.time():
                self._timer = loop.call_at(due, self._pass_on)
                return
            self.waiting.popleft()
            self._peer.write(data)
        if self._closing and not self.waiting:
            self._end_peer()

    def _end_peer(self) -> None:
        if self._peer is not None:
            self._peer.close()
