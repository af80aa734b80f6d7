"""Deliberate bugs of the ingress' spool, as `bugs.py` has those of everything else."""

import asyncio
from collections.abc import Sequence
from typing import Any

from cordboard.log.port import Entry
from ingress.detour import Detour
from ingress.lane import NotDurableError
from ingress.recorder import Recorder
from ingress.spool import Spool
from simulation.disk import SimDisk
from simulation.plan import Effect, Fault, Where

Patch = tuple[object, str, object]

CUT = (Fault(Where.AWAY, Effect.AWAY, at_s=4.0, seconds=8.0, node=-1),)
"""The log takes nothing for a while."""

CUT_AND_KILLED = (*CUT, *(Fault(Where.NODE, Effect.KILL, at_s=8.0, seconds=1.0, node=node) for node in range(9)))
"""And then every node is killed."""

DIES_WRITING = (*CUT, *(Fault(Where.DISK, Effect.CRASH_BEFORE, nth, on="add") for nth in (1, 3)))
"""And whoever writes into its spool dies before it is written."""


def answers_before_fsync() -> Sequence[Patch]:
    """Twilio is answered while the spool's transaction is still on its way."""
    original = Spool.append

    def append(self: Spool, lane: int, entries: Sequence[Entry]) -> "asyncio.Future[None]":
        durable = original(self, lane, entries)
        durable.add_done_callback(lambda done: done.exception())
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        told.set_result(None)
        return told

    return [(Spool, "append", append)]


def forgotten_at_restart() -> Sequence[Patch]:
    """What a former process has left in the spool is not looked at."""
    return [(SimDisk, "held", lambda _self: {})]


def overtakes_the_spool() -> Sequence[Patch]:
    """The log is tried first, whatever the spool holds of the call."""

    async def publish(self: Any, lane: Any, entries: Any, *, may_wait: bool = True) -> None:
        try:
            await self._log.publish(lane.topic, entries)
        except Exception as error:
            if lane.detour is None:
                self._divert(self._spool, lane)
            if not may_wait or not await self._detoured(lane, entries, may_wait=True):
                raise NotDurableError from error

    return [(Recorder, "_publish", publish)]


def removed_before_it_is_in_the_log() -> Sequence[Patch]:
    """A spooled record is given up before the log has acknowledged it."""

    async def to_log(self: Any, records: Any) -> None:
        self._spool.forwarded(records)
        await self._forward(records)

    return [(Detour, "_to_log", to_log)]


def ends_with_records_on_their_way() -> Sequence[Patch]:
    """A detour ends although something is still being written to the disk."""

    def landed(_self: Any, durable: Any) -> None:
        if not durable.cancelled():
            durable.exception()

    original = Detour.take

    async def take(self: Any, entries: Any) -> None:
        waited = asyncio.ensure_future(original(self, entries))
        await asyncio.sleep(0)
        self._appending = 0
        await waited

    return [(Detour, "_landed", landed), (Detour, "take", take)]
