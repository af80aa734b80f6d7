"""The public events as they are written: one tail per process, many listeners.

For those who wait for a command's result, and for whoever passes events on (server-sent events). It starts at the end
of the log; what was before is read with a reader of one's own. Nothing is decoded here but the event's id.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec
import structlog

from cordboard.errors import CordboardError, LogError
from cordboard.log.port import Log, PositionLostError, Record
from schemas.ids import result_id
from schemas.topics import Topic

_POLL_S = 0.5
_RETRY_S = 0.5
MAX_LISTENERS = 1000
MAX_WAITERS = 10_000


class FeedFullError(CordboardError):
    """As many wait already as are allowed to. Temporary."""


class FeedLaggedError(CordboardError):
    """A listener did not take its records in time and was dropped. Read on from the last offset with a reader."""


class _Id(msgspec.Struct, gc=False):
    id: str


class Listener:
    """Every record of `call.events` from the moment of subscribing, at most `limit` of them untaken."""

    def __init__(self, limit: int) -> None:
        self._queue: asyncio.Queue[Record] = asyncio.Queue(limit)
        self._lagged = False

    async def next(self, timeout_s: float) -> Record | None:
        """The next record, or None when none came within `timeout_s`. Raises `FeedLaggedError` after an overflow."""
        if self._lagged and self._queue.empty():
            raise FeedLaggedError("the listener was too slow: read on from the last offset")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def offer(self, record: Record) -> None:
        """Called by the feed. Nothing is put behind a gap."""
        if self._queue.full():
            self._lagged = True
        if not self._lagged:
            self._queue.put_nowait(record)


class ResultFeed:
    """The tail of `call.events`. Use `async with feed.running():` around everything that listens."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[int, int] = {}
        self._waiting: dict[str, list[asyncio.Future[bytes]]] = {}
        self._waiters = 0
        self._listeners: set[Listener] = set()
        self._decoder = msgspec.json.Decoder(_Id)
        self._say = structlog.get_logger("feed")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read until the context is left. Everything written after it is entered will be seen.

        Raises `LogError` when the log cannot say where its end is.
        """
        self._positions = {p: bounds.end for p, bounds in (await self._log.bounds(Topic.EVENTS)).items()}
        tail = asyncio.create_task(self._tail(), name="result-feed")
        try:
            yield
        finally:
            tail.cancel()
            await asyncio.gather(tail, return_exceptions=True)

    @contextmanager
    def result_of(self, source: str, command_id: str) -> Iterator[asyncio.Future[bytes]]:
        """A future of the command's terminal result, the CloudEvent in JSON. Subscribe before publishing the command.

        Raises `FeedFullError`.
        """
        if self._waiters >= MAX_WAITERS:
            raise FeedFullError(f"{MAX_WAITERS} already wait for results: ask without waiting, or again later")
        key = result_id(source, command_id)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        self._waiters += 1
        try:
            yield future
        finally:
            self._waiters -= 1
            futures = self._waiting[key]
            futures.remove(future)
            if not futures:
                del self._waiting[key]
            future.cancel()

    @contextmanager
    def listen(self, limit: int = 1000) -> Iterator[Listener]:
        """Every event from now on. Raises `FeedFullError`."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise FeedFullError(f"{MAX_LISTENERS} already listen: close some, or ask again later")
        listener = Listener(limit)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def _tail(self) -> None:
        """Read for ever; a log that is away is tried again from where we are."""
        while True:
            try:
                async with self._log.reader(Topic.EVENTS, self._positions) as reader:
                    while True:
                        for record in await reader.poll(_POLL_S):
                            self._positions[record.partition] = record.offset + 1
                            self._tell(record)
            except PositionLostError as lost:
                self._say.warning("feed.position_lost", partition=lost.partition, position=lost.position)
                await self._skip(lost.partition)
            except LogError as error:
                self._say.warning("feed.log_unavailable", error=str(error), retry_s=_RETRY_S)
                await asyncio.sleep(_RETRY_S)

    async def _skip(self, partition: int) -> None:
        """Go on at the oldest record that is left."""
        try:
            self._positions[partition] = (await self._log.bounds(Topic.EVENTS))[partition].earliest
        except LogError:
            await asyncio.sleep(_RETRY_S)

    def _tell(self, record: Record) -> None:
        for listener in self._listeners:
            listener.offer(record)
        if self._waiting and record.value is not None:
            for future in self._waiting.get(self._id_of(record.value), ()):
                if not future.done():
                    future.set_result(record.value)

    def _id_of(self, value: bytes) -> str:
        try:
            return self._decoder.decode(value).id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""  # foreign bytes on the public topic: nobody waits for them
