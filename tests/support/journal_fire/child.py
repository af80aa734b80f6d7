"""The process that dies: publishers, an owner, a group and the keeper on one journal, each saying what it was told.

What is said goes through a pipe right after the journal has acknowledged it, and survives the process. Run as a
program, this is the parent of those processes: it has everything imported, and forks one for each order.
"""

import asyncio
import os
import random
import struct
import sys
import traceback
import zlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO

import msgspec

from cordboard.errors import AppendFailedError, FencedError, LogUnavailableError
from cordboard.log.port import Entry
from cordboard.log.sqlite import SqliteLog
from cordboard.log.sqlite_keeper import KeeperLimits
from journal_fire.bugs import plant
from journal_fire.points import Death, arm
from schemas.topics import Topic

PARTITIONS = 2
PUBLISHERS = 4
KEYS = 5
GROUP = "readers"
DAY_MS = 86_400_000
DAYS_A_ROUND = 3
_BEGIN_MS = 1_800_000_000_000
_MOST_LATE = 100


class Published(msgspec.Struct, frozen=True, tag=True):
    """The values of these names, given in one call, are in the inbox."""

    partition: int
    names: tuple[bytes, ...]


class Appended(msgspec.Struct, frozen=True, tag=True):
    """The owner with this token has written a key."""

    token: int
    key: bytes
    name: bytes


class Committed(msgspec.Struct, frozen=True, tag=True):
    """The group has read up to here."""

    partition: int
    offset: int


Acknowledged = Published | Appended | Committed


class Born(msgspec.Struct, frozen=True, tag=True):
    """A process has begun."""

    pid: int


class Died(msgspec.Struct, frozen=True, tag=True):
    """It has ended: by this signal (negative), or with this code."""

    code: int


Word = Published | Appended | Committed | Born | Died


class Order(msgspec.Struct, frozen=True):
    """What one process is to do, and how it is to die."""

    path: str
    number: int
    death: Death
    bug: str = ""


def now_of(number: int) -> int:
    """The time in round `number`, ms: days pass between rounds, so that there is something to delete."""
    return _BEGIN_MS + number * DAYS_A_ROUND * DAY_MS


def value_of(name: bytes) -> bytes:
    """The value that is written under a name: up to 2,000 bytes."""
    return name + b"." + b"x" * (zlib.crc32(name) % 2000)


def read_word(pipe: IO[bytes]) -> Word:
    """The next word."""
    (size,) = _SIZE.unpack(pipe.read(_SIZE.size))
    return _decoder.decode(pipe.read(size))


def write_order(pipe: IO[bytes], order: Order) -> None:
    """Give an order."""
    pipe.write(msgspec.json.encode(order) + b"\n")
    pipe.flush()


_SIZE = struct.Struct("!I")
_decoder: msgspec.msgpack.Decoder[Word] = msgspec.msgpack.Decoder(Word)


def _say(word: Word) -> None:
    """In one write: what is smaller than a pipe's atom arrives whole or not at all."""
    encoded = msgspec.msgpack.encode(word)
    os.write(1, _SIZE.pack(len(encoded)) + encoded)


class _Writer:
    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._number = number
        self._draw = random.Random(number)  # noqa: S311 - no secret
        self._count = 0
        self._late = 0

    async def work(self) -> None:
        """Everything at once."""
        keeping = KeeperLimits(every_s=3600, worth_records=1)
        log = SqliteLog(self._path, PARTITIONS, clock=lambda: now_of(self._number), keeping=keeping)
        turns = [partial(self._publish, log, number) for number in range(PUBLISHERS)]
        turns += [partial(self._own, log), partial(self._read, log), partial(self._keep, log)]
        await asyncio.gather(*map(self._again_and_again, turns))

    async def _again_and_again(self, turn: Callable[[], Awaitable[None]]) -> None:
        """For ever. A write that a busy disk kept waiting for too long was not acknowledged, and may be there."""
        while True:
            try:
                await turn()
            except (LogUnavailableError, AppendFailedError):
                self._late += 1
                if self._late > _MOST_LATE:
                    raise

    def _name(self, who: str) -> bytes:
        self._count += 1
        return f"{self._number}.{who}.{self._count}".encode()

    async def _publish(self, log: SqliteLog, publisher: int) -> None:
        partition = publisher % PARTITIONS
        names = tuple(self._name(f"p{publisher}") for _ in range(self._draw.randint(1, 3)))
        await log.publish(Topic.INBOX, [Entry(partition, b"call", value_of(name)) for name in names])
        _say(Published(partition, names))

    async def _own(self, log: SqliteLog) -> None:
        old = await log.claim(Topic.STATE, 0, "old")
        fenced = await log.claim(Topic.STATE, 0, "owner")
        for n in range(self._draw.randint(1, 10)):
            key, name = b"key-%d" % (n % KEYS), self._name("s")
            await fenced.append([Entry(0, key, value_of(name))])
            _say(Appended(fenced.token, key, name))
        try:
            await old.append([Entry(0, b"key-0", b"written by a fenced owner")])
        except FencedError:
            return
        raise AssertionError("a fenced owner could write")

    async def _read(self, log: SqliteLog) -> None:
        for partition in range(PARTITIONS):
            offset = log.bounds_of(Topic.INBOX, partition).end
            await log.save_committed(GROUP, Topic.INBOX, {partition: offset})
            _say(Committed(partition, offset))

    async def _keep(self, log: SqliteLog) -> None:
        await log.keeper.keep()
        await asyncio.sleep(0)


def _live_and_die(order: Order) -> None:
    """Work on the journal until death comes."""
    arm(order.death)
    plant(order.bug)
    asyncio.run(_Writer(Path(order.path), order.number).work())


def _fork(live: Callable[[], None]) -> int:
    """Let a child live; its end as `Died` has it."""
    pid = os.fork()
    if pid == 0:
        try:
            live()
        except BaseException:  # noqa: BLE001 - told by the exit code; this is the end of the process
            traceback.print_exc()
        os._exit(1)  # whoever comes here has not died as ordered
    _say(Born(pid))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _main() -> None:
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        _say(Died(_fork(lambda order=order: _live_and_die(order))))  # type: ignore[misc]


if __name__ == "__main__":
    _main()
