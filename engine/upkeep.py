"""What happens in a partition without a record: timers fall due, callbacks have waited enough, the position is kept.

All of it goes into the inbox like everything else that happens to a call, or into the state through the partition; no
state is changed here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from cordboard.clock import Clock
from cordboard.log.port import Entry
from engine.limits import EngineLimits
from engine.parking import Parked, Parking, released
from engine.publisher import Publisher, ReleasedError
from engine.timers import DueTimer, Timers
from schemas.codec import decode_inbox, encode
from schemas.ids import timer_record_id
from schemas.records import Command, TimerDue, Webhook
from schemas.topics import Topic

_AT_ONCE = 500


class Upkeep:
    """The one background task of a partition. `keep_position` is called at every look."""

    def __init__(
        self,
        timers: Timers,
        parking: Parking,
        publisher: Publisher,
        clock: Clock,
        keep_position: Callable[[], Awaitable[None]],
        partition: int,
        limits: EngineLimits,
    ) -> None:
        self._timers = timers
        self._parking = parking
        self._publisher = publisher
        self._clock = clock
        self._keep_position = keep_position
        self._partition = partition
        self._tick_s = limits.tick_s
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"engine-upkeep-{self._partition}")

    async def stop(self, *, at_once: bool) -> None:
        """End; `at_once` without waiting for what is being published. Safe to call before `start`."""
        self._stopping = True
        self._wake.set()
        task = self._task
        if task is None:
            return
        try:
            if not at_once:
                await asyncio.wait({task})
        finally:
            task.cancel()
        await asyncio.wait({task})

    async def failed(self) -> None:
        """Wait until the task fails, and raise why."""
        task = self._task
        if task is None:
            raise RuntimeError("the upkeep of a partition begins with its restore")
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    def wake(self) -> None:
        """Look again: something may be due earlier than was known."""
        self._wake.set()

    def hurry(self, begun: Iterable[str]) -> bool:
        """These calls have begun: what waits for them is due. True when there was any."""
        return self._parking.hurry(begun, self._clock())

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._publisher.publish(Topic.INBOX, self._due_records(self._clock()))
            except ReleasedError:
                return
            await self._keep_position()
            await self._wait()

    def _due_records(self, now_ms: int) -> list[Entry]:
        timers = self._timers.take_due(now_ms, _AT_ONCE)
        parked = self._parking.take_due(now_ms, _AT_ONCE)
        return [*(self._timer_record(t, now_ms) for t in timers), *(self._parked_record(p) for p in parked)]

    def _timer_record(self, timer: DueTimer, now_ms: int) -> Entry:
        record_id = timer_record_id(timer.call_id, timer.name, timer.due)
        record = TimerDue(id=record_id, call_id=timer.call_id, at=now_ms, name=timer.name, due=timer.due)
        return Entry(self._partition, timer.call_id.encode(), encode(record))

    def _parked_record(self, parked: Parked) -> Entry:
        record = decode_inbox(parked.raw)
        if not isinstance(record, (Webhook, Command)):
            raise TypeError(f"record {parked.record_id!r} is parked, and neither a callback nor a refused command")
        return Entry(self._partition, parked.call_id.encode(), encode(released(record)))

    async def _wait(self) -> None:
        looks = [at for at in (self._timers.next_at(), self._parking.next_at()) if at is not None]
        delay_s = self._tick_s
        if looks:
            delay_s = min(delay_s, max(0.0, (min(looks) - self._clock()) / 1000))
        if self._stopping:
            return
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            return
