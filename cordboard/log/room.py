"""A bound on what waits: a counter of entries on their way, and a place to wait while there are too many."""

import asyncio

from cordboard.errors import LogUnavailableError


class Room:
    """Room for `limit` entries. One call may overfill it, so that a large one is never stuck."""

    def __init__(self, limit: int, who: str) -> None:
        self.taken = 0
        self._limit = limit
        self._who = who
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_full(self) -> bool:
        """Whether who comes now has to wait."""
        return not self._free.is_set()

    def take_now(self, entries: int) -> None:
        """Take room without waiting, whether there is some or not."""
        self.taken += entries
        if self.taken >= self._limit:
            self._free.clear()

    async def take(self, entries: int, limit_s: float) -> None:
        """Wait until there is room. Raises `LogUnavailableError` when there is none within `limit_s`."""
        if not self._free.is_set():
            try:
                async with asyncio.timeout(limit_s):
                    while not self._free.is_set():
                        await self._free.wait()
            except TimeoutError:
                raise LogUnavailableError(
                    f"{self._who}: {self.taken} entries wait and none has been taken for {limit_s} s"
                ) from None
        self.take_now(entries)

    def leave(self, entries: int) -> None:
        """Give the room back."""
        self.taken -= entries
        if self.taken < self._limit:
            self._free.set()
