"""The emulator's only source of time: wall clock and timers over the running event loop.

Not a scheduler of its own: a virtual clock with the same four methods can take its place.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


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

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Run ``callback`` in ``delay_s`` seconds unless the handle is cancelled."""
        return asyncio.get_running_loop().call_later(delay_s, callback)
