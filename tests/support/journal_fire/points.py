"""Where a process that writes the journal dies. Nothing of this is in the journal: its connection is another class.

A point is a statement and the moment before or after it; or bytes of a file (the kernel kills at a write beyond a
limit, `RLIMIT_FSIZE` with `SIGXFSZ`, so that the write is torn); or any instruction of SQLite's own machine.
"""

import os
import re
import signal
import sqlite3
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

CHECKPOINT_PAGES = 50
"""Instead of 4,000: a checkpoint every few groups."""


class Moment(StrEnum):
    """On which side of the statement."""

    BEFORE = "before"
    AFTER = "after"


class Point(msgspec.Struct, frozen=True):
    """A named place: a statement, matched from its beginning. `fresh` ones die while the file is being made."""

    name: str
    statement: str
    moment: Moment
    fresh: bool = False


_B, _A = Moment.BEFORE, Moment.AFTER

POINTS = (
    Point("before the file is one", r"PRAGMA journal_mode", _B, fresh=True),
    Point("before the tables are made", r"BEGIN IMMEDIATE; \n*CREATE TABLE", _B, fresh=True),
    Point("after the tables are made", r"BEGIN IMMEDIATE; \n*CREATE TABLE", _A, fresh=True),
    Point("with some topics known", r"INSERT INTO topics", _A, fresh=True),
    Point("before a transaction", r"BEGIN IMMEDIATE\Z", _B),
    Point("after an insert, before the commit", r"INSERT INTO records", _A),
    Point("before the commit", r"COMMIT", _B),
    Point("after the commit, before the acknowledgement", r"COMMIT", _A),
    Point("before a claim names the owner", r"INSERT OR REPLACE INTO owners", _B),
    Point("after a claim names the owner", r"INSERT OR REPLACE INTO owners", _A),
    Point("before a group's position", r"INSERT OR REPLACE INTO group_offsets", _B),
    Point("after a group's position", r"INSERT OR REPLACE INTO group_offsets", _A),
    Point("before the end is kept for a deletion", r"INSERT INTO ends", _B),
    Point("after the end is kept, before the deletion", r"INSERT INTO ends", _A),
    Point("after a deletion, before its commit", r"DELETE FROM records", _A),
)
TORN_WAL, TORN_CHECKPOINT, INSTRUCTION, ANY_TIME = (
    "in a write to the write-ahead log", "in a checkpoint's write to the file", "in an instruction of SQLite",
    "at any time",
)  # fmt: skip
NAMES = (*(point.name for point in POINTS), TORN_WAL, TORN_CHECKPOINT, INSTRUCTION, ANY_TIME)


class Death(msgspec.Struct, frozen=True):
    """How the process of one round dies: at the `nth` time of a point, at a byte, at an instruction, or when told."""

    name: str
    nth: int = 1
    size_limit: int | None = None

    @property
    def point(self) -> Point | None:
        """The statement's point, if it is one."""
        return next((point for point in POINTS if point.name == self.name), None)


def die() -> None:
    """-9, of oneself: nothing is finished, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def arm(death: Death) -> None:
    """Let this process die so. Before the journal is opened."""
    if death.size_limit is not None:
        import resource  # noqa: PLC0415 in the child only

        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (death.size_limit, death.size_limit))
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_dying(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return connect(*arguments, factory=_dying(death), **named)

    sqlite3.connect = connect_dying  # type: ignore[assignment]


def _dying(death: Death) -> type[sqlite3.Connection]:
    left = death.nth
    point = death.point
    statement = re.compile(point.statement) if point else None

    def reached(sql: str, moment: Moment) -> None:
        nonlocal left
        if point is not None and statement is not None and moment is point.moment and statement.match(sql):
            left -= 1
            if left == 0:
                die()

    class Dying(sqlite3.Connection):
        """A connection that dies at its point."""

        def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:  # type: ignore[override]
            """Run a statement, if there is time."""
            if sql.startswith("PRAGMA wal_autocheckpoint"):
                sql = f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"
                if death.name == INSTRUCTION:
                    self.set_progress_handler(instruction, 1)
            reached(sql, Moment.BEFORE)
            cursor = super().execute(sql, parameters)
            reached(sql, Moment.AFTER)
            return cursor

        def executescript(self, sql: str, /) -> sqlite3.Cursor:
            """Run a script, if there is time."""
            reached(sql, Moment.BEFORE)
            cursor = super().executescript(sql)
            reached(sql, Moment.AFTER)
            return cursor

    def instruction() -> int:
        nonlocal left
        left -= 1
        if left == 0:
            die()
        return 0

    return Dying
