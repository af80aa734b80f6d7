"""Where histories come from: a journal file, Kafka, or an exported file. Each gives the records of a topic's partition.

An exported file is lines of JSON, compressed: first a `Header`, then the records as they were, in the order of topics
and offsets. It holds what the topics hold, phone numbers too.
"""

import base64
import gzip
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from cordboard import __version__
from cordboard.errors import LogUnavailableError, SettingsError
from cordboard.log.port import Bounds, Log, Record
from cordboard.log.sqlite_history import JournalHistory
from schemas.state import DEFINITION
from schemas.topics import STATE_POSITION_KEY, Topic

FORMAT = 1
READ = (Topic.EVENTS, Topic.ACTIONS, Topic.DEAD_LETTERS, Topic.STATE, Topic.INBOX)
"""In this order: what has left comes before the state that covers it, and that before its causes (`recorded.py`)."""
_GZIP = b"\x1f\x8b"
_SILENT_S = 30.0


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """First line of a file. `earliest`: the log's oldest offsets, `TOPIC/PARTITION` to offset, where not 0."""

    history: int
    cordboard: str
    definition: int
    partitions: int
    name: str = ""
    earliest: dict[str, int] = {}


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record: `text` where the value is text, else `base64`; neither for a tombstone."""

    topic: Topic
    partition: int
    offset: int
    at: int
    key: str
    text: str | None = None
    base64: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class _Said(msgspec.Struct, frozen=True):
    outbox: tuple[msgspec.Raw, ...] = ()


class History(Protocol):
    """Records that were, in partitions."""

    @property
    def partitions(self) -> int:
        """How many partitions every topic has."""
        ...

    async def bounds(self, topic: Topic, partition: int) -> Bounds:
        """Earliest and end offset."""
        ...

    def read(self, topic: Topic, partition: int) -> AsyncGenerator[Record, None]:
        """Every record of one partition, oldest first."""
        ...


class OfJournal:
    """A journal file, from beside whoever uses it."""

    def __init__(self, journal: JournalHistory) -> None:
        self._journal = journal
        self.partitions = journal.partitions

    async def bounds(self, topic: Topic, partition: int) -> Bounds:
        """See `History`."""
        return self._journal.bounds(topic, partition)

    async def read(self, topic: Topic, partition: int) -> AsyncGenerator[Record, None]:
        """See `History`."""
        for record in self._journal.read(topic, partition):
            yield record


class OfLog:
    """Any log, through its port: Kafka, or the one in memory."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.partitions = log.partitions

    async def bounds(self, topic: Topic, partition: int) -> Bounds:
        """See `History`."""
        return (await self._log.bounds(topic))[partition]

    async def read(self, topic: Topic, partition: int) -> AsyncGenerator[Record, None]:
        """See `History`. Raises `LogUnavailableError` when nothing comes for 30 s."""
        bounds = await self.bounds(topic, partition)
        position = bounds.earliest
        async with self._log.reader(topic, {partition: position}) as reader:
            while position < bounds.end:
                records = await reader.poll(_SILENT_S)
                if not records:
                    raise LogUnavailableError(
                        f"{topic.value}[{partition}]: nothing came for {_SILENT_S:.0f} s, at offset {position} of "
                        f"{bounds.end}. Are all brokers there?"
                    )
                position = records[-1].offset + 1
                for record in records:
                    if record.offset < bounds.end:
                        yield record


class OfFile:
    """An exported file."""

    def __init__(self, header: Header, records: Iterable[Record]) -> None:
        self.header = header
        self.partitions = header.partitions
        self._records: dict[tuple[Topic, int], list[Record]] = {}
        for record in records:
            self._records.setdefault((record.topic, record.partition), []).append(record)

    async def bounds(self, topic: Topic, partition: int) -> Bounds:
        """See `History`."""
        records = self._records.get((topic, partition))
        earliest = self.header.earliest.get(f"{topic.value}/{partition}", 0)
        return Bounds(earliest, records[-1].offset + 1 if records else earliest)

    async def read(self, topic: Topic, partition: int) -> AsyncGenerator[Record, None]:
        """See `History`."""
        for record in self._records.get((topic, partition), ()):
            yield record


@asynccontextmanager
async def opened_file(path: Path) -> AsyncIterator[History]:
    """The history in a file, be it exported or a journal. Raises `SettingsError`, `LogUnavailableError`."""
    if _is_exported(path):
        yield read_file(path)
    else:
        with JournalHistory(path) as journal:
            yield OfJournal(journal)


def _is_exported(path: Path) -> bool:
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file; expected a journal or a file made by --export")
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def read_file(path: Path) -> OfFile:
    """An exported file. Raises `SettingsError` for anything else."""
    try:
        with gzip.open(path, "rb") as file:
            header = msgspec.json.decode(file.readline(), type=Header)
            if header.history != FORMAT:
                raise SettingsError(
                    f"{path} has format {header.history}, this version of Cordboard ({__version__}) reads {FORMAT}: "
                    f"replay it with {header.cordboard}"
                )
            decode = msgspec.json.Decoder(Line).decode
            return OfFile(header, [_record(decode(line)) for line in file])
    except (OSError, EOFError, msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(f"{path} is no history: expected a file made by --export ({error})") from error


def write_file(path: Path, header: Header, records: Iterable[Record]) -> int:
    """Write an exported file, the same bytes for the same records; gives how many there were."""
    lines = [msgspec.json.encode(_line(record)) for record in records]
    content = b"\n".join([msgspec.json.encode(header), *lines]) + b"\n"
    path.write_bytes(gzip.compress(content, 9, mtime=0))
    return len(lines)


async def export(history: History, path: Path, keys: Sequence[bytes], name: str = "") -> int:
    """Write what a history holds about the calls with these keys (all, without keys) into a file."""
    records: list[Record] = []
    earliest: dict[str, int] = {}
    for topic in READ:
        for partition in range(history.partitions):
            oldest = (await history.bounds(topic, partition)).earliest
            if oldest:
                earliest[f"{topic.value}/{partition}"] = oldest
            records += [
                record async for record in history.read(topic, partition) if not keys or _concerns(record, keys)
            ]
    header = Header(FORMAT, __version__, DEFINITION, history.partitions, name, earliest)
    return write_file(path, header, records)


def _concerns(record: Record, keys: Sequence[bytes]) -> bool:
    """Whether a record is about these calls, or says how far the partition is without a word about others."""
    if record.key != STATE_POSITION_KEY:
        return record.key in keys
    return not msgspec.json.decode(record.value or b"{}", type=_Said).outbox


def _line(record: Record) -> Line:
    text = coded = None
    if record.value is not None:
        try:
            text = record.value.decode()
        except UnicodeDecodeError:
            coded = base64.b64encode(record.value).decode()
    key = (record.key or b"").decode(errors="surrogateescape")
    return Line(record.topic, record.partition, record.offset, record.timestamp_ms, key, text, coded, record.headers)


def _record(line: Line) -> Record:
    value = None
    if line.text is not None:
        value = line.text.encode()
    elif line.base64 is not None:
        value = base64.b64decode(line.base64)
    key = line.key.encode(errors="surrogateescape")
    return Record(line.topic, line.partition, line.offset, line.at, key, value, line.headers)
