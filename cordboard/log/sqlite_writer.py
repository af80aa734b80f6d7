"""The one writer of the journal: a thread that turns whatever is waiting into one transaction, and says when it is in.

Group commit without a timer: while one transaction reaches the disk, the next group gathers. Only this thread assigns
offsets and knows who owns a partition, so that a fence and an append cannot cross. Reading is elsewhere.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from cordboard.errors import FencedError, LogError
from cordboard.log.port import Entry, Record
from cordboard.log.sqlite_file import ROWS_AT_ONCE, Place, explain, pack_headers, record_id
from schemas.topics import Topic

_GROUP_ENTRIES = 2000
_GROUP_BYTES = 8 * 1024 * 1024

_Row = tuple[int, int, bytes, bytes | None, bytes | None]

_ROWS = [", ".join(["(?, ?, ?, ?, ?)"] * n) for n in range(ROWS_AT_ONCE + 1)]
_INSERTS = [f"INSERT INTO records VALUES {rows}" for rows in _ROWS]  # noqa: S608 - no value in it
"""By the number of rows. Every statement gives up the interpreter's lock and waits for it again, while the event loop
works: `executemany` does that for each row."""


class Job:
    """One thing to be written. `future` is resolved in the event loop, after the transaction."""

    __slots__ = ("future", "refused", "submitted_at")

    def __init__(self, future: asyncio.Future[None], submitted_at: float) -> None:
        self.future = future
        self.submitted_at = submitted_at
        self.refused: LogError | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        """What it adds to the log."""
        return ()

    @property
    def size(self) -> int:
        """Bytes to write, about."""
        return 64


class WriteRecords(Job):
    """Records for the log. With a `token`, only while it is the owner's; with `claims`, the entry makes the token."""

    __slots__ = ("_entries", "_size", "claims", "places", "stored", "token", "topic")

    def __init__(
        self,
        topic: Topic,
        entries: Sequence[Entry],
        places: Sequence[Place],
        future: asyncio.Future[None],
        submitted_at: float,
        *,
        token: int | None = None,
        claims: bool = False,
    ) -> None:
        super().__init__(future, submitted_at)
        self.topic = topic
        self.places = places
        self.token = token
        self.claims = claims
        self.stored: list[Record] = []
        self._entries = entries
        self._size = sum(len(e.key) + len(e.value or b"") for e in entries)

    @property
    def entries(self) -> Sequence[Entry]:
        """What it adds to the log."""
        return self._entries

    @property
    def size(self) -> int:
        """Bytes to write, about."""
        return self._size


class Execute(Job):
    """Statements of the same transaction: commits of groups, deletions. At most a thousand rows each."""

    __slots__ = ("statements",)

    def __init__(
        self, statements: Sequence[tuple[str, Sequence[Any]]], future: asyncio.Future[None], submitted_at: float
    ) -> None:
        super().__init__(future, submitted_at)
        self.statements = statements


class Writer:
    """Owns the writing connection. `submit` from the event loop; everything else happens in the thread."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, clock: Callable[[], int], ends: dict[Place, int]
    ) -> None:
        self._ends = ends
        self._path = path
        self._connection = connection
        self._clock = clock
        self._tokens: dict[Place, int] = dict(connection.execute("SELECT place, token FROM owners"))
        self._submitted: SimpleQueue[Sequence[Job] | None] = SimpleQueue()
        """What `submit` hands over; None ends the thread. One of C: a `Condition` costs a new lock for every wait."""
        self._queue: deque[Job] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(
        self, loop: asyncio.AbstractEventLoop, finished: Callable[[Sequence[Job], LogError | None], None]
    ) -> None:
        """Begin; `finished` is called in `loop` for every group, in the order of submission."""
        self._loop = loop
        self._finished = finished
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue jobs in order. The caller bounds how many wait."""
        self._submitted.put(jobs)

    def stop(self, timeout_s: float) -> bool:
        """Write what is queued, close the file, and say whether that was done in time. Blocks."""
        self._submitted.put(None)
        if self._loop is None:
            self._connection.close()
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while group := self._next_group():
            error = self._write(group)
            if self._loop is not None:
                try:
                    self._loop.call_soon_threadsafe(self._finished, group, error)
                except RuntimeError:
                    break  # the loop is closed: nobody is waiting any more
        self._connection.close()

    def _next_group(self) -> list[Job]:
        """What is waiting, up to a bound; waits for the first. Empty at the end."""
        while not self._stopping and not (self._queue and self._submitted.empty()):
            jobs = self._submitted.get()
            if jobs is None:
                self._stopping = True
            else:
                self._queue.extend(jobs)
        group: list[Job] = []
        entries = size = 0
        while self._queue and entries < _GROUP_ENTRIES and size < _GROUP_BYTES:
            job = self._queue.popleft()
            group.append(job)
            entries += len(job.entries) or 1
            size += job.size
        return group

    def _write(self, group: Sequence[Job]) -> LogError | None:
        ends, tokens = dict(self._ends), dict(self._tokens)
        try:
            self._commit(group)
        except (sqlite3.Error, OSError) as error:
            self._ends, self._tokens = ends, tokens
            try:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            except sqlite3.Error as second:
                error.add_note(f"and the rollback failed: {second}")
            return explain(self._path, error)
        return None

    def _commit(self, group: Sequence[Job]) -> None:
        """One transaction. A single statement is one by itself: two waits for the interpreter's lock less."""
        at_ms = self._clock()
        rows: list[_Row] = []
        statements: list[tuple[str, Sequence[Any]]] = []
        for job in group:
            if isinstance(job, WriteRecords):
                self._add_records(job, at_ms, rows, statements)
            elif isinstance(job, Execute):
                statements.extend(job.statements)
        statements.extend(_insertions(rows))
        if len(statements) == 1:
            self._connection.execute(*statements[0])
            return
        self._connection.execute("BEGIN IMMEDIATE")
        for statement, values in statements:
            self._connection.execute(statement, values)
        self._connection.execute("COMMIT")

    def _add_records(
        self, job: WriteRecords, at_ms: int, rows: list[_Row], statements: list[tuple[str, Sequence[Any]]]
    ) -> None:
        if job.token is not None and self._tokens.get(job.places[0], -1) != job.token:
            holder = self._tokens.get(job.places[0])
            job.refused = FencedError(
                f"{job.topic.value}[{job.entries[0].partition}]: claimed by another owner (token {holder}, "
                f"ours is {job.token})"
            )
            return
        stored = job.stored
        for entry, place in zip(job.entries, job.places, strict=True):
            offset = self._ends.get(place, 0)
            self._ends[place] = offset + 1
            rows.append((record_id(place, offset), at_ms, entry.key, entry.value, pack_headers(entry.headers)))
            stored.append(Record(job.topic, entry.partition, offset, at_ms, entry.key, entry.value, entry.headers))
            if job.claims:
                self._tokens[place] = offset
                values = (place, offset, entry.value, at_ms)
                statements.append(("INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?)", values))


def _insertions(rows: Sequence[_Row]) -> Iterator[tuple[str, Sequence[Any]]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        yield _INSERTS[len(some)], [value for row in some for value in row]
