"""One partition of the engine while we own it: restore, apply, append, publish, in this order and no other.

One state record per inbox record is the atomic step (reliability.md 2.3). Nothing leaves before the append that holds
it is durable, and what a crash kept from leaving is in the state and leaves on take-over, under the same ids. Whether
we own the partition at all is decided by `cordboard.log.ownership`; what a record means by `engine.core`.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from cordboard.clock import Clock
from cordboard.errors import AppendFailedError, LogError
from cordboard.log.owned import Owned
from cordboard.log.port import Entry, FencedPartition, Log, Record
from cordboard.log.stall import StallGuard
from cordboard.stop_rule import StopRule
from engine.applier import Applier, Stepper
from engine.batch import Batch, StateEnvelope
from engine.calls import Calls
from engine.limits import EngineLimits
from engine.metering import Meter
from engine.parking import Parking
from engine.publisher import Publisher
from engine.recovery import Recovered, recover
from engine.resuming import LookAt, resumed
from engine.timers import Timers
from engine.upkeep import Upkeep
from schemas.codec import encode
from schemas.state import CallState
from schemas.topics import STATE_POSITION_KEY, Topic

_REPUBLISH_BATCH = 500

_log = structlog.get_logger(__name__)


class EnginePartition(Owned):
    """The engine's work on one partition: `restore` once, then `handle` whatever comes, then `release`."""

    def __init__(
        self,
        step: Stepper,
        log: Log,
        clock: Clock,
        partition: int,
        *,
        rule: StopRule | None = None,
        limits: EngineLimits | None = None,
        look_at: LookAt = LookAt.CALLS_IN_FLIGHT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits = limits or EngineLimits()
        self._look_at = look_at
        self._clock = clock
        self._partition = partition
        self._monotonic = monotonic
        self._calls = Calls(limits.recent_calls)
        self._publisher = Publisher(log, limits, partition)
        refire_ms = int(limits.refire_s * 1000)
        self._timers = Timers(self._calls.timers_of, refire_ms)
        self._parking = Parking(refire_ms)
        self._applier = Applier(
            step, self._calls, self._parking, rule or StopRule(),
            partition=partition, partitions=log.partitions, clock=clock, limits=limits,
        )  # fmt: skip
        self._upkeep = Upkeep(
            self._timers, self._parking, self._publisher, clock, self._keep_position, partition, limits
        )
        self._stall = StallGuard(limits.session_timeout_s / 2, monotonic)
        self._meter = Meter(partition)
        self._writing = asyncio.Lock()
        self._fenced: FencedPartition | None = None
        self._failure: Exception | None = None
        self._covered = -1
        self._published = -1
        self._published_written = -1
        self._written_at = 0.0

    # Owned

    async def restore(self, fenced: FencedPartition) -> int | None:
        """See `Owned`. Raises `LogError` when the state cannot be read or what is unconfirmed cannot be published."""
        began = self._monotonic()
        self._fenced = fenced
        recovered = await recover(fenced, self._partition)
        self._calls.load(recovered.calls)
        await self._repair(recovered)
        live, pending = await self._publish_again(recovered)
        self._covered = self._published = recovered.covered
        self._published_written = recovered.published
        self._applier.restore(recovered.covered, recovered.parked.values())
        self._parking.change(recovered.parked.values())
        timers = {call_id: seen.timers for call_id, seen in self._calls.glances() if seen.timers}
        self._timers.change(timers)
        armed = sum(map(len, timers.values()))
        took_s = self._monotonic() - began
        self._meter.begin(live=live, pending=pending, timers=armed, took_s=took_s)
        self._written_at = self._monotonic()
        self._stall.start()
        self._upkeep.start()
        _log.info(
            "engine.partition_restored", partition=self._partition, calls=len(self._calls), live=live, pending=pending,
            timers=armed, parked=len(self._parking), covered=self._covered, took_ms=round(took_s * 1000, 1),
        )  # fmt: skip
        return self.covered()

    async def handle(self, records: Sequence[Record]) -> None:
        """See `Owned`. Durable and published when it returns.

        Raises `AppendFailedError`, `TooManyDeadLettersError`, and whatever the log raises that no retry can help.
        """
        async with self._writing:
            fenced = self._require_usable()
            try:
                index = 0
                while index < len(records):
                    began = self._monotonic()
                    batch, index = self._applier.apply(records, index, fenced.token, self._published)
                    await self._carry_out(batch, fenced)
                    self._meter.count(batch, self._monotonic() - began)
            except BaseException as error:
                self._failure = error if isinstance(error, Exception) else AppendFailedError("a batch was cancelled")
                raise

    def covered(self) -> int | None:
        """See `Owned`: the next inbox offset after the last durable one, None before the first."""
        return None if self._covered < 0 else self._covered + 1

    async def release(self) -> None:
        """See `Owned`. A batch in flight gets its time; a position record says what has left already."""
        try:
            async with asyncio.timeout(self._limits.release_s):
                await self._upkeep.stop(at_once=self._failure is not None)
                async with self._writing:
                    if self._failure is None and self._published > self._published_written:
                        await self._write_position()
        except (TimeoutError, LogError) as error:
            _log.info("engine.released_abruptly", partition=self._partition, reason=str(error) or repr(error))
        finally:
            self._failure = self._failure or AppendFailedError("the partition was released")
            self._publisher.close()
            self._stall.stop()
            self._meter.end()

    # Watched

    async def watch(self) -> None:
        """Wait until the background work (timers, parked records, the position) fails, and raise that."""
        await self._upkeep.failed()

    # Inside

    def state_of(self, call_id: str) -> bytes | None:
        """The encoded call as it is in its last state record."""
        return self._calls.encoded(call_id)

    def _require_usable(self) -> FencedPartition:
        if self._failure is not None:
            raise AppendFailedError(f"of no more use after: {self._failure}") from self._failure
        if self._fenced is None:
            raise AppendFailedError("restore comes first")
        return self._fenced

    async def _carry_out(self, batch: Batch, fenced: FencedPartition) -> None:
        if batch.letters:  # they stand in no state record: durable before their offsets are covered, twice if need be
            await self._publisher.publish(Topic.DEAD_LETTERS, batch.letters)
        if batch.last_offset is None:
            return
        await self._append(batch.state, fenced)
        self._covered = batch.last_offset
        self._published_written = self._published
        self._follow(batch)
        await self._publisher.publish_all(((Topic.ACTIONS, batch.actions), (Topic.EVENTS, batch.events)))
        self._published = batch.last_offset

    async def _append(self, entries: Sequence[Entry], fenced: FencedPartition) -> None:
        self._stall.require_awake()
        await fenced.append(entries)
        self._written_at = self._monotonic()

    def _follow(self, batch: Batch) -> None:
        """What is durable now may be acted upon: timers, waiting records, the log."""
        sooner = bool(batch.timers) and self._timers.change(batch.timers)
        waiting = bool(batch.parking) and self._parking.change(batch.parking)
        if self._upkeep.hurry(batch.begun) or sooner or waiting:
            self._upkeep.wake()
        if batch.moves and _log.is_enabled_for(20):
            for move in batch.moves:
                _log.info(
                    "call.transitioned", call_id=move.call_id, **{"from": move.before}, to=move.after,
                    cause=move.cause, version=move.version,
                )  # fmt: skip

    async def _repair(self, recovered: Recovered) -> None:
        fenced = self._require_usable()
        repairs = recovered.repairs(self._partition, fenced.token)
        if repairs:
            await fenced.append(repairs)

    async def _publish_again(self, recovered: Recovered) -> tuple[int, int]:
        """Every unconfirmed action and every event that may not have left. Gives live calls and pending actions."""
        live = 0
        actions: list[Entry] = []
        for call_id, seen in self._calls.glances():
            live += seen.state != CallState.ENDED.value
            key = call_id.encode()
            actions.extend(Entry(self._partition, key, bytes(waiting.action)) for waiting in seen.pending)
        events = [Entry(self._partition, call_id.encode(), event) for call_id, event in recovered.unpublished()]
        token, at_ms = self._require_usable().token, self._clock()
        looks = resumed(self._calls.glances(), self._look_at, partition=self._partition, token=token, at_ms=at_ms)
        for topic, entries in ((Topic.ACTIONS, actions), (Topic.EVENTS, events), (Topic.INBOX, looks)):
            for start in range(0, len(entries), _REPUBLISH_BATCH):
                await self._publisher.publish(topic, entries[start : start + _REPUBLISH_BATCH])
        return live, len(actions)

    async def _keep_position(self) -> None:
        """An idle owner says from time to time that it is there."""
        if self._monotonic() - self._written_at < self._limits.position_every_s or self._writing.locked():
            return
        async with self._writing:
            self._require_usable()
            await self._write_position()

    async def _write_position(self) -> None:
        fenced = self._require_usable()
        value = encode(StateEnvelope(self._covered, fenced.token, self._published))
        try:
            await self._append((Entry(self._partition, STATE_POSITION_KEY, value),), fenced)
        except BaseException as error:
            self._failure = error if isinstance(error, Exception) else AppendFailedError("an append was cancelled")
            raise
        self._published_written = self._published


def engine_partition_factory(
    step: Stepper,
    log: Log,
    clock: Clock,
    *,
    limits: EngineLimits | None = None,
    look_at: LookAt = LookAt.CALLS_IN_FLIGHT,
    monotonic: Callable[[], float] = time.monotonic,
) -> Callable[[int], EnginePartition]:
    """What an `Owner` of `call.inbox` over `call.state` takes as its factory.

    The count of dead letters outlives the objects: a partition that was stopped stays so when it is taken anew.
    """
    rules: dict[int, StopRule] = {}

    def make(partition: int) -> EnginePartition:
        rule = rules.setdefault(partition, StopRule())
        return EnginePartition(
            step, log, clock, partition, rule=rule, limits=limits, look_at=look_at, monotonic=monotonic
        )

    return make
