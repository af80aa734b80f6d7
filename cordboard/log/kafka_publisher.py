"""Publishing to Kafka: what hundreds of coroutines publish in one loop turn goes out as one batch a partition.

A lane for each partition sends one batch at a time; while it is on its way the next one gathers. Batches are made by
hand, which costs a fraction of `send_and_wait` (reliability.md 1.5, T6). Fenced appends are `kafka_fenced.py`'s.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence

from aiokafka.producer.message_accumulator import BatchBuilder

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.kafka_client import explained, topic_name
from cordboard.log.kafka_producer import SharedProducer
from cordboard.log.kafka_records import fill, new_batch, send_batch
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import Entry
from cordboard.log.room import Room
from schemas.topics import Topic

_MAX_WAITING = 20_000


class _Call:
    """One `publish`: done when all its entries are, failed with the first of them that is."""

    __slots__ = ("deadline", "future", "left")

    def __init__(self, future: "asyncio.Future[None]", entries: int, deadline: float) -> None:
        self.future = future
        self.left = entries
        self.deadline = deadline

    def entry_done(self, error: LogError | None) -> None:
        self.left -= 1
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(type(error)(*error.args))
        elif not self.left:
            self.future.set_result(None)


class _Lane:
    """What waits for one partition."""

    __slots__ = ("name", "partition", "queued", "sending", "waiting")

    def __init__(self, name: str, partition: int) -> None:
        self.name = name
        self.partition = partition
        self.waiting: deque[tuple[Entry, _Call]] = deque()
        self.queued = False
        self.sending: asyncio.Task[None] | None = None


class Publisher:
    """Publishes for the whole process. While Kafka is known to be away `publish` fails at once."""

    def __init__(self, settings: KafkaSettings, producer: SharedProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._lanes: dict[tuple[Topic, int], _Lane] = {}
        self._turn: list[_Lane] = []
        self._room = Room(_MAX_WAITING, "kafka")
        self._closed = False

    async def publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """Write and wait for all in-sync replicas. Raises `LogUnavailableError`, `RecordTooLargeError`."""
        self._require_open()
        if not entries:
            return
        loop = asyncio.get_running_loop()
        limit_s = self._settings.times.publish_s
        await self._room.take(len(entries), limit_s)
        call = _Call(loop.create_future(), len(entries), loop.time() + limit_s)
        for entry in entries:
            lane = self._lane(topic, entry.partition)
            lane.waiting.append((entry, call))
            if lane.sending is None and not lane.queued:
                lane.queued = True
                if not self._turn:
                    loop.call_soon(self._end_turn)
                self._turn.append(lane)
        await call.future

    async def close(self) -> None:
        """Send what waits, within bounds; fail the rest."""
        if self._closed:
            return
        self._closed = True
        sending = {lane.sending for lane in self._lanes.values() if lane.sending is not None}
        if sending:
            _, late = await asyncio.wait(sending, timeout=self._settings.times.close_s)
            for task in late:
                task.cancel()
        self.fail_waiting(LogUnavailableError("kafka: closed before it could be sent"))

    def _lane(self, topic: Topic, partition: int) -> _Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic_name(self._settings, topic), partition)
        return lane

    def _require_open(self) -> None:
        if self._closed:
            raise LogUnavailableError("kafka: closed")
        if self._producer.trouble is not None:
            raise LogUnavailableError(self._producer.trouble)

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, []
        for lane in turn:
            lane.queued = False
            lane.sending = asyncio.create_task(self._send_all(lane))

    async def _send_all(self, lane: _Lane) -> None:
        try:
            while lane.waiting:
                await self._send_next(lane)
        finally:
            lane.sending = None

    async def _send_next(self, lane: _Lane) -> None:
        calls: list[_Call] = []
        deadline = lane.waiting[0][1].deadline
        doing = f"{lane.name}[{lane.partition}]"
        error: LogError | None = LogUnavailableError(f"{doing}: sending broke off before it was acknowledged")
        try:
            with explained(doing):
                async with asyncio.timeout_at(deadline):
                    producer = await self._producer.connected()
                    batch = new_batch(producer, (entry for entry, _ in lane.waiting))
                    calls.extend(_take(lane, batch))
                    await send_batch(producer, batch, lane.name, lane.partition)
            error = None
        except LogError as failed:
            error = failed
        finally:
            if error is not None and not calls:
                calls.extend(call for _, call in lane.waiting)
                lane.waiting.clear()
            for call in calls:
                call.entry_done(error)
            self._room.leave(len(calls))
        self._producer.note(error)

    def fail_waiting(self, error: LogError) -> None:
        """Whatever has not been sent is not going to be."""
        for lane in self._lanes.values():
            calls = [call for _, call in lane.waiting]
            lane.waiting.clear()
            for call in calls:
                call.entry_done(error)
            self._room.leave(len(calls))


def _take(lane: _Lane, batch: BatchBuilder) -> Iterator[_Call]:
    """Move as many entries as fit from a lane into a batch; leave out those nobody waits for any more."""
    at_ms = time.time_ns() // 1_000_000
    while lane.waiting:
        entry, call = lane.waiting[0]
        if not call.future.done() and not fill(batch, entry.key, entry.value, entry.headers, at_ms):
            return
        lane.waiting.popleft()
        yield call
