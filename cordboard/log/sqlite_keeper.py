"""Keeping the journal small: compaction and retention by the topics' policies, in the background and in small bites.

Looking for what can go happens in a reading thread; deleting goes through the writer, a few hundred rows a transaction,
so that nobody waits for it. The order of the log and its offsets never change.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from cordboard.errors import LogError
from cordboard.log.port import Bounds
from cordboard.log.sqlite_file import Place, offset_of, record_id
from schemas.topics import POLICIES, Topic

_DELETE_ROWS = 500
_SCAN_ROWS = 2000

_log = structlog.get_logger(__name__)


class KeeperLimits(msgspec.Struct, frozen=True):
    """How often to look (seconds), and how many new records make a partition worth compacting."""

    every_s: float = 60.0
    worth_records: int = 2000


class Kept(Protocol):
    """What the keeper needs of the journal."""

    @property
    def partitions(self) -> int:
        """How many partitions each topic has."""
        ...

    def place(self, topic: Topic, partition: int) -> Place:
        """Where its records are."""
        ...

    def bounds_of(self, topic: Topic, partition: int) -> Bounds:
        """What it holds."""
        ...

    def committed_floor(self, topic: Topic, partition: int) -> int | None:
        """Below it every group has read."""
        ...

    def forget_before(self, topic: Topic, partition: int, earliest: int) -> None:
        """Told what has been deleted."""
        ...

    async def in_reader(self, work: Callable[[sqlite3.Connection], Any]) -> Any:  # noqa: ANN401 what `work` returns
        """Run in a reading thread."""
        ...

    async def execute(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Run in the writer."""
        ...


class Keeper:
    """The background job of one journal. Not urgent: a failure is logged and the next round tries again."""

    def __init__(self, journal: Kept, limits: KeeperLimits, clock: Callable[[], int]) -> None:
        self.deleted = 0
        """Records deleted since the start."""
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._compacted_to: dict[tuple[Topic, int], int] = {}

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._run(), name="journal-keeper")

    async def stop(self) -> None:
        """End between two bites."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def keep(self) -> None:
        """One round over all topics."""
        for topic in Topic:
            settings = POLICIES[topic].settings
            for partition in range(self._journal.partitions):
                if "compact" in settings["cleanup.policy"]:
                    await self._compact(topic, partition, settings)
                if "delete" in settings["cleanup.policy"]:
                    await self._expire(topic, partition, settings)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._limits.every_s)
            try:
                await self.keep()
            except LogError as error:
                _log.warning("journal.keeping_failed", reason=str(error))

    async def _compact(self, topic: Topic, partition: int, settings: Mapping[str, str]) -> None:
        """Keep the newest record of every key, and no tombstone that is a day old."""
        end = self._journal.bounds_of(topic, partition).end
        if end - self._compacted_to.get((topic, partition), 0) < self._limits.worth_records:
            return
        now = self._clock()
        settled_before = now - int(settings["min.compaction.lag.ms"])
        tombstones_before = now - int(settings["delete.retention.ms"])
        place = self._journal.place(topic, partition)
        gone: list[int] = await self._journal.in_reader(
            lambda c: superseded(c, place, settled_before, tombstones_before)
        )
        await self._delete(place, end, gone)
        self._compacted_to[topic, partition] = end

    async def _expire(self, topic: Topic, partition: int, settings: Mapping[str, str]) -> None:
        """Delete what is older than the topic keeps, unless a group of ours has still to read it."""
        place = self._journal.place(topic, partition)
        bounds = self._journal.bounds_of(topic, partition)
        floor = self._journal.committed_floor(topic, partition)
        limit = bounds.end if floor is None else min(floor, bounds.end)
        older_than = self._clock() - int(settings["retention.ms"])
        while gone := await self._journal.in_reader(lambda c: expired(c, place, limit, older_than)):
            await self._delete(place, bounds.end, gone)
            if POLICIES[topic].settings["cleanup.policy"] == "delete":
                self._journal.forget_before(topic, partition, offset_of(gone[-1]) + 1)

    async def _delete(self, place: Place, end: int, ids: Sequence[int]) -> None:
        for start in range(0, len(ids), _DELETE_ROWS):
            bite = ids[start : start + _DELETE_ROWS]
            marks = ",".join("?" * len(bite))
            await self._journal.execute(
                [
                    (
                        "INSERT INTO ends VALUES (?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)",
                        (place, end),
                    ),
                    (f"DELETE FROM records WHERE id IN ({marks})", bite),  # noqa: S608 question marks only
                ]
            )
            self.deleted += len(bite)


def superseded(connection: sqlite3.Connection, place: Place, settled_before: int, tombstones_before: int) -> list[int]:
    """Ids of records with a newer one of the same key, and of old tombstones; only among those that have settled."""
    newest: dict[bytes, int] = {}
    gone: list[int] = []
    tombstones: dict[bytes, int] = {}
    rows = connection.execute(
        "SELECT id, key, value IS NULL AND at_ms < ? FROM records WHERE id >= ? AND id < ? AND at_ms < ? ORDER BY id",
        (tombstones_before, record_id(place, 0), record_id(place + 1, 0), settled_before),
    )
    while batch := rows.fetchmany(_SCAN_ROWS):
        for row_id, key, is_old_tombstone in batch:
            older = newest.get(key)
            if older is not None:
                gone.append(older)
            newest[key] = row_id
            if is_old_tombstone:
                tombstones[key] = row_id
            else:
                tombstones.pop(key, None)
    return gone + list(tombstones.values())


def expired(connection: sqlite3.Connection, place: Place, limit: int, older_than: int) -> list[int]:
    """Ids of the oldest records that were written before `older_than`, below offset `limit`, one bite of them."""
    rows = connection.execute(
        "SELECT id, at_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (record_id(place, 0), record_id(place, limit), _DELETE_ROWS),
    )
    ids: list[int] = []
    for row_id, at_ms in rows:
        if at_ms >= older_than:
            break
        ids.append(row_id)
    return ids
