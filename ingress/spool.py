"""The spool: what the log has not taken is durable here, on local disk, until it has (reliability.md 4.1).

It holds records by lane, each lane in the order in which its records came: one lane for each partition of the inbox
(one for all in a log that fails as one), and one for the dead letters. Which way a record goes is decided in
`detour.py`; here is group commit, the bounds, and how much there is. The file is `spool_file.py`'s.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import structlog

from cordboard import metrics
from cordboard.clock import Clock
from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.port import Entry, Headers

DEAD_LETTERS_LANE = -1
_MAX_PENDING = 10_000
_MB = 1_048_576
_REMOVE_AGAIN_S = 2.0
_CLOSE_S = 2.0

_log = structlog.get_logger(__name__)


class Spooled(NamedTuple):
    """One record in the spool. Ids grow; `at_ms` is when it was spooled."""

    id: int
    lane: int
    at_ms: int
    key: bytes
    value: bytes
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes, as they are counted."""
        return len(self.key) + len(self.value) + sum(len(name) + len(value) for name, value in self.headers)


class Held(msgspec.Struct):
    """What a lane holds: records, bytes, and since when there has been something (ms)."""

    records: int = 0
    size: int = 0
    oldest_ms: int = 0


class SpoolLimits(msgspec.Struct, frozen=True):
    """How much the spool takes."""

    max_records: int = 1_000_000
    max_bytes: int = 1024 * _MB


class SpoolFullError(LogUnavailableError):
    """The spool is at its bound: nothing more is taken until the log is back."""


class Disk(Protocol):
    """What the spool needs of its file. Everything raises `LogError` when the disk does not do it."""

    def held(self) -> Mapping[int, Held]:
        """What is there, by lane; asked once, after opening."""
        ...

    def last_id(self) -> int:
        """The highest id there is, 0 for none."""
        ...

    def refused(self) -> int:
        """Records that the log would never take."""
        ...

    async def add(self, records: Sequence[Spooled]) -> None:
        """All of them or none; on the disk when it returns."""
        ...

    async def oldest(self, lane: int, after: int, limit: int) -> Sequence[Spooled]:
        """The first records of a lane with ids above `after`."""
        ...

    async def remove(self, lane: int, up_to: int) -> None:
        """Delete the records of a lane up to this id."""
        ...

    async def refuse(self, record: Spooled, reason: str) -> None:
        """Put a record aside that the log will never take."""
        ...

    async def probe(self) -> None:
        """Write something, to see whether it can be."""
        ...

    async def shrink(self) -> None:
        """There is nothing left: give the room back."""
        ...

    async def close(self) -> None:
        """Close the file and give up its lock."""
        ...


class _Group(NamedTuple):
    """Records that came together: done when they are on the disk."""

    records: Sequence[Spooled]
    durable: "asyncio.Future[None]"


class Spool:
    """Records that wait for the log. To be used in one event loop."""

    def __init__(self, disk: Disk, limits: SpoolLimits, clock: Clock) -> None:
        self.held: dict[int, Held] = dict(disk.held())
        self.refused = disk.refused()
        self._disk = disk
        self._limits = limits
        self._clock = clock
        self._next_id = disk.last_id() + 1
        self._gathered: list[_Group] = []
        self._pending = 0
        self._committing: asyncio.Task[None] | None = None
        self._forwarded: dict[int, tuple[int, int, int]] = {}
        """By lane: the last id that the log has, and how many records and bytes of it are still on the disk."""
        self._after: dict[int, int] = {}
        self._removing: asyncio.Task[None] | None = None
        self._trouble: str | None = None
        self._full = False
        if self.records:
            _log.warning("spool.left_over", records=self.records, bytes=self.size)

    @property
    def records(self) -> int:
        """How many there are."""
        return sum(held.records for held in self.held.values())

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return sum(held.size for held in self.held.values())

    def oldest_s(self) -> float:
        """For how long the oldest one has been waiting, seconds, 0 for none. After a part was drained: at most."""
        oldest = min((held.oldest_ms for held in self.held.values() if held.records), default=None)
        return 0.0 if oldest is None else max(0, self._clock() - oldest) / 1000

    def append(self, lane: int, entries: Sequence[Entry]) -> "asyncio.Future[None]":
        """Add records behind all others of their lane; done when they are on the disk, or with a `LogError`.

        What comes while the disk is busy shares the next transaction. Nobody needs to wait for the future.
        """
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._require_room(entries)
        except LogError as error:
            durable.set_exception(error)
            return durable
        at_ms = self._clock()
        records = []
        for entry in entries:
            records.append(Spooled(self._next_id, lane, at_ms, entry.key, entry.value or b"", entry.headers))
            self._next_id += 1
        self._count(lane, records, at_ms)
        self._pending += len(records)
        self._gathered.append(_Group(records, durable))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all(), name="spool-commit")
        return durable

    async def oldest(self, lane: int, limit: int) -> Sequence[Spooled]:
        """The first records of a lane that the log does not have yet. Raises `LogError`."""
        return await self._disk.oldest(lane, self._after.get(lane, 0), limit)

    def forwarded(self, records: Sequence[Spooled]) -> None:
        """The log has these, the first ones of their lane: they will not be read again, and are removed soon."""
        lane, last = records[-1].lane, records[-1]
        self._after[lane] = last.id
        self.held[lane].oldest_ms = last.at_ms
        _, count, size = self._forwarded.get(lane, (0, 0, 0))
        size += sum(record.size for record in records)
        self._forwarded[lane] = (last.id, count + len(records), size)
        metrics.SPOOL_FORWARDED.inc(len(records))
        if self._removing is None:
            self._removing = asyncio.create_task(self._remove_all(), name="spool-remove")

    async def refuse(self, record: Spooled, reason: str) -> None:
        """Keep aside what the log will never take: it has been acknowledged, so it is not thrown away."""
        await self._disk.refuse(record, reason)
        self.refused += 1
        self._uncount(record.lane, 1, record.size)
        _log.error("spool.record_refused", lane=record.lane, id=record.id, reason=reason)

    async def check(self) -> str | None:
        """None when records can be taken, else why not."""
        if self._full:
            return f"the spool is full: {self.records} records, {self.size} bytes"
        if self._trouble is not None:
            try:
                await self._disk.probe()
                self._trouble = None
            except LogError as error:
                self._trouble = str(error)
        return self._trouble

    async def close(self) -> None:
        """Write what was given, end the removal, close the file. Call it after the last `append`."""
        tasks = {task for task in (self._committing, self._removing) if task is not None}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
        if self.records:
            _log.warning("spool.left_for_the_next_start", records=self.records, bytes=self.size)
        await self._disk.close()

    # Writing

    async def _commit_all(self) -> None:
        try:
            while self._gathered:
                gathered, self._gathered = self._gathered, []
                await self._commit(gathered)
        finally:
            self._committing = None

    async def _commit(self, gathered: Sequence[_Group]) -> None:
        failed: LogError | None = LogUnavailableError("the spool was given up before this was written")
        try:
            await self._disk.add([record for group in gathered for record in group.records])
            failed = self._trouble = None
        except LogError as error:
            failed, self._trouble = error, str(error)
            _log.error("spool.write_failed", records=sum(len(group.records) for group in gathered), error=str(error))
        finally:
            for group in gathered:
                self._settle(group, failed)

    def _settle(self, group: _Group, failed: LogError | None) -> None:
        self._pending -= len(group.records)
        if failed is None:
            metrics.SPOOLED.inc(len(group.records))
        else:
            self._uncount(group.records[0].lane, len(group.records), sum(record.size for record in group.records))
        if group.durable.done():
            return
        if failed is None:
            group.durable.set_result(None)
        else:
            group.durable.set_exception(type(failed)(*failed.args))

    def _require_room(self, entries: Sequence[Entry]) -> None:
        size = self.size + sum(len(entry.key) + len(entry.value or b"") for entry in entries)
        full = self.records + len(entries) > self._limits.max_records or size > self._limits.max_bytes
        if full is not self._full:
            self._full = full
            say = _log.error if full else _log.info
            say("spool.full" if full else "spool.has_room", records=self.records, bytes=self.size)
        if full:
            raise SpoolFullError(f"the spool is full: {self.records} records, {self.size} bytes")
        if self._pending + len(entries) > _MAX_PENDING:
            raise LogUnavailableError(f"the spool's disk is behind: {self._pending} records wait for it")

    def _count(self, lane: int, records: Sequence[Spooled], at_ms: int) -> None:
        held = self.held.setdefault(lane, Held())
        if not held.records:
            held.oldest_ms = at_ms
        held.records += len(records)
        held.size += sum(record.size for record in records)

    def _uncount(self, lane: int, records: int, size: int) -> None:
        held = self.held[lane]
        held.records = max(0, held.records - records)
        held.size = max(0, held.size - size) if held.records else 0

    # Removing

    async def _remove_all(self) -> None:
        """What cannot be removed now (a full disk cannot even delete) is removed later; nobody waits for it."""
        try:
            while self._forwarded:
                lane, (up_to, count, size) = next(iter(self._forwarded.items()))
                try:
                    await self._disk.remove(lane, up_to)
                except LogError as error:
                    _log.error("spool.remove_failed", lane=lane, records=count, error=str(error))
                    await asyncio.sleep(_REMOVE_AGAIN_S)
                    continue
                self._removed(lane, count, size)
                if not self.records:
                    await self._shrink()
        finally:
            self._removing = None

    def _removed(self, lane: int, count: int, size: int) -> None:
        up_to, counted, sized = self._forwarded.pop(lane)
        if counted > count:  # more was forwarded meanwhile
            self._forwarded[lane] = (up_to, counted - count, sized - size)
        self._uncount(lane, count, size)
        self._full = False

    async def _shrink(self) -> None:
        try:
            await self._disk.shrink()
        except LogError as error:
            _log.warning("spool.not_shrunk", error=str(error))
