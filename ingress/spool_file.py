"""The file of the spool: SQLite in WAL mode, `synchronous=FULL`; a thread of its own, so that no fsync stops the loop.

Rows are what the log has not acknowledged yet, in the order in which they came, by lane (`spool.py`). One process has
the file. Whatever else happens to it is `spool.py`'s business.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from cordboard.errors import LogUnavailableError, SettingsError
from cordboard.log.port import Headers
from cordboard.log.sqlite_file import FileLock, explain, pack_headers
from ingress.spool import Held, Spooled

APPLICATION_ID = 0x43737061  # "Cspa"
SETTING = "CORDBOARD_SPOOL"
_WHAT = "spool"
_SCHEMA_VERSION = 1
_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE records (
  id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, at_ms INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
  headers BLOB
);
CREATE INDEX by_lane ON records (lane, id);
CREATE TABLE refused (
  id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, at_ms INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
  headers BLOB, reason TEXT NOT NULL
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {_SCHEMA_VERSION};
"""
_SIZE = "length(key) + length(value) + coalesce(length(headers), 0)"
_HEADERS = msgspec.msgpack.Decoder(Headers)

_T = TypeVar("_T")


class SpoolFile:
    """`Disk` in one SQLite file. Making one opens it and takes its lock; `close` gives both back.

    `lanes` is how many lanes of the inbox there are, and `lane_of` tells the one of a key: when their number has
    changed, what was left is sorted anew. Raises `LogInUseError`, `LogUnavailableError`, and
    `SettingsError` for somebody else's file.
    """

    def __init__(self, path: Path, lanes: int, lane_of: Callable[[bytes], int]) -> None:
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explain(path, error, _WHAT) from error
        self._lock = FileLock(path, _WHAT, SETTING, "to another file: each process of the ingress needs its own")
        try:
            self._connection = _open(path, lanes, lane_of)
        except BaseException:
            self._lock.release()
            raise
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._closed = False

    def held(self) -> Mapping[int, Held]:
        """See `Disk`."""
        rows = self._connection.execute(
            f"SELECT lane, count(*), sum({_SIZE}), min(at_ms) FROM records GROUP BY lane"  # noqa: S608 no value in it
        )
        return {lane: Held(records=count, size=size, oldest_ms=oldest) for lane, count, size, oldest in rows}

    def last_id(self) -> int:
        """See `Disk`."""
        found = self._connection.execute("SELECT max(id) FROM records").fetchone()[0]
        return int(found or 0)

    def refused(self) -> int:
        """See `Disk`."""
        return int(self._connection.execute("SELECT count(*) FROM refused").fetchone()[0])

    async def add(self, records: Sequence[Spooled]) -> None:
        """See `Disk`."""
        rows = [(r.id, r.lane, r.at_ms, r.key, r.value, pack_headers(r.headers)) for r in records]
        await self._in_thread(lambda c: _transaction(c, "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows))

    async def oldest(self, lane: int, after: int, limit: int) -> Sequence[Spooled]:
        """See `Disk`."""
        sql = "SELECT id, at_ms, key, value, headers FROM records WHERE lane = ? AND id > ? ORDER BY id LIMIT ?"
        rows = await self._in_thread(lambda c: c.execute(sql, (lane, after, limit)).fetchall())
        return [
            Spooled(row_id, lane, at_ms, key, value, _HEADERS.decode(headers) if headers else ())
            for row_id, at_ms, key, value, headers in rows
        ]

    async def remove(self, lane: int, up_to: int) -> None:
        """See `Disk`."""
        sql = "DELETE FROM records WHERE lane = ? AND id <= ?"
        await self._in_thread(lambda c: _transaction(c, sql, [(lane, up_to)]))

    async def refuse(self, record: Spooled, reason: str) -> None:
        """See `Disk`."""

        def move(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "INSERT OR REPLACE INTO refused SELECT *, ? FROM records WHERE id = ?", (reason, record.id)
                )
                connection.execute("DELETE FROM records WHERE id = ?", (record.id,))

        await self._in_thread(move)

    async def probe(self) -> None:
        """See `Disk`."""
        await self._in_thread(lambda c: _transaction(c, "INSERT OR REPLACE INTO meta VALUES ('probe', 1)", [()]))

    async def shrink(self) -> None:
        """See `Disk`. What was in an empty file is gone from it, and the file is small again."""

        def vacuum(connection: sqlite3.Connection) -> None:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        await self._in_thread(vacuum)

    async def close(self) -> None:
        """See `Disk`."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)
        self._lock.release()

    async def _in_thread(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._closed:
            raise LogUnavailableError(f"spool {self._path}: closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)
        except (sqlite3.Error, OSError) as error:
            raise explain(self._path, error, _WHAT) from error


def _transaction(connection: sqlite3.Connection, sql: str, rows: Sequence[Sequence[object]]) -> None:
    """One statement for every row, all or none, on the disk when it returns."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(sql, rows)


def _open(path: Path, lanes: int, lane_of: Callable[[bytes], int]) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # personal data: nobody else's to read
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    except (OSError, sqlite3.Error) as error:
        raise explain(path, error, _WHAT) from error
    try:
        _prepare(connection, path, lanes, lane_of)
    except sqlite3.Error as error:
        connection.close()
        raise explain(path, error, _WHAT) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, lanes: int, lane_of: Callable[[bytes], int]) -> None:
    is_new = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not is_new:
        _require_ours(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if is_new:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    known = connection.execute("SELECT value FROM meta WHERE name = 'lanes'").fetchone()
    if known is None or known[0] != lanes:
        connection.create_function("lane_of", 1, lane_of, deterministic=True)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE records SET lane = lane_of(key) WHERE lane >= 0")
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('lanes', ?)", (lanes,))


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise SettingsError(f"{SETTING}: {path} is an SQLite database, but not a spool of Cordboard. Name another file")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != _SCHEMA_VERSION:
        raise SettingsError(
            f"{SETTING}: {path} has format {version}, this version of Cordboard reads {_SCHEMA_VERSION}. "
            "Let the version that wrote it drain it, or name another file"
        )
