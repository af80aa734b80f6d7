"""A simulated process, which can be frozen and killed: a context for tasks and timers, and its view of the log.

What a process does to the outside goes through here, so that one that is dead does nothing any more, whatever its
`finally` blocks try. The broker's own work (rebalances) runs outside every process.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any, Self, TypeVar

from cordboard.log.local_reading import LocalReader, LocalSubscription
from cordboard.log.memory import MemoryFenced, MemoryLog
from cordboard.log.port import AssignmentListener, Bounds, Entry, FencedPartition, Log, Member, Record, TopicCheck
from schemas.topics import Topic
from simulation.loop import CURRENT, KilledError, SimLoop

T = TypeVar("T")


class Process:
    """One incarnation of a node."""

    def __init__(self, loop: SimLoop, name: str) -> None:
        self.name = name
        self.paused = False
        self.dead = False
        self.stopping = False
        self.parked: list[asyncio.Handle] = []
        self.subscriptions: list[SimSubscription] = []
        self.freezes = 0
        """How often it has stood still: what it had begun may come late."""
        self.context: Context = copy_context()
        self.context.run(CURRENT.set, self)
        self._loop = loop

    def spawn(self, coroutine: Any, name: str = "") -> asyncio.Task[Any]:
        """Run a coroutine as this process."""
        return self._loop.create_task(coroutine, name=name, context=self.context.copy())

    def stop(self) -> None:
        """It has been told to stop: its polls return."""
        self.stopping = True
        for subscription in self.subscriptions:
            subscription.hurry()

    def kill(self) -> None:
        """Die at once, as by SIGKILL: nothing that it was doing has any further effect."""
        self.dead = True
        for owner, task in list(self._loop.tasks.values()):
            if owner is self:
                task.cancel()
        if self.paused:
            self._loop.resume(self)

    def require_alive(self) -> None:
        """Raise `KilledError` for a dead one: nothing leaves it."""
        if self.dead:
            raise KilledError


async def outside(loop: SimLoop, work: Awaitable[T]) -> T:
    """Let the broker do something: it goes on even if the process that has asked for it dies."""
    context = copy_context()
    context.run(CURRENT.set, None)
    task = loop.create_task(_awaited(work), context=context)
    result: T = await asyncio.shield(task)
    return result


async def _awaited(work: Awaitable[T]) -> T:
    return await work


class ProcessLog(Log):
    """The log as one process sees it."""

    def __init__(self, log: MemoryLog, process: Process, loop: SimLoop, assigned: Counter[tuple[Topic, int]]) -> None:
        self._assigned = assigned
        self._log = log
        self._process = process
        self._loop = loop

    @property
    def partitions(self) -> int:
        """See `Log`."""
        return self._log.partitions

    @property
    def fails_as_one(self) -> bool:
        """See `Log`."""
        return self._log.fails_as_one

    async def ensure_topics(self) -> Sequence[TopicCheck]:
        """See `Log`."""
        return await self._log.ensure_topics()

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """See `Log`."""
        self._process.require_alive()
        await self._log.publish(topic, entries)

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """See `Log`."""
        self._process.require_alive()
        return await self._log.bounds(topic)

    def reader(self, topic: Topic, starts: Mapping[int, int]) -> LocalReader:
        """See `Log`."""
        return self._log.reader(topic, starts)

    def subscribe(
        self, group: str, topic: Topic, listener: AssignmentListener
    ) -> "AbstractAsyncContextManager[SimSubscription]":
        """See `Log`."""
        guarded = _Listener(listener, self._process, lambda partition: self._assigned.update([(topic, partition)]))
        subscription = SimSubscription(
            self._log.subscribe(group, topic, guarded), self._process, self._loop, (self._log, group, topic)
        )
        self._process.subscriptions.append(subscription)
        return subscription

    async def claim(self, topic: Topic, partition: int, owner: str, member: Member | None = None) -> FencedPartition:
        """See `Log`."""
        self._process.require_alive()
        return _Fenced(await self._log.claim(topic, partition, owner, member), self._process)

    async def check(self) -> str | None:
        """See `Log`."""
        return await self._log.check()

    async def aclose(self) -> None:
        """See `Log`."""


class _Fenced(FencedPartition):
    def __init__(self, inner: MemoryFenced, process: Process) -> None:
        self._inner = inner
        self._process = process

    @property
    def token(self) -> int:
        return self._inner.token

    async def replay(self) -> AsyncIterator[Sequence[Record]]:
        async for records in self._inner.replay():
            self._process.require_alive()
            yield records

    async def append(self, entries: Sequence[Entry]) -> None:
        self._process.require_alive()
        await self._inner.append(entries)

    async def close(self) -> None:
        await self._inner.close()


class _Listener(AssignmentListener):
    """Tells a process of its assignments in its own context: for a frozen one the group waits, as long as it ever does.

    A dead one hears nothing.
    """

    def __init__(self, inner: AssignmentListener, process: Process, count: Callable[[int], None]) -> None:
        self._inner = inner
        self._process = process
        self._count = count
        self._turn = asyncio.Lock()

    async def on_revoked(self, partitions: Sequence[int]) -> None:
        await self._tell(self._inner.on_revoked(partitions))

    async def on_assigned(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._count(partition)
        await self._tell(self._inner.on_assigned(partitions))

    async def _tell(self, call: Any) -> None:
        if self._process.dead:
            call.close()
            return
        task = self._process.spawn(self._in_turn(call))
        await asyncio.wait({task})
        if not task.cancelled() and isinstance(task.exception(), Exception):
            task.result()

    async def _in_turn(self, call: Any) -> None:
        """One at a time, as a client calls its listener, also when it has slept through several."""
        async with self._turn:
            await call


class SimSubscription:
    """A group member of a process. Joining and leaving are the broker's; a dead process leaves nothing."""

    def __init__(
        self, inner: LocalSubscription, process: Process, loop: SimLoop, where: tuple[MemoryLog, str, Topic]
    ) -> None:
        self.inner = inner
        self._process = process
        self._loop = loop
        self._polling: asyncio.Task[Any] | None = None
        self._hurried = False
        self._rejoining: asyncio.Task[Any] | None = None
        log, group, topic = where
        self.group = log.group(group, topic)

    async def __aenter__(self) -> Self:
        self._process.require_alive()
        await outside(self._loop, self.inner.__aenter__())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._process.dead:
            await outside(self._loop, self.inner.__aexit__(None, None, None))

    async def poll(self, timeout_s: float, max_records: int = 500) -> Mapping[int, Sequence[Record]]:
        """See `Subscription`."""
        self._process.require_alive()
        if self._process.stopping:
            await asyncio.sleep(0)
            return {}
        self._polling = asyncio.current_task()
        try:
            return await self.inner.poll(timeout_s, max_records)
        except asyncio.CancelledError:
            if not self._hurried or self._process.dead or self._polling is None:
                raise
            self._polling.uncancel()
            return {}
        finally:
            self._polling = None

    def hurry(self) -> None:
        """Polls are so long that time costs nothing; who is told to stop must not wait for one."""
        if self._polling is not None:
            self._hurried = True
            self._polling.cancel()

    def seek(self, partition: int, offset: int) -> None:
        """See `Subscription`."""
        self.inner.seek(partition, offset)

    def pause(self, partitions: Sequence[int]) -> None:
        """See `Subscription`."""
        self.inner.pause(partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        """See `Subscription`."""
        self.inner.resume(partitions)

    async def committed(self, partition: int) -> int | None:
        """See `Subscription`."""
        return await self.inner.committed(partition)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """See `Subscription`."""
        self._process.require_alive()
        await self.inner.commit(offsets)

    def may_claim(self, partition: int) -> bool:
        """See `Subscription`."""
        return self.inner.may_claim(partition)

    def member(self) -> Member:
        """See `Subscription`."""
        return self.inner.member()

    def rejoin(self) -> None:
        """See `Subscription`."""
        self._rejoining = self._loop.create_task(outside(self._loop, self.group.rejoin(self.inner.membership)))

    async def evict(self) -> None:
        """The group gives the partitions away, if this is a member of it when its turn comes: it may be joining."""
        with contextlib.suppress(ValueError):  # it is none
            await self.group.evict(self.inner.membership)
