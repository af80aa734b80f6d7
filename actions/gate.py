"""The door of one account: who may go to Twilio now. Carries out what `pacing.py` and `breaker.py` decide.

Shared by all partitions of a process. Other processes know nothing of it (docs/decisions/043).
"""

import asyncio
from collections import deque

import structlog

from actions import codes
from actions.breaker import Breaker
from actions.heard import Answer, Heard
from actions.pacing import concurrency_of, pace_of
from actions.pause import Pauses

_log = structlog.get_logger(__name__)

RATE_LIMITED = "rate_limited"
UNAVAILABLE = "twilio_unavailable"


class Gate:
    """Requests at once, new legs per second, and whether Twilio works at all, for one account."""

    def __init__(self, calls_per_second: float, concurrency: int, account_sid: str = "") -> None:
        self._pace = pace_of(calls_per_second)
        self._concurrency = concurrency_of(concurrency)
        self._breaker = Breaker()
        self._in_flight = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._log = _log.bind(account_sid=account_sid)

    async def enter(self, pauses: Pauses, deadline_ms: int, *, creating: bool) -> str | None:
        """Wait for a place. None: it is ours until `leave`. A word: why there is none before the deadline.

        Raises `GivenUpError`.
        """
        if creating and not await self._paced(pauses, deadline_ms):
            return RATE_LIMITED
        if not await self._unbroken(pauses, deadline_ms):
            return UNAVAILABLE
        while not self._concurrency.allows(self._in_flight):
            if not await self._turn(pauses, deadline_ms):
                return RATE_LIMITED
        self._in_flight += 1
        return None

    def leave(self) -> None:
        """Give the place back."""
        self._in_flight -= 1
        self._wake()

    def heard(self, heard: Heard, now_ms: int) -> None:
        """Learn from an answer, or from there being none."""
        before, self._breaker = self._breaker, self._breaker.heard(heard, now_ms)
        if before.is_open != self._breaker.is_open:
            self._log.warning("twilio.circuit_opened" if self._breaker.is_open else "twilio.circuit_closed")
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

    async def _unbroken(self, pauses: Pauses, deadline_ms: int) -> bool:
        while True:
            now_ms = pauses.now()
            self._breaker, go_ms = self._breaker.ask(now_ms)
            if go_ms <= now_ms:
                return True
            if go_ms > deadline_ms:
                return False
            await pauses.until(go_ms)

    async def _turn(self, pauses: Pauses, deadline_ms: int) -> bool:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            return await pauses.first(turn, deadline_ms)
        except BaseException:
            self._wake()  # the turn may have been given to us already: it goes to the next one
            raise
        finally:
            if turn in self._queue:
                self._queue.remove(turn)

    def _wake(self) -> None:
        woken = 0
        while self._queue and self._concurrency.allows(self._in_flight + woken):
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                woken += 1
