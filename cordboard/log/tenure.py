"""One partition from its assignment to its revocation: claim, restore, feed, and the one error rule.

The rule (reliability.md 2.3): whatever went wrong, the object that held the state is discarded and the log says what is
true. Taking anew needs a fresh heartbeat; after a fence, a new assignment. Who is assigned what is `ownership.py`'s.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum

import msgspec
import structlog

from cordboard.errors import CordboardError, FencedError, LogError
from cordboard.log.owned import Owned, OwnerLimits, OwnerTotals, Watched
from cordboard.log.port import FencedPartition, Log, PositionLostError, Record, Subscription
from schemas.topics import Topic

_log = structlog.get_logger(__name__)


class Phase(StrEnum):
    """Where a tenure is."""

    TAKING = "taking"
    LIVE = "live"
    FAILED = "failed"
    """Waiting to be taken anew: `reason` says why."""
    FENCED = "fenced"
    """Somebody else has claimed: only a new assignment helps."""
    OVER = "over"


class Terms(msgspec.Struct, frozen=True):
    """What all tenures of one owner have in common. `turns` bounds how many are taken at once."""

    source: Topic
    fenced: Topic
    factory: Callable[[int], Owned]
    name: str
    limits: OwnerLimits
    turns: asyncio.Semaphore
    totals: OwnerTotals


class Tenure:
    """The time for which one partition is ours. `begin` once, `end` once; a new assignment is a new tenure."""

    def __init__(
        self, log: Log, subscription: Callable[[], Awaitable[Subscription]], partition: int, terms: Terms
    ) -> None:
        self.partition = partition
        self.phase = Phase.TAKING
        self.reason = ""
        self.position: int | None = None
        """Next source offset to handle."""
        self._log = log
        self._subscription = subscription
        self._terms = terms
        self._limits = terms.limits
        self._owned: Owned | None = None
        self._fenced: FencedPartition | None = None
        self._backlog: deque[Sequence[Record]] = deque()
        self._waiting = 0
        self._paused = False
        self._sub: Subscription | None = None
        self._lost: PositionLostError | None = None
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._attempts = 0
        self._task: asyncio.Task[None] | None = None
        self._bound = _log.bind(owner=terms.name, topic=terms.source.value, partition=partition)

    def begin(self) -> None:
        """Start taking the partition in the background."""
        self._task = asyncio.create_task(self._run(), name=f"{self._terms.name}[{self.partition}]")

    def accept(self, records: Sequence[Record]) -> None:
        """Hand over polled records. They belong to the current position; a taking tenure has none and is paused."""
        if self.phase is not Phase.LIVE or self._sub is None:
            return
        self._backlog.append(records)
        self._waiting += len(records)
        self._wake.set()
        if self._waiting >= self._limits.backlog and not self._paused:
            self._paused = True
            self._sub.pause((self.partition,))

    def lose_position(self, error: PositionLostError) -> None:
        """Stop: what should be read next is not in the log."""
        self._lost = error
        self._wake.set()

    def covered(self) -> int | None:
        """What may be committed."""
        return None if self._owned is None or self.phase is not Phase.LIVE else self._owned.covered()

    async def end(self) -> int | None:
        """Finish the batch in hand, let go, and return what may be committed. Bounded by twice `drain_s`."""
        self._ending.set()
        self._wake.set()
        was_live = self.phase is Phase.LIVE
        if self._task is not None:
            if not was_live:
                self._task.cancel()
            await asyncio.wait({self._task}, timeout=self._limits.drain_s)
            if not self._task.done():
                self._bound.warning("ownership.drain_overdue", limit_s=self._limits.drain_s)
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=self._limits.drain_s)
        owned = self._owned
        await self._discard()
        covered = owned.covered() if owned is not None and was_live and self.phase is Phase.LIVE else None
        self.phase = Phase.OVER
        return covered

    async def _run(self) -> None:
        while not self._ending.is_set():
            try:
                async with self._terms.turns:
                    await self._take()
                await self._feed()
                if not self._ending.is_set():
                    self._renew()
            except FencedError as error:
                self._stop(Phase.FENCED, error)
            except LogError as error:
                self._stop(Phase.FAILED, error)
            except Exception as error:  # noqa: BLE001 loud below: logged with its trace, in the status, retried
                self._bound.exception("ownership.work_failed", position=self.position)
                self._stop(Phase.FAILED, error)
            if self._ending.is_set():
                return  # `end` discards
            await self._discard()
            if self.phase is Phase.FENCED:
                return
            if self.phase is Phase.FAILED:
                await self._wait_to_retake()

    def _renew(self) -> None:
        """Take the partition anew for no other reason than that the claim is old."""
        self.phase = Phase.TAKING
        self._backlog.clear()
        self._waiting = 0
        self._bound.info("ownership.claim_renewed", position=self.position)

    def _stop(self, phase: Phase, error: Exception) -> None:
        self.phase = phase
        self._terms.totals.failures += 1
        self._terms.totals.fences += phase is Phase.FENCED
        self.reason = str(error) if isinstance(error, CordboardError) else repr(error)
        self._backlog.clear()
        self._waiting = 0
        level = self._bound.info if self._ending.is_set() else self._bound.error
        level("ownership.partition_stopped", phase=phase.value, position=self.position, reason=self.reason)

    async def _take(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        sub = self._sub = await self._subscription()
        sub.pause((self.partition,))
        self.phase = Phase.TAKING
        self._lost, self._paused = None, False
        self._fenced = await self._log.claim(self._terms.fenced, self.partition, self._terms.name, sub.member())
        self._owned = self._terms.factory(self.partition)
        covered = await self._owned.restore(self._fenced)
        start = await self._start_offset(sub, covered)
        self.position = start
        sub.seek(self.partition, start)
        self.phase, self.reason = Phase.LIVE, ""
        self._terms.totals.takes += 1
        sub.resume((self.partition,))
        took_ms = round((loop.time() - began) * 1000, 1)
        self._bound.info("ownership.partition_taken", token=self._fenced.token, start=start, took_ms=took_ms)

    async def _start_offset(self, sub: Subscription, covered: int | None) -> int:
        committed = await sub.committed(self.partition)
        bounds = (await self._log.bounds(self._terms.source))[self.partition]
        known = [offset for offset in (covered, committed) if offset is not None]
        start = max(known, default=bounds.earliest)  # earliest at the very first start only, said explicitly (T11)
        if not bounds.earliest <= start <= bounds.end:
            detail = f"it holds {bounds.earliest} to {bounds.end}"
            raise PositionLostError(self._terms.source, self.partition, start, detail)
        return start

    async def _feed(self) -> None:
        owned, sub = self._owned, self._sub
        if owned is None or sub is None:
            return
        watch = asyncio.create_task(owned.watch()) if isinstance(owned, Watched) else None
        if watch is not None:
            watch.add_done_callback(lambda _: self._wake.set())
        renew_at = asyncio.get_running_loop().time() + self._limits.renew_every_s
        try:
            while not self._ending.is_set() and asyncio.get_running_loop().time() < renew_at:
                self._raise_failure(watch)
                records = await self._next_batch(renew_at)
                if records:
                    await owned.handle(records)
                    self._attempts = 0
                    self._waiting -= len(records)
                    self.position = records[-1].offset + 1
                    self._resume_when_drained(sub)
        finally:
            if watch is not None and not watch.cancel() and not watch.cancelled():
                watch.exception()  # seen: what stopped the feeding is already on its way

    def _raise_failure(self, watch: "asyncio.Task[None] | None") -> None:
        if self._lost is not None:
            raise self._lost
        if watch is not None and watch.done():
            watch.result()
            raise RuntimeError("the background work of a partition ended without an error")

    async def _next_batch(self, until: float) -> Sequence[Record]:
        """Whole polls, put together up to a batch; none when woken for another reason, or when it is `until`."""
        if not self._backlog:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._wake.wait()
            if not self._backlog:
                return ()
        batch = self._backlog.popleft()
        if not self._backlog:
            return batch
        merged = list(batch)
        while self._backlog and len(merged) + len(self._backlog[0]) <= self._limits.batch:
            merged.extend(self._backlog.popleft())
        return merged

    def _resume_when_drained(self, sub: Subscription) -> None:
        if self._paused and self._waiting <= self._limits.backlog // 2 and not self._ending.is_set():
            self._paused = False
            sub.resume((self.partition,))

    async def _wait_to_retake(self) -> None:
        """Back off, doubling up to a bound, and go on once the group's word for our holding the partition is fresh."""
        sub = await self._subscription()
        while not self._ending.is_set():
            delay = min(self._limits.retry_max_s, self._limits.retry_min_s * 2 ** min(self._attempts, 16))
            self._attempts += 1
            await asyncio.sleep(delay)  # the back-off itself; a revocation cancels it
            if sub.may_claim(self.partition):
                return

    async def _discard(self) -> None:
        """Let go of the object and the writer, once, whatever state they are in."""
        owned, self._owned = self._owned, None
        fenced, self._fenced = self._fenced, None
        if owned is not None:
            await self._bounded("ownership.release_failed", owned.release)
        if fenced is not None:
            await self._bounded("ownership.close_failed", fenced.close)

    async def _bounded(self, event: str, step: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self._limits.drain_s):
                await step()
        except Exception as error:  # noqa: BLE001 the partition is given up whatever it says; the log keeps what it said
            self._bound.exception(event, error=repr(error))
