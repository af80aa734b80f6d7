"""What the journal has acknowledged over all rounds, and the check that all of it is there after a restart."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cordboard.log.port import Record
from cordboard.log.sqlite import SqliteLog
from journal_fire.child import (
    DAYS_A_ROUND,
    GROUP,
    PARTITIONS,
    Acknowledged,
    Appended,
    Committed,
    Published,
    now_of,
    value_of,
)
from schemas.topics import CLAIM_KEY, POLICIES, Topic

_KEPT_DAYS = int(POLICIES[Topic.INBOX].settings["retention.ms"]) // 86_400_000
_ROUNDS_KEPT = _KEPT_DAYS // DAYS_A_ROUND


class Ledger:
    """Acknowledgements of one journal. `lost` collects what a check finds wrong, in words."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.acknowledged = 0
        self._published: dict[int, list[tuple[int, tuple[bytes, ...]]]] = {p: [] for p in range(PARTITIONS)}
        self._states: dict[bytes, bytes] = {}
        self._token = -1
        self._committed = dict.fromkeys(range(PARTITIONS), -1)

    def note(self, number: int, what: Acknowledged) -> None:
        """Something was acknowledged in round `number`."""
        self.acknowledged += 1
        match what:
            case Published(partition=partition, names=names):
                self._published[partition].append((number, names))
            case Appended(token=token, key=key, name=name):
                self._states[key] = name
                self._token = max(self._token, token)
            case Committed(partition=partition, offset=offset):
                self._committed[partition] = max(self._committed[partition], offset)

    async def check(self, number: int) -> list[str]:
        """Open the journal as after a restart, read everything back, and say what is wrong."""
        log = SqliteLog(self.path, PARTITIONS, clock=lambda: now_of(number))
        try:
            wrong = [problem for p in range(PARTITIONS) for problem in await self._check_inbox(log, p, number)]
            wrong += await self._check_state(log)
        finally:
            await log.aclose()
        return wrong + self._check_file()

    async def _check_inbox(self, log: SqliteLog, partition: int, number: int) -> list[str]:
        bounds = log.bounds_of(Topic.INBOX, partition)
        records = await log.read_range(Topic.INBOX, partition, (0, bounds.end), 1_000_000)
        found = [record.value or b"" for record in records]
        committed = await log.load_committed(GROUP, Topic.INBOX, partition)
        position = -1 if committed is None else committed
        wrong = [f"{_name(value)} twice" for value, n in Counter(found).items() if n > 1]
        if [record.offset for record in records] != list(range(bounds.earliest, bounds.end)):
            wrong.append("offsets have a gap or a fork")
        if position < self._committed[partition]:
            wrong.append(f"the group was at {self._committed[partition]}, is at {committed}")
        if bounds.earliest > max(position, 0):
            wrong.append(f"deleted to {bounds.earliest} what the group at {committed} has to read")
        wrong += self._check_published(partition, {value: place for place, value in enumerate(found)}, number)
        return [f"partition {partition}: {problem}" for problem in wrong]

    def _check_published(self, partition: int, places: dict[bytes, int], number: int) -> Iterator[str]:
        """Everything that was published together lies together, in the order of its publisher."""
        last: dict[tuple[int, bytes], int] = {}
        for when, names in self._published[partition]:
            here = [places[value] for value in map(value_of, names) if value in places]
            if len(here) < len(names):
                if when > number - _ROUNDS_KEPT:  # younger than the topic keeps
                    yield f"{names[0].decode()} is lost"
                continue
            publisher = when, names[0].split(b".")[1]
            if here != list(range(here[0], here[0] + len(here))) or here[0] <= last.get(publisher, -1):
                yield f"{names[0].decode()} is out of order"
            last[publisher] = here[-1]

    async def _check_state(self, log: SqliteLog) -> list[str]:
        fenced = await log.claim(Topic.STATE, 0, "checker")
        wrong = [] if fenced.token > self._token else [f"token {fenced.token} after {self._token}"]
        self._token = fenced.token
        newest: dict[bytes, Record] = {}
        async for batch in fenced.replay():
            newest.update({record.key or b"": record for record in batch})
        for key, name in self._states.items():
            there = newest[key].value if key in newest else None
            if there is None or _age(there) < _age(name):
                wrong.append(f"{key.decode()} was {name.decode()}, is {there and _name(there)}")
        return wrong + (["a claim among the records"] if CLAIM_KEY in newest else [])

    def _check_file(self) -> list[str]:
        connection = sqlite3.connect(self.path)
        try:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        finally:
            connection.close()
        return [] if said == ["ok"] else said


def _name(value: bytes) -> str:
    return value[: value.rfind(b".")].decode()


def _age(value: bytes) -> tuple[int, int]:
    """Round and number of a value: a later one may have been written without a word."""
    number, _, count = value.split(b".")[:3]
    return int(number), int(count)
