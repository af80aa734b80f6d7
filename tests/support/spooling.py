"""An ingress with a spool: a log that can be away as a whole or by partition, a disk that can be slow or full."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from cordboard.errors import LogUnavailableError
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from ingress.app import IngressConfig
from ingress.recorder import Recorder, lane_of, lanes_of
from ingress.spool import Spool, Spooled, SpoolLimits
from ingress.spool_file import SpoolFile
from schemas.records import Webhook
from schemas.topics import Topic, partition_of
from schemas.webhooks import Source
from signing_twilio import CALL, NOW_MS, Inboxes, Twilio, calling

AWAY = "the network is cut"
PATIENCE_S = 20.0
LIMITS = SpoolLimits()


class PartedLog(MemoryLog):
    """A log whose partitions fail one by one, as Kafka's do."""

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.away: set[int] = set()
        """Partitions that take nothing."""

    @property
    def fails_as_one(self) -> bool:
        """See `Log`."""
        return False

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """See `Log`."""
        if any(entry.partition in self.away for entry in entries):
            await asyncio.sleep(0)
            raise LogUnavailableError("no leader")
        await super().publish(topic, entries)


class TestDisk(SpoolFile):
    """The real file, on a disk that does what it is told."""

    __test__ = False

    def __init__(self, path: Path, log: MemoryLog) -> None:
        lanes = lanes_of(log)
        super().__init__(path, lanes, lambda key: lane_of(key, lanes))
        self.writes = asyncio.Event()
        """Cleared, what is to be written waits."""
        self.writes.set()
        self.full = False
        self.cannot_delete = False
        self.commits = 0

    async def add(self, records: Sequence[Spooled]) -> None:
        """See `Disk`."""
        await self.writes.wait()
        self._require_room()
        self.commits += 1
        await super().add(records)

    async def remove(self, lane: int, up_to: int) -> None:
        """See `Disk`."""
        if self.cannot_delete:
            raise LogUnavailableError("the disk is full")
        await super().remove(lane, up_to)

    async def probe(self) -> None:
        """See `Disk`."""
        self._require_room()
        await super().probe()

    def _require_room(self) -> None:
        if self.full:
            raise LogUnavailableError("the disk is full")


class Spooling:
    """A log, a disk, and the recorder between them."""

    def __init__(self, log: MemoryLog, path: Path, limits: SpoolLimits = LIMITS, patience_s: float = 5.0) -> None:
        self.log = log
        self.disk = TestDisk(path, log)
        self.spool = Spool(self.disk, limits, lambda: NOW_MS)
        self.recorder = Recorder(log, patience_s, self.spool)

    async def close(self) -> None:
        """As an orderly stop does."""
        stop = asyncio.Event()
        stop.set()
        await self.recorder.run(stop)
        await self.spool.close()

    async def until_drained(self) -> None:
        """Wait until the log has everything and the spool nothing."""
        await until(lambda: not self.spool.records)


async def until(what: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def spooling(
    log: MemoryLog, path: Path, limits: SpoolLimits = LIMITS, patience_s: float = 5.0
) -> AsyncIterator[Spooling]:
    """A recorder with a spool for as long as the context lasts."""
    made = Spooling(log, path, limits, patience_s)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def calling_spooled(config: IngressConfig, made: Spooling) -> AsyncIterator[Twilio]:
    """Twilio, calling an ingress with this spool."""
    async with calling(config, made.log, made.recorder) as twilio:
        yield twilio


def webhook(number: int, call: str = CALL) -> Webhook:
    """A record of a call."""
    return Webhook(
        id=f"{call}-{number}", call_id=call, at=number, source=Source.STATUS, params=msgspec.Raw(b'{"CallSid":"x"}')
    )


def call_in(partition: int, partitions: int = 4) -> str:
    """A call whose records are in this partition."""
    return next(f"CA{n:032x}" for n in range(1000) if partition_of(b"CA%032x" % n, partitions) == partition)


def ids(log: MemoryLog) -> list[str]:
    """The ids of what has arrived, in order."""
    return [record.id for record in Inboxes(log).records]
