"""A journal as a history: read from beside the process that writes it, or when none does. Nothing is written.

No lock is taken, so the running Cordboard does not notice. What is read is what had been committed when reading began,
topic by topic.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cordboard.errors import LogUnavailableError
from cordboard.log.port import Bounds, Record
from cordboard.log.sqlite_file import explain, load_bounds, place_of, read_rows, require_journal
from schemas.topics import Topic

_BATCH = 2000


class JournalHistory:
    """The records of one journal file. Raises `SettingsError` for a file that is none, `LogUnavailableError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise LogUnavailableError(f"journal {path}: there is no such file")
        try:
            self._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)
            self.partitions = require_journal(self._connection, path)
            self._codes: dict[str, int] = dict(self._connection.execute("SELECT name, code FROM topics"))
        except sqlite3.Error as error:
            raise explain(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def bounds(self, topic: Topic, partition: int) -> Bounds:
        """Earliest and end offset."""
        place = self._place(topic, partition)
        if place is None:
            return Bounds(0, 0)
        try:
            return Bounds(*load_bounds(self._connection, place))
        except sqlite3.Error as error:
            raise explain(self._path, error) from error

    def read(self, topic: Topic, partition: int) -> Iterator[Record]:
        """Every record, oldest first."""
        place = self._place(topic, partition)
        if place is None:
            return
        start, end = 0, self.bounds(topic, partition).end
        try:
            while rows := read_rows(self._connection, topic, partition, place, (start, end), _BATCH):
                yield from rows
                start = rows[-1].offset + 1
        except sqlite3.Error as error:
            raise explain(self._path, error) from error

    def _place(self, topic: Topic, partition: int) -> int | None:
        code = self._codes.get(topic.value)
        return None if code is None else place_of(code, partition)
