"""The emulator's only source of time: wall clock and timers over the running event loop.

Not a scheduler of its own: a virtual clock (``virtual.py``) with the same methods can take its place.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol, TypeVar

ResultT = TypeVar("ResultT")
_NOTHING = nullcontext()


class Timer(Protocol):
    """Something that is to happen, unless it is cancelled."""

    def cancel(self) -> None:
        """Let it not happen; harmless when it has."""


class Clock:
    """Real time. Every wait and every timestamp of the emulator goes through here."""

    def now(self) -> float:
        """Epoch seconds, as in Twilio's timestamps."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and the ledger."""
        return asyncio.get_running_loop().time()

    async def sleep(self, delay_s: float) -> None:
        """Wait for ``delay_s`` seconds."""
        await asyncio.sleep(delay_s)

    async def within(self, waiting: Awaitable[ResultT], timeout_s: float) -> ResultT:
        """Wait for a result at most ``timeout_s`` seconds.

        Raises:
            TimeoutError: it did not come.

        """
        return await asyncio.wait_for(waiting, timeout_s)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run ``callback`` in ``delay_s`` seconds unless the timer is cancelled."""
        return asyncio.get_running_loop().call_later(delay_s, callback)

    def contact(self) -> AbstractAsyncContextManager[None]:
        """Bracket a request to a server outside: virtual time stands still meanwhile."""
        return _NOTHING

    def contacted(self) -> None:
        """Note that somebody outside has asked for something, and may go on with it."""
