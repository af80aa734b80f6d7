"""Follows every topic into files while the run lasts, past the links: compaction must not hide a version.

A file per topic and partition, each record as a length and msgpack. Whoever reads the log itself in the end sees what
compaction has left; the checker has to see everything that was ever accepted.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from cordboard.errors import LogUnavailableError
from cordboard.log.port import Log, Record
from schemas.topics import CLAIM_KEY, Topic

_POLL_S = 0.2
_AGAIN_S = 0.2
_MANY = 5_000
_LENGTH = 4

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class _Covering(msgspec.Struct):
    in_off: int


_covering = msgspec.json.Decoder(_Covering).decode
Listener = Callable[[Sequence[Record]], None]


class Recorder:
    """Writes down all that is accepted. `missed`: offsets that were not there any more, or never."""

    def __init__(self, log: Log, folder: Path) -> None:
        self._log = log
        self._folder = folder
        self.next: dict[tuple[Topic, int], int] = {}
        """Next offset to come."""
        self.missed: list[str] = []
        self.covered: dict[int, int] = defaultdict(int)
        """By partition, the next inbox offset that no state record covers."""
        self.calls: dict[bytes, bytes] = {}
        """The last state record of every call."""
        self.listeners: dict[Topic, list[Listener]] = defaultdict(list)
        self._files: dict[tuple[Topic, int], BinaryIO] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow all topics while the context lasts."""
        self._folder.mkdir(parents=True)
        tasks = [asyncio.create_task(self._follow(topic)) for topic in Topic]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for file in self._files.values():
                file.close()
            for task in tasks:
                if not task.cancelled():
                    task.result()

    async def caught_up(self) -> None:
        """Return when everything that is in the log now has been written down."""
        for topic in Topic:
            bounds = await self._log.bounds(topic)
            while any(self.next.get((topic, p), 0) < found.end for p, found in bounds.items()):
                await asyncio.sleep(_POLL_S / 4)

    def inbox_end(self, partition: int) -> int:
        """Next offset of the inbox to be read."""
        return self.next.get((Topic.INBOX, partition), 0)

    async def _follow(self, topic: Topic) -> None:
        starts = dict.fromkeys(range(self._log.partitions), 0)
        async with self._log.reader(topic, starts) as reader:
            while True:
                try:
                    records = await reader.poll(_POLL_S, _MANY)
                except LogUnavailableError:  # brokers are killed: the next poll goes on where this one was
                    await asyncio.sleep(_AGAIN_S)
                    continue
                if records:
                    self._take(topic, records)

    def _take(self, topic: Topic, records: Sequence[Record]) -> None:
        for record in records:
            expected = self.next.get((topic, record.partition), 0)
            if record.offset != expected:
                self.missed.append(f"{topic.value}[{record.partition}]: {record.offset} came after {expected - 1}")
            self.next[topic, record.partition] = record.offset + 1
            write_record(self._file(topic, record.partition), record)
            if topic is Topic.STATE:
                self._take_state(record)
        for listener in self.listeners[topic]:
            listener(records)

    def _take_state(self, record: Record) -> None:
        if record.key is None or record.key == CLAIM_KEY:
            return
        if record.value is None:
            self.calls.pop(record.key, None)
            return
        self.covered[record.partition] = max(self.covered[record.partition], _covering(record.value).in_off + 1)
        if not record.key.startswith(b"~"):
            self.calls[record.key] = record.value

    def _file(self, topic: Topic, partition: int) -> BinaryIO:
        found = self._files.get((topic, partition))
        if found is None:
            found = self._files[topic, partition] = records_file(self._folder, topic, partition).open("wb")
        return found


def records_file(folder: Path, topic: Topic, partition: int) -> Path:
    """Where the records of a partition are."""
    return folder / f"{topic.value}-{partition}.records"


def write_record(file: BinaryIO, record: Record) -> None:
    """Add a record to a file."""
    packed = _encode(record)
    file.write(len(packed).to_bytes(_LENGTH, "big") + packed)


def read_records(folder: Path, topic: Topic, partition: int) -> list[Record]:
    """Everything that was written down of a partition."""
    path = records_file(folder, topic, partition)
    if not path.exists():
        return []
    data = memoryview(path.read_bytes())
    records = []
    at = 0
    while at < len(data):
        end = at + _LENGTH + int.from_bytes(data[at : at + _LENGTH], "big")
        records.append(_decode(data[at + _LENGTH : end]))
        at = end
    return records
