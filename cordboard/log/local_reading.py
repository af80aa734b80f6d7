"""Reading a log that lives in this process: readers and group members of the journal and the in-memory log.

A `LocalStore` holds the records; this module keeps positions, pauses and waits. A read from disk is awaited, and what
has been sought, paused or revoked meanwhile is dropped, so that `poll` never gives a record of an old position.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.local_groups import LocalGroup, LocalMember
from cordboard.log.port import AssignmentListener, Bounds, Member, PositionLostError, Record
from schemas.topics import POLICIES, Topic


class LocalStore(Protocol):
    """Where the records of one process are."""

    def bounds_of(self, topic: Topic, partition: int) -> Bounds:
        """Earliest and end offset now."""
        ...

    def read_hot(self, topic: Topic, partition: int, start: int, limit: int) -> Sequence[Record] | None:
        """At most `limit` records from `start` on out of memory, None when they have to be read from disk."""
        ...

    async def read_cold(self, topic: Topic, partition: int, start: int, limit: int) -> Sequence[Record]:
        """The same from disk. Raises `LogUnavailableError`."""
        ...

    def watch(self, topic: Topic, wake: asyncio.Event) -> None:
        """Set `wake` at every new record of `topic`, until `unwatch`."""
        ...

    def unwatch(self, topic: Topic, wake: asyncio.Event) -> None:
        """Undo `watch`."""
        ...

    async def load_committed(self, group: str, topic: Topic, partition: int) -> int | None:
        """The next offset that a group has committed."""
        ...

    async def save_committed(self, group: str, topic: Topic, offsets: Mapping[int, int]) -> None:
        """Remember next offsets of a group."""
        ...


class Cursor:
    """Positions in the partitions of one topic, and the next records from there."""

    def __init__(self, store: LocalStore, topic: Topic) -> None:
        self.wake = asyncio.Event()
        self._store = store
        self._topic = topic
        self._positions: dict[int, int] = {}
        self._running: dict[int, None] = {}
        """Partitions that are read, in the order of their turns."""
        self._moves = 0

    def seek(self, partition: int, offset: int) -> None:
        """Read on from `offset`."""
        self._positions[partition] = offset
        self._moves += 1
        self.wake.set()

    def run(self, partitions: Iterable[int]) -> None:
        """Read these, from their positions."""
        self._running |= dict.fromkeys(partitions)
        self.wake.set()

    def halt(self, partitions: Iterable[int]) -> None:
        """Read these no more, for now."""
        for partition in partitions:
            self._running.pop(partition, None)
        self._moves += 1

    def forget(self, partitions: Iterable[int]) -> None:
        """Halt these and lose their positions."""
        for partition in partitions:
            self._running.pop(partition, None)
            self._positions.pop(partition, None)
        self._moves += 1

    def has_position(self, partition: int) -> bool:
        """Whether it has been sought."""
        return partition in self._positions

    async def next(self, timeout_s: float, max_records: int) -> dict[int, Sequence[Record]]:
        """What is there, waiting for the first record up to `timeout_s`."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            await asyncio.sleep(0)  # a reader that is never short of records must not starve everybody else
            self.wake.clear()
            batches = await self._collect(max_records)
            if batches:
                return batches
            try:
                async with asyncio.timeout_at(deadline):
                    await self.wake.wait()
            except TimeoutError:
                return {}

    async def _collect(self, max_records: int) -> dict[int, Sequence[Record]]:
        batches: dict[int, Sequence[Record]] = {}
        for partition in list(self._running):
            if max_records <= 0:
                break
            try:
                records = await self._read(partition, max_records)
            except PositionLostError:
                if batches:
                    break  # first what is there: this partition has the first turn of the next poll
                self.halt((partition,))
                raise
            if records:
                batches[partition] = records
                max_records -= len(records)
                self._running[partition] = self._running.pop(partition)  # its next turn comes last
        return batches

    async def _read(self, partition: int, limit: int) -> Sequence[Record]:
        position = self._positions.get(partition)
        if position is None or partition not in self._running:
            return ()
        bounds = self._store.bounds_of(self._topic, partition)
        if position == bounds.end:
            return ()
        self._require_inside(partition, position, bounds)
        records = self._store.read_hot(self._topic, partition, position, limit)
        if records is None:
            moves = self._moves
            records = await self._store.read_cold(self._topic, partition, position, limit)
            if moves != self._moves:
                return ()
        self._positions[partition] = records[-1].offset + 1 if records else bounds.end
        return records

    def _require_inside(self, partition: int, position: int, bounds: Bounds) -> None:
        deleted = position < bounds.earliest and "compact" not in POLICIES[self._topic].settings["cleanup.policy"]
        if deleted or position > bounds.end:
            raise PositionLostError(self._topic, partition, position, f"it holds {bounds.earliest} to {bounds.end}")


class LocalReader:
    """`Reader` and its context: chosen partitions, no group."""

    def __init__(self, store: LocalStore, topic: Topic, starts: Mapping[int, int]) -> None:
        self._store = store
        self._topic = topic
        self._cursor = Cursor(store, topic)
        for partition, start in starts.items():
            self._cursor.seek(partition, max(start, store.bounds_of(topic, partition).earliest))
        self._cursor.run(starts)

    async def poll(self, timeout_s: float, max_records: int = 500) -> Sequence[Record]:
        """See `Reader`."""
        batches = await self._cursor.next(timeout_s, max_records)
        return [record for batch in batches.values() for record in batch]

    async def __aenter__(self) -> Self:
        self._store.watch(self._topic, self._cursor.wake)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.unwatch(self._topic, self._cursor.wake)


class LocalSubscription:
    """`Subscription` and its context: one member of a group in this process."""

    def __init__(self, store: LocalStore, topic: Topic, group: LocalGroup, listener: AssignmentListener) -> None:
        self.membership: LocalMember = group.new_member(listener)
        self.membership.on_change = self._changed
        self._store = store
        self._topic = topic
        self._group = group
        self._cursor = Cursor(store, topic)
        self._rejoining: asyncio.Task[None] | None = None

    async def poll(self, timeout_s: float, max_records: int = 500) -> Mapping[int, Sequence[Record]]:
        """See `Subscription`."""
        return await self._cursor.next(timeout_s, max_records)

    def seek(self, partition: int, offset: int) -> None:
        """See `Subscription`."""
        if partition in self.membership.held:
            self._cursor.seek(partition, offset)

    def pause(self, partitions: Sequence[int]) -> None:
        """See `Subscription`."""
        self._cursor.halt(partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        """See `Subscription`."""
        held = [p for p in partitions if p in self.membership.held]
        require_sought(self._topic, [p for p in held if not self._cursor.has_position(p)])
        self._cursor.run(held)

    async def committed(self, partition: int) -> int | None:
        """See `Subscription`."""
        return await self._store.load_committed(self._group.name, self._topic, partition)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """See `Subscription`."""
        if not self.membership.alive:
            raise LogUnavailableError(f"{self.membership.member_id} is no longer in its group: nothing committed")
        await self._store.save_committed(self._group.name, self._topic, offsets)

    def may_claim(self, partition: int) -> bool:
        """See `Subscription`."""
        return self.membership.alive and partition in self.membership.held

    def member(self) -> Member:
        """See `Subscription`."""
        return self.membership.describe()

    def rejoin(self) -> None:
        """See `Subscription`."""
        if self._rejoining is None or self._rejoining.done():
            self._rejoining = asyncio.create_task(self._group.rejoin(self.membership))

    def _changed(self, lost: Iterable[int], gained: Iterable[int]) -> None:
        self._cursor.forget(lost)
        self._cursor.forget(gained)

    async def __aenter__(self) -> Self:
        self._store.watch(self._topic, self._cursor.wake)
        await self._group.join(self.membership)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rejoining is not None:
            await self._rejoining
        await self._group.leave(self.membership)
        self._store.unwatch(self._topic, self._cursor.wake)


def require_sought(topic: Topic, partitions: Sequence[int]) -> None:
    """Refuse to read a partition from nowhere in particular (T11)."""
    if partitions:
        raise LogError(f"{topic.value}{list(partitions)}: seek before resume; there is no default position")
