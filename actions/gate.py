"""The door of one account: who may go to Twilio now. Carries out what `pacing.py` decides; shared by all partitions."""

import asyncio
from collections import deque

from actions import codes
from actions.heard import Answer, Heard
from actions.pacing import concurrency_of, pace_of
from actions.pause import Pauses


class Gate:
    """Requests at once and new legs per second of one account."""

    def __init__(self, calls_per_second: float, concurrency: int) -> None:
        self._pace = pace_of(calls_per_second)
        self._concurrency = concurrency_of(concurrency)
        self._in_flight = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    async def enter(self, pauses: Pauses, deadline_ms: int, *, creating: bool) -> bool:
        """Wait for a place; false when the deadline comes before it. Raises `GivenUpError`. After true: `leave`."""
        if creating and not await self._paced(pauses, deadline_ms):
            return False
        while not self._concurrency.allows(self._in_flight):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                if not await pauses.first(turn, deadline_ms):
                    return False
            except BaseException:
                self._wake()  # the turn may have been given to us already: it goes to the next one
                raise
            finally:
                if turn in self._queue:
                    self._queue.remove(turn)
        self._in_flight += 1
        return True

    def leave(self) -> None:
        """Give the place back."""
        self._in_flight -= 1
        self._wake()

    def heard(self, heard: Heard, now_ms: int) -> None:
        """Learn from an answer."""
        if isinstance(heard, Answer):
            limited = heard.status == codes.LIMITED
            self._concurrency = self._concurrency.limited(now_ms) if limited else self._concurrency.answered()

    async def _paced(self, pauses: Pauses, deadline_ms: int) -> bool:
        reserved = self._pace.reserve(pauses.now(), deadline_ms)
        if reserved is None:
            return False
        self._pace, begin_ms = reserved
        await pauses.until(begin_ms)
        return True

    def _wake(self) -> None:
        woken = 0
        while self._queue and self._concurrency.allows(self._in_flight + woken):
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                woken += 1
