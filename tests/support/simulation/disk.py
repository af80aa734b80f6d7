"""The disk under an ingress: what was written is there for the next process; it can be slow, fail, or be the end."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cordboard.errors import LogUnavailableError
from ingress.spool import Disk, Held, Spooled
from simulation.loop import KilledError
from simulation.plan import Effect, Fault, Where
from simulation.process import Process

if TYPE_CHECKING:
    from simulation.world import World

_WRITES_S = (0.0, 0.0, 0.001, 0.01)


class Platter:
    """What is on the disk of a node, whoever runs there."""

    def __init__(self) -> None:
        self.records: dict[int, Spooled] = {}


class SimDisk(Disk):
    """`Disk` of one process."""

    def __init__(self, world: "World", process: Process, platter: Platter) -> None:
        self._world = world
        self._process = process
        self._platter = platter

    def held(self) -> Mapping[int, Held]:
        """See `Disk`."""
        found: dict[int, Held] = {}
        for record in self._platter.records.values():
            held = found.setdefault(record.lane, Held(oldest_ms=record.at_ms))
            held.records += 1
            held.size += record.size
        return found

    def last_id(self) -> int:
        """See `Disk`."""
        return max(self._platter.records, default=0)

    def refused(self) -> int:
        """See `Disk`."""
        return 0

    async def add(self, records: Sequence[Spooled]) -> None:
        """See `Disk`."""

        def write() -> None:
            self._platter.records.update((record.id, record) for record in records)

        await self._do("add", write)

    async def oldest(self, lane: int, after: int, limit: int) -> Sequence[Spooled]:
        """See `Disk`."""
        await asyncio.sleep(0)
        found = [record for record in self._platter.records.values() if record.lane == lane and record.id > after]
        return sorted(found)[:limit]

    async def remove(self, lane: int, up_to: int) -> None:
        """See `Disk`."""

        def delete() -> None:
            for record in [r for r in self._platter.records.values() if r.lane == lane and r.id <= up_to]:
                del self._platter.records[record.id]

        await self._do("remove", delete)

    async def refuse(self, record: Spooled, reason: str) -> None:
        """See `Disk`. The simulated log takes records of any size."""
        raise NotImplementedError(reason)

    async def probe(self) -> None:
        """See `Disk`."""
        await self._do("probe", lambda: None)

    async def shrink(self) -> None:
        """See `Disk`."""

    async def close(self) -> None:
        """See `Disk`."""

    async def _do(self, what: str, work: Callable[[], None]) -> None:
        world, process = self._world, self._process
        process.require_alive()
        fault = world.script.next(Where.DISK, what)
        if fault is not None:
            world.trace(f"{process.name} spool {what} [{fault.effect.value}]")
        await asyncio.sleep(world.rng.choice(_WRITES_S) * world.rng.random())
        process.require_alive()
        await self._before(fault)
        work()
        if fault is not None and fault.effect is Effect.CRASH_AFTER:
            world.kill(process)
            raise KilledError
        await asyncio.sleep(0)

    async def _before(self, fault: Fault | None) -> None:
        match fault.effect if fault is not None else None:
            case Effect.REFUSED:
                raise LogUnavailableError("simulated: the disk is full")
            case Effect.CRASH_BEFORE:
                self._world.kill(self._process)
                raise KilledError
            case Effect.DELAY if fault is not None:
                await asyncio.sleep(fault.seconds)
                self._process.require_alive()
            case _:
                return
