"""Waiting that a partition being given up cuts short: nothing may happen after it."""

import asyncio
from typing import TypeVar

from cordboard.clock import Clock
from cordboard.errors import CordboardError

T = TypeVar("T")


class GivenUpError(CordboardError):
    """The partition is being given up: stop without a word; the successor finds the intent in the ledger."""

    def __init__(self) -> None:
        super().__init__("the partition is being given up")


class Pauses:
    """The waits of one partition, over its clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._over = asyncio.Event()

    def end(self) -> None:
        """From now on every wait, and `require_open`, raises `GivenUpError`."""
        self._over.set()

    @property
    def is_over(self) -> bool:
        """Whether the partition is being given up."""
        return self._over.is_set()

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self._clock()

    def require_open(self) -> None:
        """Raise `GivenUpError` once the partition is being given up."""
        if self._over.is_set():
            raise GivenUpError

    async def until(self, at_ms: float) -> None:
        """Wait until the clock says `at_ms`. Raises `GivenUpError`."""
        self.require_open()
        while (left_ms := at_ms - self._clock()) > 0:
            try:
                async with asyncio.timeout(left_ms / 1000):
                    await self._over.wait()
            except TimeoutError:
                continue
            raise GivenUpError

    async def first(self, waited: "asyncio.Future[T]", deadline_ms: float) -> bool:
        """Wait for `waited`, which is cancelled when it does not come; false when the deadline came first.

        Raises `GivenUpError`.
        """
        over = asyncio.ensure_future(self._over.wait())
        try:
            left_s = max(0.0, (deadline_ms - self._clock()) / 1000)
            await asyncio.wait((waited, over), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        if waited.done() and not self._over.is_set():
            return True
        waited.cancel()
        self.require_open()
        return False
