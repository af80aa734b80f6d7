"""One lane's way through the spool, from the first record that the log did not take until it has taken them all.

The rule: what was answered earlier is in the log earlier. So while a lane holds anything, what is new goes behind it;
only when the last of it is on its way may new records wait for that, and then go straight to the log again. Without
that last step a busy lane would never come back: there is always one more record in the spool.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.port import Entry, RecordTooLargeError
from ingress.spool import Spool, Spooled

_BATCH = 500
_AGAIN_MIN_S = 0.1
_AGAIN_MAX_S = 2.0

_log = structlog.get_logger(__name__)

Forward = Callable[[Sequence[Spooled]], Awaitable[None]]
"""Gives records to the log, in order. Raises `LogError`, `TimeoutError`: then it is open which of them it has."""


class Detour:
    """A lane that goes through the spool. `forward` is how it gets to the log, `ended` is called once it is drained."""

    def __init__(self, lane: int, spool: Spool, forward: Forward, ended: Callable[[], None]) -> None:
        self.trouble: str | None = "not tried yet"
        """Why the log did not take the oldest ones when it was last asked; None when it did."""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lane = lane
        self._spool = spool
        self._forward = forward
        self._ended = ended
        self._closing = False
        self._appending = 0
        self._changed = asyncio.Event()
        self._limit = _BATCH
        self._count = 0

    async def is_open(self) -> bool:
        """True when `take` takes records; false once the detour is over: try the log. Waits while that is open."""
        while self._closing and not self.over.done():
            await self._changed.wait()
        return not self.over.done()

    def reopen(self) -> None:
        """Let new records in again: the end is not in sight, or not near enough for who waits."""
        self._closing = False
        self._wake()

    async def take(self, entries: Sequence[Entry]) -> None:
        """Durable in the spool, behind what it holds, when it returns. Right after `is_open`. Raises `LogError`."""
        self._appending += 1
        durable = self._spool.append(self._lane, entries)
        durable.add_done_callback(self._landed)
        await asyncio.shield(durable)  # who loses patience leaves it on its way to the disk

    async def drained(self) -> None:
        """Wait until the detour is over. Raises `LogUnavailableError` at once when the log is away."""
        while not self.over.done():
            if self.trouble is not None:
                raise LogUnavailableError(self.trouble)
            await self._changed.wait()

    async def run(self) -> None:
        """Drain, again and again, until nothing is left."""
        now = asyncio.get_running_loop().time
        began, delay_s = now(), _AGAIN_MIN_S
        while True:
            try:
                if await self._drain_some():
                    break
                delay_s = _AGAIN_MIN_S
            except (LogError, TimeoutError) as error:
                self._fail(error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _AGAIN_MAX_S)
        self._ended()
        self.over.set_result(None)
        self._wake()
        _log.info("spool.drained", lane=self._lane, records=self._count, seconds=round(now() - began, 3))

    async def _drain_some(self) -> bool:
        """Forward the oldest records; true when they were the last ones, and no new one has come.

        New ones are made to wait only for a log that has just taken something: they have to be answered.
        """
        records = await self._spool.oldest(self._lane, self._limit)
        if len(records) < self._limit and (self.trouble is None or not records):
            self._closing = True
            while self._appending:
                await self._changed.wait()
            records = await self._spool.oldest(self._lane, self._limit)
            if records and self.trouble is not None:
                self.reopen()
        if records:
            await self._to_log(records)
        self.trouble = None
        if self._closing and len(records) < self._limit:
            return True
        self._limit = min(_BATCH, self._limit * 2)
        self.reopen()
        return False

    async def _to_log(self, records: Sequence[Spooled]) -> None:
        try:
            await self._forward(records)
        except RecordTooLargeError as error:
            await self._one_by_one(records, error)
            return
        self._spool.forwarded(records)
        self._count += len(records)

    async def _one_by_one(self, records: Sequence[Spooled], error: RecordTooLargeError) -> None:
        """One of them is too large for the log, for ever: it must not keep the others back."""
        if len(records) == 1:
            await self._spool.refuse(records[0], str(error))
            return
        for record in records:
            await self._to_log([record])

    def _fail(self, error: Exception) -> None:
        """The log is still away: whoever waits for the end goes to the spool, and next time less is tried at once."""
        reason = str(error) or type(error).__name__
        if self.trouble != reason:
            _log.warning("spool.not_drained", lane=self._lane, reason=reason)
        self.trouble = reason
        self._limit = max(1, self._limit // 2) if isinstance(error, TimeoutError) else self._limit
        self.reopen()

    def _landed(self, durable: "asyncio.Future[None]") -> None:
        self._appending -= 1
        if not durable.cancelled():
            durable.exception()  # heard, also when nobody waits any more
        if not self._appending:
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
