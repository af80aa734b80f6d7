"""Memory of a live call in the engine: resident bytes of the process over the count of calls, both talking.

    python -m benchmarks.engine.memory [--calls 10000] [--partitions 8]

The log is one that keeps nothing, so that what is counted is the engine: encoded calls, timers, a few decoded calls.
Records are made and applied a few calls at a time; what has been freed is given back before each look.
"""

import argparse
import asyncio
import ctypes
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import psutil
import structlog

from benchmarks.engine.workload import CONFIG, records_of_call
from cordboard.clock import system_clock
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, Record
from engine.core.step import Switchboard
from engine.partition import EnginePartition
from schemas.codec import encode
from schemas.topics import Topic, partition_of

_AT_ONCE = 100


class ForgetfulLog(MemoryLog):
    """Acknowledges everything, keeps nothing."""

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """See `Log`."""


class ForgetfulFenced:
    """A writer of it."""

    token = 0

    async def replay(self) -> AsyncIterator[Sequence[Record]]:
        """Nothing was kept."""
        nothing: tuple[Sequence[Record], ...] = ()
        for batch in nothing:
            yield batch

    async def append(self, entries: Sequence[Entry]) -> None:
        """See `FencedPartition`."""

    async def close(self) -> None:
        """See `FencedPartition`."""


def resident() -> int:
    """Resident bytes, after everything that can be given back has been."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


async def measure(calls: int, partitions: int) -> tuple[float, float]:
    """Resident bytes a call, and bytes of an encoded call, over `calls` calls that are all live."""
    log = ForgetfulLog(partitions)
    step = Switchboard(CONFIG).step
    owners = [EnginePartition(step, log, system_clock, number) for number in range(partitions)]
    for owner in owners:
        await owner.restore(ForgetfulFenced())
    offsets = [0] * partitions
    await feed(owners, offsets, range(calls, calls + _AT_ONCE))  # whatever is made once is made now
    before = resident()
    for start in range(0, calls, _AT_ONCE):
        await feed(owners, offsets, range(start, start + _AT_ONCE))
    after = resident()
    encoded = [owners[partition(n, partitions)].state_of(call_id(n)) or b"" for n in range(calls)]
    assert all(encoded)
    for owner in owners:
        await owner.release()
    return (after - before) / calls, sum(map(len, encoded)) / calls


async def feed(owners: Sequence[EnginePartition], offsets: list[int], numbers: range) -> None:
    """Apply the records of these calls, up to both talking."""
    batches: list[list[Record]] = [[] for _ in owners]
    for number in numbers:
        where = partition(number, len(owners))
        for record in records_of_call(number, live=True):
            key = record.call_id.encode()
            batches[where].append(Record(Topic.INBOX, where, offsets[where], 0, key, encode(record)))
            offsets[where] += 1
    for owner, batch in zip(owners, batches, strict=True):
        await owner.handle(batch)


def call_id(number: int) -> str:
    """The id of call `number` of the workload."""
    return f"CA{number:032x}"


def partition(number: int, partitions: int) -> int:
    """Where it belongs."""
    return partition_of(call_id(number).encode(), partitions)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=8)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    a_call, encoded = asyncio.run(measure(options.calls, options.partitions))
    print(f"{options.calls} live calls: {a_call:,.0f} bytes resident each, {encoded:,.0f} of them the encoded call")


if __name__ == "__main__":
    main()
