"""The engine process that is measured: it fills its own inbox, owns every partition, and counts its CPU seconds.

    python -m benchmarks.engine.process VARIANT LOG PREFIX CALLS AT_ONCE

`VARIANT` is `compiled` (what is shipped) or `transitions` (every table lookup of a step triggers the declared
`transitions` machine instead). Prints one JSON line. CPU is the process's own, from the first record handed to a
partition to the last one durable and published: consumer, steps, state records, actions, events, ownership, all of it.
"""

import asyncio
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import structlog
import uvloop

from benchmarks.engine.triggered import trigger_machines
from benchmarks.engine.workload import CONFIG, interleaved
from cordboard.clock import system_clock
from cordboard.log.open import open_log
from cordboard.log.owned import Owned
from cordboard.log.ownership import Owner
from cordboard.log.port import Entry, FencedPartition, Log, Record
from engine.core.step import Switchboard
from engine.partition import EnginePartition, engine_partition_factory
from schemas.codec import encode
from schemas.topics import Topic, partition_of

PARTITIONS = 8
_ENGINE_CORE = 0


class Measured(msgspec.Struct, frozen=True):
    """One run: what went in, what came out, and what it cost."""

    variant: str
    records: int
    cpu_s: float
    wall_s: float
    state_records: int
    actions: int
    events: int


class Meter:
    """CPU and wall time from the first record handed over to the last one done."""

    def __init__(self, expected: int) -> None:
        self.done = asyncio.Event()
        self.cpu_s = self.wall_s = 0.0
        self._left = expected
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """A batch is handed over."""
        if self._began is None:
            self._began = _cpu_s(), time.monotonic()

    def end(self, records: int) -> None:
        """It is done."""
        self._left -= records
        if self._left <= 0 and self._began is not None:
            self.cpu_s, self.wall_s = _cpu_s() - self._began[0], time.monotonic() - self._began[1]
            self.done.set()


class MeteredPartition(Owned):
    """An engine partition with the meter around it."""

    def __init__(self, inner: EnginePartition, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    async def restore(self, fenced: FencedPartition) -> int | None:
        """See `Owned`."""
        return await self._inner.restore(fenced)

    async def handle(self, records: Sequence[Record]) -> None:
        """See `Owned`."""
        self._meter.begin()
        await self._inner.handle(records)
        self._meter.end(len(records))

    def covered(self) -> int | None:
        """See `Owned`."""
        return self._inner.covered()

    async def release(self) -> None:
        """See `Owned`."""
        await self._inner.release()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def fill(log: Log, calls: int, at_once: int) -> int:
    """Put the workload into the inbox; how many records it has."""
    entries = []
    for record in interleaved(calls, at_once):
        key = record.call_id.encode()
        entries.append(Entry(partition_of(key, PARTITIONS), key, encode(record)))
    for start in range(0, len(entries), 5000):
        await log.publish(Topic.INBOX, entries[start : start + 5000])
    return len(entries)


async def count(log: Log, topic: Topic) -> int:
    """Records in a topic."""
    return sum(bounds.end - bounds.earliest for bounds in (await log.bounds(topic)).values())


async def measure(variant: str, spec: str, prefix: str, calls: int, at_once: int) -> Measured:
    """One run."""
    log = open_log(spec, prefix=prefix, partitions=PARTITIONS)
    await log.ensure_topics()
    meter = Meter(records := await fill(log, calls, at_once))
    board = Switchboard(CONFIG)
    make: Callable[[int], EnginePartition] = engine_partition_factory(board.step, log, system_clock)
    owner = Owner(
        log, group="engine", source=Topic.INBOX, fenced=Topic.STATE, name="benchmark",
        factory=lambda partition: MeteredPartition(make(partition), meter),
    )  # fmt: skip
    stop = asyncio.Event()
    running = asyncio.create_task(owner.run(stop))
    await asyncio.wait({running, asyncio.create_task(meter.done.wait())}, return_when=asyncio.FIRST_COMPLETED)
    actions, events, state = [await count(log, topic) for topic in (Topic.ACTIONS, Topic.EVENTS, Topic.STATE)]
    stop.set()
    await running
    await log.aclose()
    return Measured(variant, records, meter.cpu_s, meter.wall_s, state, actions, events)


def main() -> None:
    """Pin, measure, print."""
    variant, spec, prefix, calls, at_once = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with suppress(OSError):
        os.sched_setaffinity(0, {_ENGINE_CORE})
    if variant == "transitions":
        trigger_machines()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(measure(variant, spec, prefix, int(calls), int(at_once)))
    print(msgspec.json.encode(measured).decode(), flush=True)


if __name__ == "__main__":
    main()
