"""What is to be published next, by one call: records gather here while the call before is on its way."""

import asyncio
from collections.abc import Callable

from cordboard.errors import LogError
from cordboard.log.port import Entry
from ingress.detour import Detour
from ingress.spool import DEAD_LETTERS_LANE
from schemas.topics import Topic

FILL_S = 0.002
"""How long `Lane.fill` waits at most."""


class NotDurableError(LogError):
    """Neither log nor spool has it for certain. It may be there all the same; its id makes a repeat harmless."""


Done = Callable[[NotDurableError | None], None]
Gathered = list[tuple[Entry, Done]]


class Lane:
    """Records in their order, and the detour that they have to make, if there is one."""

    __slots__ = ("_expected", "_full", "detour", "gathered", "is_sending", "number", "topic")

    def __init__(self, number: int) -> None:
        self.number = number
        self.topic = Topic.DEAD_LETTERS if number == DEAD_LETTERS_LANE else Topic.INBOX
        self.gathered: Gathered = []
        self.is_sending = False
        self.detour: Detour | None = None
        self._expected = 0
        self._full: asyncio.Future[None] | None = None

    def add(self, entry: Entry, done: Done) -> bool:
        """Gather one more; whether it is the first."""
        self.gathered.append((entry, done))
        if self._full is not None and len(self.gathered) >= self._expected:
            self._stop_filling()
        return len(self.gathered) == 1

    def take(self) -> Gathered:
        """All that has gathered, which is here no longer."""
        gathered, self.gathered = self.gathered, []
        return gathered

    async def fill(self, expected: int) -> None:
        """Wait until so many have gathered, `FILL_S` at most (decision 033)."""
        loop = asyncio.get_running_loop()
        self._expected, self._full = expected, loop.create_future()
        timer = loop.call_later(FILL_S, self._stop_filling)
        try:
            await self._full
        finally:
            timer.cancel()
            self._full = None

    def _stop_filling(self) -> None:
        if self._full is not None and not self._full.done():
            self._full.set_result(None)
