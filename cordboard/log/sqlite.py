"""The SQLite journal, the embedded log: one process, one file; survives `kill -9` and power loss (reliability.md 2.10).

`sqlite_file.py` knows the file, `sqlite_writer.py` writes it, `sqlite_keeper.py` keeps it small; readers and groups are
shared with the in-memory log. Several processes need Kafka.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from cordboard.errors import AppendFailedError, LogError, LogUnavailableError, SettingsError
from cordboard.log.claims import StandDowns, claim_entry, require_appended, require_published
from cordboard.log.local_groups import LocalGroup
from cordboard.log.local_reading import LocalReader, LocalSubscription
from cordboard.log.port import AssignmentListener, Bounds, Entry, Member, Record, TopicCheck
from cordboard.log.sqlite_file import (
    MAX_PARTITIONS,
    FileLock,
    Place,
    explain,
    load_bounds,
    load_topic_codes,
    open_file,
    open_for_reading,
    place_of,
    read_rows,
)
from cordboard.log.sqlite_keeper import Keeper, KeeperLimits
from cordboard.log.sqlite_submissions import Submissions
from cordboard.log.sqlite_tail import Tail
from cordboard.log.sqlite_writer import Execute, Writer, WriteRecords
from schemas.topics import Topic

_TAILS_BYTES = 64 * 1024 * 1024
_REPLAY_BATCH = 2000
_CLOSE_S = 5.0

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class SqliteLog:
    """`Log` in one SQLite file. Making one opens it and takes its lock; `aclose` gives both back.

    Raises `LogInUseError`, `SettingsError` for a file that is not this journal, `LogUnavailableError` when it cannot be
    opened. `clock` gives milliseconds since the epoch. To be used in one event loop.
    """

    def __init__(
        self,
        path: Path | str,
        partitions: int = 8,
        *,
        clock: Callable[[], int] = _now_ms,
        keeping: KeeperLimits | None = None,
    ) -> None:
        self._path = Path(path)
        self._partitions = partitions
        self._clock = clock
        if not 0 < partitions <= MAX_PARTITIONS:
            raise SettingsError(f"CORDBOARD_PARTITIONS is {partitions}; the journal takes 1 to {MAX_PARTITIONS}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explain(self._path, error) from error
        self._lock = FileLock(self._path)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        self._groups: dict[tuple[str, Topic], LocalGroup] = {}
        self._watchers: dict[Topic, set[asyncio.Event]] = {topic: set() for topic in Topic}
        self.stand_downs = StandDowns()
        self._submissions = Submissions(self._path, self._writer, self._stored)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="journal-reader")
        self._reading = threading.local()
        self._read_connections: list[sqlite3.Connection] = []
        self.keeper = Keeper(self, keeping or KeeperLimits(), clock)

    def _open(self) -> None:
        connection = open_file(self._path, self._partitions)
        try:
            self._codes, self._new_topics = load_topic_codes(connection)
            places = {
                p: load_bounds(connection, p)
                for t in Topic
                for p in (place_of(self._codes[t], n) for n in range(self._partitions))
            }
            self._committed: dict[tuple[str, Place], int] = {
                (grp, place): offset
                for grp, place, offset in connection.execute("SELECT grp, place, next FROM group_offsets")
            }
            budget = _TAILS_BYTES // len(places)
            self._bounds = {place: Bounds(earliest=first, end=end) for place, (first, end) in places.items()}
            self._tails = {place: Tail(end, budget) for place, (_, end) in places.items()}
            ends = {place: end for place, (_, end) in places.items()}
            self._writer = Writer(self._path, connection, self._clock, ends)
        except sqlite3.Error as error:
            connection.close()
            raise explain(self._path, error) from error

    @property
    def partitions(self) -> int:
        """See `Log`."""
        return self._partitions

    @property
    def fails_as_one(self) -> bool:
        """See `Log`."""
        return True

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    async def ensure_topics(self) -> Sequence[TopicCheck]:
        """See `Log`. They came with the file."""
        new, self._new_topics = self._new_topics, []
        return [TopicCheck(topic=topic, state="created" if topic in new else "ok") for topic in Topic]

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """See `Log`. Durable means: on the disk, by fsync."""
        require_published(topic, entries, self._partitions)
        await self._write_records(topic, entries)

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """See `Log`."""
        return {p: self.bounds_of(topic, p) for p in range(self._partitions)}

    def reader(self, topic: Topic, starts: Mapping[int, int]) -> LocalReader:
        """See `Log`."""
        return LocalReader(self, topic, starts)

    def subscribe(self, group: str, topic: Topic, listener: AssignmentListener) -> LocalSubscription:
        """See `Log`."""
        known = self._groups.setdefault((group, topic), LocalGroup(group, self._partitions))
        return LocalSubscription(self, topic, known, listener)

    async def claim(self, topic: Topic, partition: int, owner: str, member: Member | None = None) -> "SqliteFenced":
        """See `Log`."""
        entry = claim_entry(partition, owner, member, self._clock())
        stored = await self._write_records(topic, (entry,), claims=True)
        return SqliteFenced(self, topic, partition, token=stored[0].offset, member=member)

    async def check(self) -> str | None:
        """See `Log`. After a failed write it tries one."""
        if self._closed:
            return f"journal {self._path}: closed"
        if self._submissions.seems_well():
            return None
        try:
            async with asyncio.timeout(1.0):
                await self.execute([("INSERT OR REPLACE INTO meta VALUES ('probe', ?)", (self._clock(),))])
        except (TimeoutError, LogError) as error:
            return str(error) or f"journal {self._path}: the disk does not answer"
        return None

    async def aclose(self) -> None:
        """See `Log`: what was submitted is written first."""
        if self._closed:
            return
        self._closed = True
        await self.keeper.stop()
        stopped = await self._submissions.stop(_CLOSE_S)
        self._readers.shutdown(wait=False, cancel_futures=True)
        if not stopped:
            _log.error("journal.close_overdue", path=str(self._path), limit_s=_CLOSE_S)
            return  # the thread still writes: the lock stays until the process ends
        for connection in self._read_connections:
            connection.close()
        self._lock.release()

    # LocalStore

    def bounds_of(self, topic: Topic, partition: int) -> Bounds:
        """See `LocalStore`."""
        return self._bounds[self.place(topic, partition)]

    def read_hot(self, topic: Topic, partition: int, start: int, limit: int) -> Sequence[Record] | None:
        """See `LocalStore`."""
        return self._tails[self.place(topic, partition)].read(start, limit)

    async def read_cold(self, topic: Topic, partition: int, start: int, limit: int) -> Sequence[Record]:
        """See `LocalStore`."""
        end = self.bounds_of(topic, partition).end
        return await self.read_range(topic, partition, (start, end), limit)

    async def read_range(self, topic: Topic, partition: int, offsets: tuple[int, int], limit: int) -> list[Record]:
        """At most `limit` records of a range of offsets, from the file."""
        place = self.place(topic, partition)
        return await self.in_reader(lambda c: read_rows(c, topic, partition, place, offsets, limit))

    def watch(self, topic: Topic, wake: asyncio.Event) -> None:
        """See `LocalStore`."""
        self._watchers[topic].add(wake)

    def unwatch(self, topic: Topic, wake: asyncio.Event) -> None:
        """See `LocalStore`."""
        self._watchers[topic].discard(wake)

    async def load_committed(self, group: str, topic: Topic, partition: int) -> int | None:
        """See `LocalStore`."""
        return self._committed.get((group, self.place(topic, partition)))

    async def save_committed(self, group: str, topic: Topic, offsets: Mapping[int, int]) -> None:
        """See `LocalStore`."""
        at_ms = self._clock()
        rows = [(group, self.place(topic, p), offset, at_ms) for p, offset in offsets.items()]
        await self.execute([("INSERT OR REPLACE INTO group_offsets VALUES (?, ?, ?, ?)", row) for row in rows])
        self._committed.update({(group, place): offset for _, place, offset, _ in rows})

    # Writing

    async def execute(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Run statements in the writer, in one transaction."""
        loop = self._start()
        job = Execute(statements, loop.create_future(), loop.time())
        await self._submissions.run(job)

    async def append(self, topic: Topic, entries: Sequence[Entry], token: int) -> None:
        """Append as the owner with that token. Use `claim(...).append`."""
        await self._write_records(topic, entries, token=token)

    async def in_reader(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in a reading thread with its connection. Raises `LogUnavailableError`."""
        if self._closed:
            raise LogUnavailableError(f"journal {self._path}: closed")
        return await self._start().run_in_executor(self._readers, self._read, work)

    def forget_before(self, topic: Topic, partition: int, earliest: int) -> None:
        """Records before `earliest` have been deleted."""
        place = self.place(topic, partition)
        bounds = self._bounds[place]
        self._bounds[place] = Bounds(earliest=max(earliest, bounds.earliest), end=bounds.end)

    def committed_floor(self, topic: Topic, partition: int) -> int | None:
        """The lowest offset that any group has committed here, None when no group has."""
        here = self.place(topic, partition)
        return min((offset for (_, place), offset in self._committed.items() if place == here), default=None)

    def place(self, topic: Topic, partition: int) -> Place:
        """Where the records of a partition are in the file."""
        return place_of(self._codes[topic], partition)

    def _read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        connection: sqlite3.Connection | None = getattr(self._reading, "connection", None)
        if connection is None:
            connection = self._reading.connection = open_for_reading(self._path)
            self._read_connections.append(connection)
        try:
            return work(connection)
        except sqlite3.Error as error:
            raise explain(self._path, error) from error

    async def _write_records(
        self, topic: Topic, entries: Sequence[Entry], *, token: int | None = None, claims: bool = False
    ) -> list[Record]:
        if not entries:
            return []
        loop = self._start()
        places = [self.place(topic, e.partition) for e in entries]
        job = WriteRecords(topic, entries, places, loop.create_future(), loop.time(), token=token, claims=claims)
        await self._submissions.run(job)
        return job.stored

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._submissions.start(loop)
            self.keeper.start()
        return self._loop

    def _stored(self, job: WriteRecords) -> None:
        for record, place in zip(job.stored, job.places, strict=True):
            self._tails[place].add(record)
            bounds = self._bounds[place]
            self._bounds[place] = Bounds(earliest=bounds.earliest, end=record.offset + 1)
        for wake in self._watchers[job.topic]:
            wake.set()


class SqliteFenced:
    """`FencedPartition` of the journal."""

    def __init__(self, log: SqliteLog, topic: Topic, partition: int, *, token: int, member: Member | None) -> None:
        self._log = log
        self._topic = topic
        self._partition = partition
        self._token = token
        self._member = member
        self._dead: AppendFailedError | None = None

    @property
    def token(self) -> int:
        """See `FencedPartition`."""
        return self._token

    async def replay(self) -> AsyncIterator[Sequence[Record]]:
        """See `FencedPartition`."""
        start = 0
        while batch := await self._log.read_range(self._topic, self._partition, (start, self._token), _REPLAY_BATCH):
            start = batch[-1].offset + 1
            yield [r for r in batch if not self._log.stand_downs.is_claim(r, self._member)]

    async def append(self, entries: Sequence[Entry]) -> None:
        """See `FencedPartition`."""
        require_appended(self._topic, self._partition, entries)
        if self._dead is not None:
            raise self._dead
        where = f"{self._topic.value}[{self._partition}]"
        try:
            await self._log.append(self._topic, entries, self._token)
        except AppendFailedError as error:
            self._dead = error
            raise
        except LogError as error:
            self._dead = AppendFailedError(f"{where}: {error}")
            raise self._dead from error
        except asyncio.CancelledError:
            self._dead = AppendFailedError(f"{where}: an append was cancelled half-way")
            raise

    async def close(self) -> None:
        """See `FencedPartition`."""
        self._dead = self._dead or AppendFailedError(f"{self._topic.value}[{self._partition}]: the writer is closed")
