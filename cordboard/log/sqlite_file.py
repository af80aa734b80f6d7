"""The file of the journal: its lock, its tables, and what SQLite's errors mean to an operator.

Rows are found by one integer, `id` = topic code, partition and offset packed in that order, so that a partition is one
range of the table's own tree. The view `log` shows them unpacked, for people. Writing is `sqlite_writer.py`'s.
"""

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

import msgspec

from cordboard.errors import LogError, LogInUseError, LogUnavailableError, SettingsError
from cordboard.log.port import Headers, Record
from schemas.topics import Topic

APPLICATION_ID = 0x436F7264  # "Cord"
_SCHEMA_VERSION = 1
_OFFSET_BITS = 40
_PARTITION_BITS = 12
MAX_PARTITIONS = 1 << _PARTITION_BITS
ROWS_AT_ONCE = 64
"""Rows that one statement inserts at most. There is one for each number of rows; the connection keeps all compiled."""

_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE topics (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE records (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB);
CREATE TABLE ends (place INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE owners (place INTEGER PRIMARY KEY, token INTEGER NOT NULL, owner BLOB NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE group_offsets (
  grp TEXT, place INTEGER, next INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (grp, place)
) WITHOUT ROWID;
CREATE VIEW log AS
  SELECT name AS topic, id >> {_OFFSET_BITS} & {MAX_PARTITIONS - 1} AS partition,
         id & {(1 << _OFFSET_BITS) - 1} AS offset, at_ms, key, value, headers
  FROM records JOIN topics ON code = id >> {_OFFSET_BITS + _PARTITION_BITS};
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {_SCHEMA_VERSION};
"""  # noqa: S608 our own numbers

Place = int
"""A topic code and a partition in one integer: the upper part of a record's id."""

_HEADERS = msgspec.msgpack.Decoder(Headers)


def place_of(code: int, partition: int) -> Place:
    """Where the records of one partition of one topic are."""
    return code << _PARTITION_BITS | partition


def record_id(place: Place, offset: int) -> int:
    """The id of the record at `offset`."""
    return place << _OFFSET_BITS | offset


def offset_of(row_id: int) -> int:
    """The offset in an id."""
    return row_id & (1 << _OFFSET_BITS) - 1


def pack_headers(headers: Headers) -> bytes | None:
    """Headers as stored; NULL when there are none."""
    return msgspec.msgpack.encode(headers) if headers else None


def read_rows(
    connection: sqlite3.Connection, topic: Topic, partition: int, place: Place, offsets: tuple[int, int], limit: int
) -> list[Record]:
    """At most `limit` records with offsets from `offsets[0]` to below `offsets[1]`."""
    rows = connection.execute(
        "SELECT id, at_ms, key, value, headers FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (record_id(place, offsets[0]), record_id(place, offsets[1]), limit),
    )
    return [
        Record(topic, partition, offset_of(row_id), at_ms, key, value, _HEADERS.decode(headers) if headers else ())
        for row_id, at_ms, key, value, headers in rows
    ]


def load_bounds(connection: sqlite3.Connection, place: Place) -> tuple[int, int]:
    """Earliest and end offset of one place. The end outlives the records: an offset is never used twice."""
    low, high = record_id(place, 0), record_id(place + 1, 0)
    first, last = connection.execute(
        "SELECT (SELECT min(id) FROM records WHERE id >= ?1 AND id < ?2),"
        " (SELECT max(id) FROM records WHERE id >= ?1 AND id < ?2)",
        (low, high),
    ).fetchone()
    row = connection.execute("SELECT next FROM ends WHERE place = ?", (place,)).fetchone()
    end = max(row[0] if row else 0, offset_of(last) + 1 if last is not None else 0)
    return (offset_of(first) if first is not None else end), end


def load_topic_codes(connection: sqlite3.Connection) -> tuple[dict[Topic, int], list[Topic]]:
    """The code of every topic, and those that had none until now."""
    found: dict[str, int] = dict(connection.execute("SELECT name, code FROM topics"))
    new = [topic for topic in Topic if topic.value not in found]
    for topic in new:
        found[topic.value] = len(found) + 1
        connection.execute("INSERT INTO topics (name, code) VALUES (?, ?)", (topic.value, found[topic.value]))
    return {topic: found[topic.value] for topic in Topic}, new


class FileLock:
    """The right of one process to use a file: `flock` on another one beside it, gone with the process in any case.

    `what` the file is, the `setting` that names it, and what to do `instead` are for the message.
    """

    def __init__(
        self,
        path: Path,
        what: str = "journal",
        setting: str = "CORDBOARD_LOG",
        instead: str = "to another file, or to Kafka for several processes",
    ) -> None:
        """Take the lock or raise `LogInUseError` with the holder's pid."""
        lock_path = path.with_name(path.name + ".lock")
        try:
            self._fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LogUnavailableError(
                f"{what} {path}: cannot create {lock_path.name} beside it ({error.strerror}). "
                f"Its folder must be there and writable, or {setting} must name another one"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise LogInUseError(
                f"{what} {path} is in use by process {holder}: one process, one {what}. Stop that one, "
                f"or set {setting} {instead}"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._fd)


def open_file(path: Path, partitions: int) -> sqlite3.Connection:
    """Open or create the journal for its one writer. Raises `SettingsError` for a file that is not this journal."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # personal data: nobody else's to read
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=2 * ROWS_AT_ONCE
        )
    except (OSError, sqlite3.Error) as error:
        raise explain(path, error) from error
    try:
        _prepare(connection, path, partitions)
    except sqlite3.Error as error:
        connection.close()
        raise explain(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that never writes."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise explain(path, error) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, partitions: int) -> None:
    is_new = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not is_new:
        _require_ours(connection, path, partitions)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -16000")
    if is_new:
        # One transaction: whoever dies in it leaves an empty file, which the next one makes a journal of.
        made_with = f"INSERT INTO meta VALUES ('partitions', {partitions:d});"  # noqa: S608 a number
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {made_with} COMMIT;")


def require_journal(connection: sqlite3.Connection, path: Path) -> int:
    """How many partitions the journal was made with. Raises `SettingsError` for a file that this version cannot use."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise SettingsError(
            f"CORDBOARD_LOG: {path} is an SQLite database, but not a journal of Cordboard. Name another file"
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != _SCHEMA_VERSION:
        raise SettingsError(
            f"CORDBOARD_LOG: {path} has format {version}, this version of Cordboard reads {_SCHEMA_VERSION}. "
            "Use the version that wrote it, or name another file"
        )
    row = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
    if row is None:
        raise SettingsError(
            f"CORDBOARD_LOG: {path} was never finished: an earlier version was killed while it made it, and nothing is "
            "in it. Remove it, or name another file"
        )
    return int(row[0])


def _require_ours(connection: sqlite3.Connection, path: Path, partitions: int) -> None:
    made_with = require_journal(connection, path)
    if made_with != partitions:
        raise SettingsError(
            f"CORDBOARD_PARTITIONS is {partitions}, but {path} was made with {made_with}, and that is fixed for "
            f"life: which partition a call is in depends on it. Set it back, or name another file in CORDBOARD_LOG"
        )


def explain(path: Path, error: Exception, what: str = "journal") -> LogError:
    """What an error of SQLite or of the operating system means for the file (`what` it is), and what to do about it."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if name.startswith(("SQLITE_FULL",)):
        reason = "the disk is full, or the file may not grow. Make room; writing goes on by itself"
    elif name.startswith(("SQLITE_READONLY", "PermissionError")) or getattr(error, "errno", None) == errno.EROFS:
        reason = "it cannot be written: read-only file, folder or file system. Check rights and mount"
    elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        reason = (
            "it is damaged or not an SQLite file. Nothing was changed. Restore a copy, or move it and its -wal away to "
            "begin anew (`sqlite3 FILE .recover` saves what can be saved)"
        )
    elif name.startswith(
        ("SQLITE_CANTOPEN", "FileNotFoundError", "FileExistsError", "NotADirectoryError", "IsADirectory")
    ):
        reason = "it cannot be opened. Its folder must be there and writable, and it must be a file"
    else:
        reason = "the disk or the file system failed. Check the system's log"
    return LogUnavailableError(f"{what} {path}: {reason} ({name}: {error})")
