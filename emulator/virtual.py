"""Virtual time: it stands still until somebody lets it pass, then jumps from one timer to the next.

Between two timers everything that moves comes to rest: no callback is ready on the loop, no request is under way to a
server outside, and whoever was asked or has asked outside has had a moment of real time to go on. So the order of
events is the order of causes, and the same seed gives the same events (docs/emulator.md, "Virtual time").
"""

import asyncio
import selectors
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from heapq import heappop, heappush
from itertools import count

from emulator.clock import Clock, ResultT, Timer

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z, where virtual time begins unless told otherwise."""
DEFAULT_GRACE_S = 0.25


class _IdleSelector(selectors.DefaultSelector):
    """Tells when the loop is about to wait: nothing is ready to run and no input is there."""

    def __init__(self, on_idle: Callable[[], bool]) -> None:
        super().__init__()
        self._on_idle = on_idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0) or self._on_idle():
            return found
        return super().select(timeout)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An ordinary event loop that knows when it has nothing to do; ``asyncio.Runner(loop_factory=VirtualLoop)``."""

    def __init__(self) -> None:
        self._resting: list[asyncio.Future[None]] = []
        super().__init__(_IdleSelector(self._rest))

    async def idle(self) -> None:
        """Wait until nothing is ready to run and no input is there."""
        waiter = self.create_future()
        self._resting.append(waiter)
        await waiter

    def _rest(self) -> bool:
        waiters, self._resting = self._resting, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return bool(waiters)


class VirtualTimer:
    """A callback with its time."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """See ``Timer``."""
        self.callback = None


class VirtualClock(Clock):
    """Time that passes only in ``pass_time``, on a ``VirtualLoop``.

    ``grace_s``: how many real seconds everything must have been quiet since the last contact with a server or client
    outside, before time moves on. Without such contacts nothing real is waited for.
    """

    def __init__(self, start: float = EPOCH, *, grace_s: float = DEFAULT_GRACE_S) -> None:
        self._start = start
        self._passed = 0.0
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._order = count()
        self._passing = asyncio.Lock()
        self._outside = asyncio.Lock()
        self._free = asyncio.Event()
        self._free.set()
        self._grace_s = grace_s
        self._quiet_from = 0.0

    def now(self) -> float:
        """See ``Clock``."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """See ``Clock``."""
        return self._passed

    async def sleep(self, delay_s: float) -> None:
        """See ``Clock``; no delay needs no time to pass."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        over = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay_s, lambda: None if over.done() else over.set_result(None))
        try:
            await over
        finally:
            timer.cancel()

    async def within(self, waiting: Awaitable[ResultT], timeout_s: float) -> ResultT:
        """See ``Clock``."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            timer = self.call_later(timeout_s, lambda: limit.reschedule(loop.time()))
            try:
                return await waiting
            finally:
                timer.cancel()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """See ``Clock``; timers of the same moment run in the order in which they were set."""
        timer = VirtualTimer(self._passed + max(delay_s, 0.0), callback)
        heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    def contact(self) -> AbstractAsyncContextManager[None]:
        """See ``Clock``; one request at a time, so that answers come in the order of the questions."""
        return self._in_contact()

    @asynccontextmanager
    async def _in_contact(self) -> AsyncIterator[None]:
        async with self._outside:
            try:
                yield
            finally:
                self.contacted()

    def contacted(self) -> None:
        """See ``Clock``."""
        self._quiet_from = time.monotonic() + self._grace_s

    @property
    def held(self) -> bool:
        """Whether somebody keeps time from passing."""
        return not self._free.is_set()

    def hold(self, *, held: bool) -> None:
        """Keep time from passing, or let it."""
        if held:
            self._free.clear()
        else:
            self._free.set()

    async def settled(self) -> None:
        """Wait, in real time, until everything that moves has come to rest.

        Raises:
            RuntimeError: the loop is not a ``VirtualLoop``.

        """
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise RuntimeError(  # noqa: TRY004 - the caller is wrong, not the type of something
                "virtual time needs a loop of its own: asyncio.Runner(loop_factory=VirtualLoop)"
            )
        while True:
            await self._free.wait()
            await loop.idle()
            left_s = self._quiet_from - time.monotonic()
            if self._outside.locked():
                async with self._outside:  # the last in the line: all others are through
                    continue
            elif left_s > 0:
                await asyncio.sleep(left_s)
            elif not self.held:
                return

    async def pass_time(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> float:
        """Let at most ``seconds`` pass, all at once; less when it is ``enough`` before. Return how many passed."""
        async with self._passing:
            begin = self._passed
            end = begin + seconds
            while True:
                await self.settled()
                if enough():
                    break
                callback = self._due(end)
                if callback is None:
                    self._passed = end
                    break
                callback()
            return self._passed - begin

    def _due(self, end: float) -> Callable[[], None] | None:
        """Take the next timer that is due by ``end``, and go to its moment."""
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heappop(self._timers)
            if timer.callback is not None:
                self._passed = max(self._passed, due)
                return timer.callback
        return None
