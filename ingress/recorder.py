"""Makes records durable before Twilio gets its answer (reliability.md 4.1).

A local spool for the time when the log is away would slip in here: `record` would append to it instead of raising, and
nobody else would notice.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import lru_cache

from cordboard import metrics
from cordboard.errors import LogError
from cordboard.log.port import Entry, Log
from ingress.patience import Patience
from schemas.codec import encode
from schemas.records import Command, Webhook
from schemas.topics import Topic, partition_of

_KNOWN_CALLS = 16_384
_HOLD_S = 0.05
"""How long a record waits for the one before it: a slow log must not eat up the time in which Twilio is answered."""


class NotDurableError(LogError):
    """The log did not acknowledge in time. The record may be in it all the same; its id makes a repeat harmless."""


Done = Callable[[NotDurableError | None], None]
_Gathered = list[tuple[Entry, Done]]


class _Lane:
    """What is to be published next, by one call."""

    __slots__ = ("gathered", "is_sending")

    def __init__(self) -> None:
        self.gathered: _Gathered = []
        self.is_sending = False

    def take(self) -> _Gathered:
        gathered, self.gathered = self.gathered, []
        return gathered


class Recorder:
    """Publishes and waits for the acknowledgement, `ack_timeout_s` at most."""

    def __init__(self, log: Log, ack_timeout_s: float) -> None:
        self._log = log
        self._partition_of = lru_cache(_KNOWN_CALLS)(lambda key: partition_of(key, log.partitions))
        self._ack_timeout_s = ack_timeout_s
        self._patience = Patience(ack_timeout_s)
        self._gathers = log.fails_as_one
        self._lanes = [_Lane() for _ in range(1 if self._gathers else log.partitions)]
        self._turn: list[_Lane] = []
        self._release: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, record: Webhook | Command) -> None:
        """Durable in the call's inbox when it returns. Raises `NotDurableError`."""
        key = record.call_id.encode()
        await self._publish(Topic.INBOX, [Entry(self._partition_of(key), key, encode(record))])

    def record_soon(self, record: Webhook | Command, done: Done) -> None:
        """As `record`, for who does not wait: `done` is called once, later, with None or with what went wrong.

        What comes in one turn of the loop is published by one call: a task, a wait and a future for all of it. In a log
        of one writer so is what comes while that is busy, held for `_HOLD_S` or so at most: its transactions get fewer.
        Where partitions fail one by one each has a lane of its own (one that has no leader must not fail the others),
        and the log gathers by itself.
        """
        key = record.call_id.encode()
        partition = self._partition_of(key)
        lane = self._lanes[0 if self._gathers else partition]
        lane.gathered.append((Entry(partition, key, encode(record)), done))
        if len(lane.gathered) > 1:
            return
        loop = asyncio.get_running_loop()
        if lane.is_sending:
            self._release_later(loop)
        else:
            if not self._turn:
                loop.call_soon(self._end_turn)
            self._turn.append(lane)

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, []
        for lane in turn:
            self._start(self._send_all(lane) if self._gathers else self._publish_all(lane.take()))

    def _release_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._release is None:
            self._release = loop.call_later(_HOLD_S, self._release_held)

    def _release_held(self) -> None:
        self._release = None
        for lane in self._lanes:
            if lane.gathered:
                self._start(self._publish_all(lane.take()))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself would let it be collected
        task.add_done_callback(self._tasks.discard)

    async def _send_all(self, lane: _Lane) -> None:
        lane.is_sending = True
        try:
            while lane.gathered:
                await self._publish_all(lane.take())
        finally:
            lane.is_sending = False

    async def _publish_all(self, gathered: _Gathered) -> None:
        error: NotDurableError | None = NotDurableError("given up before it was acknowledged")
        try:
            await self._publish(Topic.INBOX, [entry for entry, _ in gathered])
            error = None
        except NotDurableError as failed:
            error = failed
        finally:
            for _, done in gathered:
                done(error)

    async def set_aside(self, key: str, value: bytes, reason: str, headers: Mapping[str, str]) -> None:
        """Durable among the dead letters, with the bytes as they came. Raises `NotDurableError`."""
        raw_key = key.encode("utf-8", "replace")
        every = {"reason": reason, **headers}
        encoded = tuple((name, text.encode("utf-8", "replace")) for name, text in every.items())
        await self._publish(Topic.DEAD_LETTERS, [Entry(self._partition_of(raw_key), raw_key, value, encoded)])
        metrics.DEAD_LETTERS.labels(reason).inc()

    async def _publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        try:
            with self._patience.wait():
                await self._log.publish(topic, entries)
        except TimeoutError as error:
            raise NotDurableError(f"{topic.value}: no acknowledgement within {self._ack_timeout_s} s") from error
        except LogError as error:
            raise NotDurableError(str(error)) from error
