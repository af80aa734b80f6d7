"""The results of commands as they are written: one tail of `call.events` per process, for those who wait for one.

It starts at the end of the log. Nothing is decoded but an event's id, and only while somebody waits. Reading events as
such, from any point on, is `observe`'s.
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

_POLL_S = 0.2
_RETRY_S = 0.5
_LINGER_S = 0.05
"""While nobody waits, records may gather: a wake-up for each would be the calls' loss, and nobody's gain."""
MAX_WAITERS = 10_000


class FeedFullError(CordboardError):
    """As many wait already as are allowed to. Temporary."""


class _Id(msgspec.Struct, gc=False):
    id: str


class ResultFeed:
    """The tail of `call.events`. Use `async with feed.running():` around everything that waits."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[int, int] = {}
        self._waiting: dict[str, list[asyncio.Future[bytes]]] = {}
        self._waiters = 0
        self._wanted = asyncio.Event()
        """Set while somebody waits."""
        self._decoder = msgspec.json.Decoder(_Id)
        self._say = structlog.get_logger("feed")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read until the context is left. Everything written after it is entered will be seen.

        Raises `LogError` when the log cannot say where its end is. A poll is left to end, 0.2 s at most: a Kafka client
        that is cancelled while it connects leaks.
        """
        stop = asyncio.Event()
        self._positions = {p: bounds.end for p, bounds in (await self._log.bounds(Topic.EVENTS)).items()}
        tail = asyncio.create_task(self._tail(stop), name="result-feed")
        try:
            yield
        finally:
            stop.set()
            await tail

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
        self._wanted.set()
        try:
            yield future
        finally:
            self._waiters -= 1
            futures = self._waiting[key]
            futures.remove(future)
            if not futures:
                del self._waiting[key]
            if not self._waiters:
                self._wanted.clear()
            future.cancel()

    async def _tail(self, stop: asyncio.Event) -> None:
        """Read until `stop`; a log that is away is tried again from where we are."""
        while not stop.is_set():
            try:
                async with self._log.reader(Topic.EVENTS, self._positions) as reader:
                    while not stop.is_set():
                        records = await reader.poll(_POLL_S)
                        for record in records:
                            self._positions[record.partition] = record.offset + 1
                            self._tell(record)
                        if records and not self._waiters:
                            await _wait(self._wanted, _LINGER_S)
            except PositionLostError as lost:
                self._say.warning("feed.position_lost", partition=lost.partition, position=lost.position)
                await self._skip(lost.partition, stop)
            except LogError as error:
                self._say.warning("feed.log_unavailable", error=str(error), retry_s=_RETRY_S)
                await _wait(stop, _RETRY_S)

    async def _skip(self, partition: int, stop: asyncio.Event) -> None:
        """Go on at the oldest record that is left."""
        try:
            self._positions[partition] = (await self._log.bounds(Topic.EVENTS))[partition].earliest
        except LogError:
            await _wait(stop, _RETRY_S)

    def _tell(self, record: Record) -> None:
        if self._waiting and record.value is not None:
            for future in self._waiting.get(self._id_of(record.value), ()):
                if not future.done():
                    future.set_result(record.value)

    def _id_of(self, value: bytes) -> str:
        try:
            return self._decoder.decode(value).id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""  # foreign bytes on the public topic: nobody waits for them


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
