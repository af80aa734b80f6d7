"""Publishing to Kafka: what hundreds of coroutines publish in one loop turn goes out as one batch a partition.

A lane for each partition sends one batch at a time; while it is on its way the next one gathers (decision 023). What
was acknowledged is told to whoever in this process follows the topic (decision 025). Fenced appends are
`kafka_fenced.py`'s.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec
import structlog

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.kafka_client import explained, topic_name
from cordboard.log.kafka_producer import SharedProducer
from cordboard.log.kafka_records import Batch, new_batch
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import Entry, Record
from cordboard.log.room import Room
from schemas.topics import Topic

_MAX_WAITING = 20_000

_log = structlog.get_logger(__name__)

Follower = Callable[[int, Sequence[Record]], None]
"""Told of what this process has written to a partition, as it stands in the log."""


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


class _Flight(msgspec.Struct, eq=False):
    """A batch on its way. `calls` has one for each entry; `entries` are those that are in the batch."""

    deadline: float
    at_ms: int = 0
    calls: list[_Call] = []
    entries: list[Entry] = []


class _Lane:
    """What waits for one partition, and what is on its way there."""

    __slots__ = ("doing", "flight", "name", "partition", "queued", "topic", "waiting")

    def __init__(self, topic: Topic, name: str, partition: int) -> None:
        self.topic = topic
        self.name = name
        self.partition = partition
        self.doing = f"{name}[{partition}]"
        self.waiting: deque[tuple[Entry, _Call]] = deque()
        self.flight: _Flight | None = None
        self.queued = False

    def load(self, flight: _Flight, batch: Batch) -> None:
        """Move as many entries as fit into a batch; leave out those nobody waits for any more."""
        while self.waiting:
            entry, call = self.waiting[0]
            if not call.future.done():
                if not batch.append(entry, flight.at_ms):
                    return
                flight.entries.append(entry)
            self.waiting.popleft()
            flight.calls.append(call)

    def calls(self) -> Iterator[_Call]:
        """Those that are on their way or wait."""
        yield from self.flight.calls if self.flight is not None else ()
        yield from (call for _, call in self.waiting)

    def unload(self) -> list[_Call]:
        """Take out everything that waits."""
        calls = [call for _, call in self.waiting]
        self.waiting.clear()
        return calls

    def overdue(self, now: float) -> Iterator[_Call]:
        """Take out what has waited until its deadline."""
        while self.waiting and self.waiting[0][1].deadline <= now:
            yield self.waiting.popleft()[1]


class Publisher:
    """Publishes for the whole process. While Kafka is known to be away `publish` fails at once."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer = SharedProducer(settings, self._send_waiting, self._fail_waiting)
        self._lanes: dict[tuple[Topic, int], _Lane] = {}
        self._turn: list[_Lane] = []
        self._followers: dict[Topic, list[Follower]] = {}
        self._room = Room(_MAX_WAITING, "kafka")
        self._watching: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def producer(self) -> SharedProducer:
        """What everything leaves by."""
        return self._producer

    def publish(self, topic: Topic, entries: Sequence[Entry]) -> "asyncio.Future[None]":
        """Done when all in-sync replicas have it. Fails with `LogUnavailableError`, `RecordTooLargeError`."""
        self._require_open()
        if self._room.is_full:
            return asyncio.ensure_future(self._publish_later(topic, entries))
        self._room.take_now(len(entries))
        return self._put(topic, entries)

    async def _publish_later(self, topic: Topic, entries: Sequence[Entry]) -> None:
        await self._room.take(len(entries), self._settings.times.publish_s)
        await self._put(topic, entries)

    def _put(self, topic: Topic, entries: Sequence[Entry]) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        call = _Call(loop.create_future(), len(entries), loop.time() + self._settings.times.publish_s)
        if not entries:
            call.future.set_result(None)
            return call.future
        for entry in entries:
            lane = self._lane(topic, entry.partition)
            lane.waiting.append((entry, call))
            if lane.flight is None and not lane.queued:
                lane.queued = True
                if not self._turn:
                    loop.call_soon(self._end_turn)
                self._turn.append(lane)
        if self._watching is None:
            self._watching = loop.call_at(call.deadline, self._end_overdue)
        return call.future

    def follow(self, topic: Topic, follower: Follower) -> None:
        """Tell `follower` of every batch that this process has published to `topic`, in the order of its partition."""
        self._followers.setdefault(topic, []).append(follower)

    def unfollow(self, topic: Topic, follower: Follower) -> None:
        """Tell it nothing more."""
        self._followers[topic].remove(follower)

    def is_publishing(self, topic: Topic, partition: int, records: Sequence[Record]) -> bool:
        """Whether all of these records, as they stand in the log, are of the batch that is on its way there."""
        lane = self._lanes.get((topic, partition))
        entries = lane.flight.entries if lane is not None and lane.flight is not None else ()
        return len(records) <= len(entries) and all(
            record.key == entry.key and record.value == entry.value
            for record, entry in zip(records, entries, strict=False)
        )

    async def close(self) -> None:
        """Send what waits, within bounds; fail the rest. Then let go of the connections."""
        if not self._closed:
            self._closed = True
            if pending := {call.future for lane in self._lanes.values() for call in lane.calls()}:
                await asyncio.wait(pending, timeout=self._settings.times.close_s)
            self._fail_waiting(LogUnavailableError("kafka: closed before it could be sent"))
        await self._producer.close()
        if self._watching is not None:
            self._watching.cancel()

    def _lane(self, topic: Topic, partition: int) -> _Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, topic_name(self._settings, topic), partition)
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
            if lane.waiting and lane.flight is None:
                self._send_next(lane)

    def _send_waiting(self) -> None:
        """Kafka is back: send what has gathered."""
        for lane in self._lanes.values():
            if lane.waiting and lane.flight is None:
                self._send_next(lane)

    def _send_next(self, lane: _Lane) -> None:
        sender = self._producer.sender
        if sender is None:
            self._producer.start()  # `_send_waiting` comes when there is one
            return
        flight = lane.flight = _Flight(lane.waiting[0][1].deadline)
        try:
            sending = sender.send(lane.name, lane.partition, partial(self._load, lane, flight))
        except Exception as error:  # noqa: BLE001 loud below; nobody may wait for this batch for ever
            self._note_fault(lane, flight)
            self._land(lane, flight, LogUnavailableError(f"{lane.doing}: broke off before it was sent: {error!r}"))
        else:
            sending.add_done_callback(partial(self._answered, lane, flight))

    def _load(self, lane: _Lane, flight: _Flight) -> bytes:
        """The batch as it leaves: with everything that was published until then."""
        if lane.flight is not flight:
            return b""  # nobody waits for this one any more
        flight.at_ms = time.time_ns() // 1_000_000
        try:
            batch = new_batch(self._settings, (entry for entry, _ in lane.waiting))
            lane.load(flight, batch)
            return batch.build() if batch.count else b""
        except Exception:
            self._note_fault(lane, flight)
            raise

    def _note_fault(self, lane: _Lane, flight: _Flight) -> None:
        """What waits goes down with the flight: whatever broke it would break the next one."""
        _log.exception("kafka.sending_broke_off", topic=lane.topic.value, partition=lane.partition)
        flight.calls.extend(lane.unload())

    def _answered(self, lane: _Lane, flight: _Flight, sending: "asyncio.Future[int]") -> None:
        try:
            with explained(lane.doing):
                offset = sending.result()
        except LogError as error:
            self._land(lane, flight, error)
            return
        self._land(lane, flight, None)
        if offset >= 0:
            self._tell(lane, flight, offset)

    def _tell(self, lane: _Lane, flight: _Flight, offset: int) -> None:
        followers = self._followers.get(lane.topic)
        if followers:
            records = [
                Record(lane.topic, lane.partition, offset + n, flight.at_ms, entry.key, entry.value, entry.headers)
                for n, entry in enumerate(flight.entries)
            ]
            for follower in followers:
                follower(lane.partition, records)

    def _land(self, lane: _Lane, flight: _Flight, error: LogError | None) -> None:
        """A batch has ended, or is waited for no longer."""
        if lane.flight is not flight:
            return
        if error is not None and not flight.calls and self._producer.sender is not None:
            flight.calls.extend(lane.unload())  # it was never sent: what waited for it has waited in vain
        lane.flight = None
        self._producer.note(error)
        self._end(flight.calls, error)
        if lane.waiting:
            self._send_next(lane)

    def _end(self, calls: Sequence[_Call], error: LogError | None) -> None:
        for call in calls:
            call.entry_done(error)
        self._room.leave(len(calls))

    def _end_overdue(self) -> None:
        """Nobody waits beyond the deadline: neither for a connection nor for an answer."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        left: list[float] = []
        for lane in self._lanes.values():
            late = LogUnavailableError(f"{lane.doing}: Kafka has not answered in time")
            self._end(list(lane.overdue(now)), late)
            if lane.flight is not None and lane.flight.deadline <= now:
                self._land(lane, lane.flight, late)
            left += [flight.deadline for flight in (lane.flight,) if flight is not None]
            left += [lane.waiting[0][1].deadline] if lane.waiting else []
        self._watching = loop.call_at(min(left), self._end_overdue) if left else None

    def _fail_waiting(self, error: LogError) -> None:
        """Whatever has not been sent is not going to be."""
        for lane in self._lanes.values():
            self._end(lane.unload(), error)
