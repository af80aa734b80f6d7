"""The process that dies: publishers, an owner, a group and the keeper on one journal, each saying what it was told.

What is said goes through a pipe right after the journal has acknowledged it, and survives the process.
"""

import asyncio
import random
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from cordboard.errors import AppendFailedError
from cordboard.log.port import Entry
from cordboard.log.sqlite import SqliteLog
from cordboard.log.sqlite_keeper import KeeperLimits
from journal_fire.points import Death, arm
from schemas.topics import Topic

PARTITIONS = 2
PUBLISHERS = 4
KEYS = 5
GROUP = "readers"
DAY_MS = 86_400_000
DAYS_A_ROUND = 3
_BEGIN_MS = 1_800_000_000_000


class Published(msgspec.Struct, frozen=True, tag=True):
    """These values, given in one call, are in the inbox."""

    partition: int
    values: tuple[bytes, ...]


class Appended(msgspec.Struct, frozen=True, tag=True):
    """The owner with this token has written a key."""

    token: int
    key: bytes
    value: bytes


class Committed(msgspec.Struct, frozen=True, tag=True):
    """The group has read up to here."""

    partition: int
    offset: int


Acknowledged = Published | Appended | Committed


def now_of(number: int) -> int:
    """The time in round `number`, ms: days pass between rounds, so that there is something to delete."""
    return _BEGIN_MS + number * DAYS_A_ROUND * DAY_MS


def live_and_die(path: Path, number: int, death: Death, pipe: Connection) -> None:
    """Work on the journal until death comes."""
    arm(death)
    asyncio.run(_Writer(path, number, pipe).work())


class _Writer:
    def __init__(self, path: Path, number: int, pipe: Connection) -> None:
        self._path = path
        self._number = number
        self._pipe = pipe
        self._draw = random.Random(number)  # noqa: S311 - no secret
        self._count = 0

    async def work(self) -> None:
        """Everything at once."""
        keeping = KeeperLimits(every_s=3600, worth_records=1)
        log = SqliteLog(self._path, PARTITIONS, clock=lambda: now_of(self._number), keeping=keeping)
        await asyncio.gather(
            *(self._publish(log, number) for number in range(PUBLISHERS)), self._own(log), self._read(log),
            self._keep(log),
        )  # fmt: skip

    def _told(self, what: Acknowledged) -> None:
        self._pipe.send_bytes(msgspec.msgpack.encode(what))

    def _value(self, who: str) -> bytes:
        self._count += 1
        return f"{self._number}.{who}.{self._count}.".encode() + b"x" * self._draw.randrange(2000)

    async def _publish(self, log: SqliteLog, publisher: int) -> None:
        partition = publisher % PARTITIONS
        while True:
            values = tuple(self._value(f"p{publisher}") for _ in range(self._draw.randint(1, 3)))
            await log.publish(Topic.INBOX, [Entry(partition, b"call", value) for value in values])
            self._told(Published(partition, values))

    async def _own(self, log: SqliteLog) -> None:
        while True:
            old = await log.claim(Topic.STATE, 0, "old")
            fenced = await log.claim(Topic.STATE, 0, "owner")
            for n in range(self._draw.randint(1, 10)):
                key, value = b"key-%d" % (n % KEYS), self._value("s")
                await fenced.append([Entry(0, key, value)])
                self._told(Appended(fenced.token, key, value))
            try:
                await old.append([Entry(0, b"key-0", b"written by a fenced owner")])
            except AppendFailedError:
                continue
            raise AssertionError("a fenced owner could write")

    async def _read(self, log: SqliteLog) -> None:
        while True:
            for partition in range(PARTITIONS):
                offset = log.bounds_of(Topic.INBOX, partition).end
                await log.save_committed(GROUP, Topic.INBOX, {partition: offset})
                self._told(Committed(partition, offset))

    async def _keep(self, log: SqliteLog) -> None:
        while True:
            await log.keeper.keep()
            await asyncio.sleep(0)
