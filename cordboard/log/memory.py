"""The log in memory: a real one, with groups, claims and offsets, that lasts as long as its object.

For simulations and tests, which script its faults (`faults.py`) and own its time. It keeps everything: nothing is
compacted or expires unless a test says `truncate`. What has to survive a process belongs in `sqlite.py` or `kafka.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from cordboard.errors import AppendFailedError, FencedError, LogError, LogUnavailableError
from cordboard.log.claims import StandDowns, claim_entry, require_appended, require_published
from cordboard.log.faults import Fault, Faults, Operation, Point
from cordboard.log.local_groups import LocalGroup
from cordboard.log.local_reading import LocalReader, LocalSubscription
from cordboard.log.port import AssignmentListener, Bounds, Entry, Member, Record, TopicCheck
from schemas.topics import Topic

_REPLAY_BATCH = 500


class _Partition:
    """The records of one partition from offset `base` on, and the token of its owner."""

    def __init__(self) -> None:
        self.base = 0
        self.records: list[Record] = []
        self.token = -1
        self.stalled_at: int | None = None

    @property
    def end(self) -> int:
        return self.base + len(self.records)


class MemoryLog:
    """`Log` in memory. `clock` gives the records' time in milliseconds; without one it counts records.

    `eager` makes every rebalance revoke everything, as Kafka's does.
    """

    def __init__(self, partitions: int = 8, *, clock: Callable[[], int] | None = None, eager: bool = False) -> None:
        self.faults = Faults()
        self.unavailable: str | None = None
        """Set to a reason, nothing can be written and `check` says so."""
        self._partitions = partitions
        self._clock = clock
        self._eager = eager
        self._written = 0
        self._data = {topic: [_Partition() for _ in range(partitions)] for topic in Topic}
        self._groups: dict[tuple[str, Topic], LocalGroup] = {}
        self._committed: dict[tuple[str, Topic, int], int] = {}
        self._watchers: dict[Topic, dict[asyncio.Event, None]] = {topic: {} for topic in Topic}  # woken in order
        self.stand_downs = StandDowns()

    @property
    def partitions(self) -> int:
        """See `Log`."""
        return self._partitions

    @property
    def fails_as_one(self) -> bool:
        """See `Log`."""
        return True

    async def ensure_topics(self) -> Sequence[TopicCheck]:
        """See `Log`. They are always there."""
        return [TopicCheck(topic=topic, state="ok") for topic in Topic]

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """See `Log`."""
        require_published(topic, entries, self._partitions)
        await self._write(Operation.PUBLISH, topic, entries, LogUnavailableError)

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """See `Log`."""
        return {p: Bounds(earliest=held.base, end=held.end) for p, held in enumerate(self._data[topic])}

    def reader(self, topic: Topic, starts: Mapping[int, int]) -> LocalReader:
        """See `Log`."""
        return LocalReader(self, topic, starts)

    def subscribe(self, group: str, topic: Topic, listener: AssignmentListener) -> LocalSubscription:
        """See `Log`."""
        return LocalSubscription(self, topic, self.group(group, topic), listener)

    async def claim(self, topic: Topic, partition: int, owner: str, member: Member | None = None) -> "MemoryFenced":
        """See `Log`."""
        entry = claim_entry(partition, owner, member, self._now())
        token = await self._write(Operation.CLAIM, topic, (entry,), LogUnavailableError)
        return MemoryFenced(self, topic, partition, token=token, member=member)

    async def check(self) -> str | None:
        """See `Log`."""
        fault = self.faults.strike(Operation.CHECK, None, frozenset())
        return self.unavailable or (f"scripted: {fault}" if fault else None)

    async def aclose(self) -> None:
        """See `Log`. Nothing to release."""

    def group(self, name: str, topic: Topic) -> LocalGroup:
        """The group of that name on a topic: tests evict its members and bring zombies back."""
        return self._groups.setdefault((name, topic), LocalGroup(name, self._partitions, eager=self._eager))

    def records(self, topic: Topic, partition: int) -> Sequence[Record]:
        """Everything in a partition, claims included: the checker's view."""
        return tuple(self._data[topic][partition].records)

    def truncate(self, topic: Topic, partition: int, before: int) -> None:
        """Delete the records below offset `before`, as retention would."""
        held = self._data[topic][partition]
        del held.records[: max(0, before - held.base)]
        held.base = max(held.base, before)

    def stall(self, topic: Topic, partition: int) -> None:
        """Readers get no record that is written to this partition from now on, until `release`; writing goes on."""
        held = self._data[topic][partition]
        held.stalled_at = held.end

    def release(self, topic: Topic, partition: int) -> None:
        """Undo `stall`."""
        self._data[topic][partition].stalled_at = None
        self._wake(topic)

    # LocalStore

    def bounds_of(self, topic: Topic, partition: int) -> Bounds:
        """See `LocalStore`. For readers, a stalled partition ends where it was stalled."""
        held = self._data[topic][partition]
        return Bounds(earliest=held.base, end=held.end if held.stalled_at is None else held.stalled_at)

    def read_hot(self, topic: Topic, partition: int, start: int, limit: int) -> Sequence[Record] | None:
        """See `LocalStore`."""
        held = self._data[topic][partition]
        first = max(0, start - held.base)
        last = self.bounds_of(topic, partition).end - held.base
        return held.records[first : min(first + limit, last)]

    async def read_cold(self, topic: Topic, partition: int, start: int, limit: int) -> Sequence[Record]:
        """See `LocalStore`."""
        return self.read_hot(topic, partition, start, limit) or ()

    def watch(self, topic: Topic, wake: asyncio.Event) -> None:
        """See `LocalStore`."""
        self._watchers[topic][wake] = None

    def unwatch(self, topic: Topic, wake: asyncio.Event) -> None:
        """See `LocalStore`."""
        self._watchers[topic].pop(wake, None)

    async def load_committed(self, group: str, topic: Topic, partition: int) -> int | None:
        """See `LocalStore`."""
        return self._committed.get((group, topic, partition))

    async def save_committed(self, group: str, topic: Topic, offsets: Mapping[int, int]) -> None:
        """See `LocalStore`."""
        if self.faults.strike(Operation.COMMIT, topic, frozenset(offsets)):
            raise LogUnavailableError(f"scripted: offsets of {group} were not committed")
        self._committed.update({(group, topic, p): offset for p, offset in offsets.items()})

    # Writing

    async def append(self, topic: Topic, entries: Sequence[Entry], token: int) -> None:
        """Append as the owner with that token. Use `claim(...).append`."""
        await self._write(Operation.APPEND, topic, entries, AppendFailedError, token=token)

    async def _write(
        self, on: Operation, topic: Topic, entries: Sequence[Entry], usual: type[LogError], token: int | None = None
    ) -> int:
        """Give the offset of the last record written: for a claim its token, whoever has claimed since."""
        last = -1
        await asyncio.sleep(0)  # as with any log, others run before the acknowledgement
        if self.unavailable:
            raise usual(f"{topic.value}: {self.unavailable}")
        fault = self.faults.strike(on, topic, frozenset(e.partition for e in entries))
        await self._at(on, Point.BEFORE, topic, entries)
        if fault is None or fault.written:
            for entry in entries:
                self._require_owner(topic, entry.partition, token)
                last = self._store(on, topic, entry)
            self._wake(topic)
        await self._at(on, Point.AFTER, topic, entries)
        if fault is not None:
            raise _scripted(fault, usual, topic)
        return last

    def _wake(self, topic: Topic) -> None:
        for wake in self._watchers[topic]:
            wake.set()

    async def _at(self, on: Operation, point: Point, topic: Topic, entries: Sequence[Entry]) -> None:
        if self.faults.hook is not None and entries:
            await self.faults.hook(on, point, topic, entries[0].partition)

    def _require_owner(self, topic: Topic, partition: int, token: int | None) -> None:
        now = self._data[topic][partition].token
        if token is not None and now != token:
            raise FencedError(f"{topic.value}[{partition}]: claimed by another owner (token {now}, ours is {token})")

    def _store(self, on: Operation, topic: Topic, entry: Entry) -> int:
        held = self._data[topic][entry.partition]
        if on is Operation.CLAIM:
            held.token = held.end
        copies = self.faults.take_copies(topic, entry.partition) if on is Operation.PUBLISH else 1
        for _ in range(copies):
            self._written += 1
            record = Record(topic, entry.partition, held.end, self._now(), entry.key, entry.value, entry.headers)
            held.records.append(record)
        return held.end - 1

    def _now(self) -> int:
        return self._written if self._clock is None else self._clock()


class MemoryFenced:
    """`FencedPartition` in memory."""

    def __init__(self, log: MemoryLog, topic: Topic, partition: int, *, token: int, member: Member | None) -> None:
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
        if self._log.faults.strike(Operation.REPLAY, self._topic, frozenset((self._partition,))):
            raise LogUnavailableError(f"scripted: {self._topic.value}[{self._partition}] cannot be read")
        before = [r for r in self._log.records(self._topic, self._partition) if r.offset < self._token]
        for start in range(0, len(before), _REPLAY_BATCH):
            await asyncio.sleep(0)
            batch = before[start : start + _REPLAY_BATCH]
            yield [r for r in batch if not self._log.stand_downs.is_claim(r, self._member)]

    async def append(self, entries: Sequence[Entry]) -> None:
        """See `FencedPartition`."""
        require_appended(self._topic, self._partition, entries)
        if self._dead is not None:
            raise self._dead
        try:
            await self._log.append(self._topic, entries, self._token)
        except AppendFailedError as error:
            self._dead = error
            raise
        except asyncio.CancelledError:
            self._dead = AppendFailedError(f"{self._topic.value}[{self._partition}]: an append was cancelled half-way")
            raise

    async def close(self) -> None:
        """See `FencedPartition`."""
        self._dead = self._dead or AppendFailedError(f"{self._topic.value}[{self._partition}]: the writer is closed")


def _scripted(fault: Fault, usual: type[LogError], topic: Topic) -> LogError:
    error = fault.error or usual
    how = "acknowledgement lost" if fault.written else "refused"
    return error(f"scripted: {fault.on.value} to {topic.value} {how}")
