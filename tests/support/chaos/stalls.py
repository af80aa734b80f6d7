"""When a process of the run's own stood still: its requests are then late by no fault of those who made them."""

import asyncio
import time

import msgspec

_TICK_S = 0.1
_STALL_S = 0.2


class Stall(msgspec.Struct, frozen=True):
    """From when to when (epoch seconds) an event loop did nothing."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.began


async def watch_stalls(stalls: list[Stall]) -> None:
    """Note the stalls of this event loop for as long as it is not cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        began, due = time.time(), loop.time() + _TICK_S
        await asyncio.sleep(_TICK_S)
        if loop.time() > due + _STALL_S:
            stalls.append(Stall(began, time.time()))
