"""Makes records durable before Twilio is answered: in the log, or in the spool while that is away (reliability.md 4.1).

As long as the log takes everything, all that the spool costs is one look at `lane.detour` for each call of the log.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import structlog

from cordboard import metrics
from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.port import Entry, Log
from ingress.detour import Detour
from ingress.lane import Done, Gathered, Lane, NotDurableError
from ingress.patience import Patience, Watch
from ingress.spool import DEAD_LETTERS_LANE, Spool, Spooled
from schemas.codec import encode
from schemas.records import Command, Webhook
from schemas.topics import partition_of

_KNOWN_CALLS = 16_384
_HOLD_S = 0.05
"""How long a record waits for the one before it: a slow log must not eat up the time in which Twilio is answered."""
_BUSY = 8
"""After a write of so many it is waited a moment for as many again: one transaction costs less than two of half."""

_SPOOL_S = 0.8
"""How long the spool's disk may take. After 3 s of waiting for the log Twilio still gets its answer within its 4 s."""

_CLOSING_S = 1.0
"""How long a new record waits for the last of the spool to be in the log."""

_log = structlog.get_logger(__name__)


def lanes_of(log: Log) -> int:
    """How many lanes the inbox has: what fails as one is one."""
    return 1 if log.fails_as_one else log.partitions


def lane_of(key: bytes, lanes: int) -> int:
    """The lane of a call's records."""
    return 0 if lanes == 1 else partition_of(key, lanes)


class Recorder:
    """Publishes and waits for the acknowledgement, `ack_timeout_s` at most; what does not get one goes to `spool`.

    To be made inside the running loop: what a former process has left in the spool is on its way at once.
    """

    def __init__(self, log: Log, ack_timeout_s: float, spool: Spool | None = None) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with the error when draining the spool has failed by a fault of ours."""
        self._log = log
        self._spool = spool
        self._partition_of = lru_cache(_KNOWN_CALLS)(lambda key: partition_of(key, log.partitions))
        self._ack_timeout_s = ack_timeout_s
        self._patience = Patience(ack_timeout_s)
        self._spool_patience = Patience(_SPOOL_S)
        self._closing_patience = Patience(_CLOSING_S)
        self._gathers = log.fails_as_one
        self._lanes = [Lane(number) for number in range(lanes_of(log))]
        self._dead_letters = Lane(DEAD_LETTERS_LANE)
        self._turn: list[Lane] = []
        self._release: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._detours: set[asyncio.Task[None]] = set()
        if spool is not None:
            for lane in (*self._lanes, self._dead_letters):
                if lane.number in spool.held and spool.held[lane.number].records:
                    self._divert(spool, lane)

    async def record(self, record: Webhook | Command, *, may_wait: bool = True) -> None:
        """Durable in the call's inbox, or on its way there, when it returns. Raises `NotDurableError`.

        What may not wait for a log that is away (`may_wait` false) goes to the log alone, behind what the spool holds.
        """
        key = record.call_id.encode()
        partition = self._partition_of(key)
        lane = self._lanes[0 if self._gathers else partition]
        await self._publish(lane, [Entry(partition, key, encode(record))], may_wait=may_wait)

    @property
    def spool(self) -> Spool | None:
        """The spool, if there is one."""
        return self._spool

    @property
    def is_straight(self) -> bool:
        """Whether everything goes to the log directly."""
        return not self._detours

    async def check(self) -> str | None:
        """None when callbacks can be made durable now, in the log or in the spool; else why not."""
        full = None if self._spool is None else await self._spool.check()
        if self._spool is not None and full is None:
            return None
        away = await self._log.check()
        return away if away is None or full is None else f"{away}; {full}"

    async def run(self, stop: asyncio.Event) -> None:
        """Watch over the draining until `stop`, then end it: what is left is for the next start."""
        asked: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        await asyncio.wait({asked, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        for task in self._detours:
            task.cancel()
        if self._detours:
            await asyncio.wait(self._detours)
        if self.failed.done():
            self.failed.result()

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
        if not lane.add(Entry(partition, key, encode(record)), done):
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
            if self._gathers:
                self._start(self._send_all(lane))
            elif lane.detour is not None:
                self._start(self._publish_all(lane))
            else:
                self._publish_share(lane)

    def _publish_share(self, lane: Lane) -> None:
        """One partition's share of a turn, without a task: a turn brings few callbacks of each. Failures have one."""
        gathered = lane.take()
        entries = [entry for entry, _ in gathered]
        try:
            publishing = asyncio.ensure_future(self._log.publish(lane.topic, entries))
        except Exception as error:  # noqa: BLE001 raised again by the rescue, when everybody has an answer
            self._start(self._rescue(lane, gathered, error))
            return
        watch = self._patience.watch(partial(self._overdue, lane, gathered, publishing))
        publishing.add_done_callback(partial(self._published, lane, gathered, watch))

    def _published(self, lane: Lane, gathered: Gathered, watch: Watch, publishing: "asyncio.Future[None]") -> None:
        if watch.over:
            return
        watch.over = True
        error = LogUnavailableError("given up") if publishing.cancelled() else publishing.exception()
        if error is not None:
            self._start(self._rescue(lane, gathered, error))
            return
        for _, done in gathered:
            done(None)

    def _overdue(self, lane: Lane, gathered: Gathered, publishing: "asyncio.Future[None]") -> None:
        publishing.cancel()
        self._start(self._rescue(lane, gathered, self._late(lane)))

    async def _rescue(self, lane: Lane, gathered: Gathered, why: BaseException) -> None:
        """The log has not taken them: the spool may."""
        with self._answering(gathered):
            try:
                raise why
            except LogUnavailableError as error:
                await self._spooled(lane, [entry for entry, _ in gathered], error, error, may_wait=True)
            except LogError as error:
                raise NotDurableError(str(error)) from error

    def _late(self, lane: Lane) -> LogUnavailableError:
        return LogUnavailableError(f"{lane.topic.value}: no acknowledgement within {self._ack_timeout_s} s")

    def _release_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._release is None:
            self._release = loop.call_later(_HOLD_S, self._release_held)

    def _release_held(self) -> None:
        self._release = None
        for lane in self._lanes:
            if lane.gathered:
                self._start(self._publish_all(lane))

    def _start(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself would let it be collected
        task.add_done_callback(self._tasks.discard)

    async def _send_all(self, lane: Lane) -> None:
        lane.is_sending = True
        try:
            while lane.gathered:
                sent = await self._publish_all(lane)
                if sent >= _BUSY:
                    await lane.fill(sent + len(lane.gathered))
        finally:
            lane.is_sending = False

    async def _publish_all(self, lane: Lane) -> int:
        gathered = lane.take()
        if not gathered:
            return 0  # another call took them along
        with self._answering(gathered):
            await self._publish(lane, [entry for entry, _ in gathered])
        return len(gathered)

    @contextmanager
    def _answering(self, gathered: Gathered) -> Iterator[None]:
        """Tell everybody who waits how it ended, however it ends."""
        error: NotDurableError | None = NotDurableError("given up before it was acknowledged")
        try:
            yield
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
        await self._publish(self._dead_letters, [Entry(self._partition_of(raw_key), raw_key, value, encoded)])
        metrics.DEAD_LETTERS.labels(reason).inc()

    async def _publish(self, lane: Lane, entries: Sequence[Entry], *, may_wait: bool = True) -> None:
        if lane.detour is not None and await self._detoured(lane, entries, may_wait=may_wait):
            return
        try:
            with self._patience.wait():
                await self._log.publish(lane.topic, entries)
        except TimeoutError as error:
            await self._spooled(lane, entries, self._late(lane), error, may_wait=may_wait)
        except LogUnavailableError as error:
            await self._spooled(lane, entries, error, error, may_wait=may_wait)
        except LogError as error:
            raise NotDurableError(str(error)) from error

    async def _spooled(
        self, lane: Lane, entries: Sequence[Entry], why: LogError, cause: Exception, *, may_wait: bool
    ) -> None:
        """The log has not taken them. It may have them all the same: then the spool's copy is a harmless second."""
        if self._spool is None or not may_wait:
            raise NotDurableError(str(why)) from cause
        if lane.detour is None:
            _log.warning("spool.began", topic=lane.topic.value, lane=lane.number, reason=str(why))
            self._divert(self._spool, lane)
        if not await self._detoured(lane, entries, may_wait=True):
            await self._publish(lane, entries)  # while it waited the log has come back

    async def _detoured(self, lane: Lane, entries: Sequence[Entry], *, may_wait: bool) -> bool:
        """Whether they are in the spool; false: the lane goes straight to the log again. Raises `NotDurableError`."""
        while (detour := lane.detour) is not None:
            try:
                if not may_wait:
                    with self._patience.wait():
                        await detour.drained()
                    continue
                if not await self._is_open(detour):
                    continue
                with self._spool_patience.wait():
                    await detour.take(entries)
            except TimeoutError as error:
                raise NotDurableError("neither log nor spool has answered in time") from error
            except LogError as error:
                raise NotDurableError(str(error)) from error
            else:
                return True
        return False

    async def _is_open(self, detour: Detour) -> bool:
        """See `Detour.is_open`. Whoever has waited long enough for its end goes through the spool."""
        try:
            with self._closing_patience.wait():
                return await detour.is_open()
        except TimeoutError:
            detour.reopen()
            return True

    def _divert(self, spool: Spool, lane: Lane) -> None:
        """From now on everything of this lane goes through the spool, until that is drained."""

        def ended() -> None:
            lane.detour = None

        detour = lane.detour = Detour(lane.number, spool, lambda records: self._forward(lane, records), ended)
        task = asyncio.create_task(detour.run(), name=f"spool-drain-{lane.number}")
        self._detours.add(task)
        task.add_done_callback(self._drain_ended)

    def _drain_ended(self, task: "asyncio.Task[None]") -> None:
        self._detours.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _forward(self, lane: Lane, records: Sequence[Spooled]) -> None:
        entries = [Entry(self._partition_of(r.key), r.key, r.value, r.headers) for r in records]
        with self._patience.wait():
            await self._log.publish(lane.topic, entries)
