"""Commands from other services into the inbox: read at least once, converted, keyed by call with our own partitioner.

A foreign client may use any partitioner (librdkafka's is CRC32), so `call.commands` is never read as co-partitioned
(design.md section 3, reliability.md 2.5). A crash between publishing and committing gives the same records again, under
the same ids; the step drops them. What a command means, and whether it is allowed, is said by `engine.core`.
"""

import asyncio
from collections.abc import Coroutine, Sequence

import structlog

from cordboard import metrics
from cordboard.clock import Clock
from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.owned import OwnerStatus, has_joined
from cordboard.log.port import (
    MAX_RECORD_BYTES,
    Entry,
    Log,
    PositionLostError,
    Record,
    RecordTooLargeError,
    Subscription,
)
from engine.dead_letters import Reason, dead_letter
from engine.limits import EngineLimits
from engine.publisher import Publisher, ReleasedError
from schemas.cloudevents import InvalidCloudEventError
from schemas.codec import encode
from schemas.intake import command_of, decode_command, text_headers
from schemas.topics import Topic, partition_of

GROUP = "router"

_POLL_S = 0.2
_DRAIN_S = 2.0

_log = structlog.get_logger(__name__)


class Router:
    """One member of the group `router`. `command_deadline_s` bounds commands that name no deadline of their own."""

    def __init__(
        self, log: Log, clock: Clock, command_deadline_s: float, *, limits: EngineLimits | None = None
    ) -> None:
        self._log = log
        self._clock = clock
        self._deadline_s = command_deadline_s
        self._limits = limits or EngineLimits()
        self._sources: dict[int, _Source] = {}
        self._subscription: asyncio.Future[Subscription] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Route until `stop` is set; then finish what is in hand, commit and leave the group.

        Raises what `poll` raises when it is neither temporary nor about one partition: the process should end then.
        """
        self._subscription = asyncio.get_running_loop().create_future()
        async with self._log.subscribe(GROUP, Topic.COMMANDS, self) as subscription:
            self._subscription.set_result(subscription)
            while not stop.is_set():
                await self._poll(subscription)

    def status(self) -> OwnerStatus:
        """For `/readyz`, as an owner of partitions gives it; records in hand count as lag."""
        sources = [self._sources[p] for p in sorted(self._sources)]
        return OwnerStatus(
            assigned=tuple(s.partition for s in sources),
            live=tuple(s.partition for s in sources if s.live),
            lag=sum(s.in_hand for s in sources),
            failed=tuple((s.partition, s.failure) for s in sources if s.failure),
            joined=has_joined(self._subscription),
        )

    # AssignmentListener

    async def on_assigned(self, partitions: Sequence[int]) -> None:
        """See `AssignmentListener`: only schedules."""
        for partition in partitions:
            if partition not in self._sources:
                source = _Source(self, partition)
                self._sources[partition] = source
                source.begin()

    async def on_revoked(self, partitions: Sequence[int]) -> None:
        """See `AssignmentListener`: what is in hand gets its time, what was routed is committed."""
        leaving = [self._sources[p] for p in partitions if p in self._sources]
        await asyncio.gather(*(source.end() for source in leaving))
        for source in leaving:
            self._sources.pop(source.partition, None)

    # For the sources

    async def subscription(self) -> Subscription:
        """The group membership, once there is one."""
        if self._subscription is None:
            raise RuntimeError("a Router works inside run()")
        return await asyncio.shield(self._subscription)

    async def earliest(self, partition: int) -> int:
        """Where a partition that was never read begins."""
        return (await self._log.bounds(Topic.COMMANDS))[partition].earliest

    def publisher(self, partition: int) -> Publisher:
        """A publisher for one source partition."""
        return Publisher(self._log, self._limits, partition)

    def convert(self, records: Sequence[Record]) -> tuple[list[Entry], list[Entry]]:
        """Inbox records and dead letters of these commands, in their order."""
        inbox: list[Entry] = []
        letters: list[Entry] = []
        now = self._clock()
        for record in records:
            try:
                inbox.append(self._inbox_entry(record, now))
            except InvalidCloudEventError as error:
                letters.append(_refused(record, Reason.INVALID, str(error)))
            except RecordTooLargeError as error:
                letters.append(_refused(record, Reason.TOO_LARGE, str(error)))
            except Exception as error:  # noqa: BLE001 a bug of ours must not hold up the commands behind this one
                _log.exception("router.command_poisoned", partition=record.partition, offset=record.offset)
                letters.append(_refused(record, Reason.POISON, f"{type(error).__name__}: {error}"))
        return inbox, letters

    def _inbox_entry(self, record: Record, now: int) -> Entry:
        """The default deadline counts from when the log took the command: one that lay here for an hour is expired."""
        event = decode_command(text_headers(record.headers), record.value)
        age_s = max(0, now - record.timestamp_ms) / 1000 if record.timestamp_ms > 0 else 0.0
        command = command_of(event, at_ms=now, deadline_s=self._deadline_s - age_s)
        key, value = command.call_id.encode(), encode(command)
        if len(key) + len(value) > MAX_RECORD_BYTES:
            raise RecordTooLargeError(f"the command has {len(value)} bytes, at most {MAX_RECORD_BYTES} are taken")
        metrics.COMMANDS_RECEIVED.labels(command.name or "unknown", "topic").inc()
        return Entry(partition_of(key, self._log.partitions), key, value)

    async def _poll(self, subscription: Subscription) -> None:
        try:
            batches = await subscription.poll(_POLL_S, self._limits.batch_records)
        except PositionLostError as error:
            source = self._sources.get(error.partition)
            if source is not None:
                source.lose_position(error)
            return
        except LogUnavailableError as error:
            _log.warning("router.poll_failed", reason=str(error))
            await asyncio.sleep(self._limits.retry_min_s)
            return
        for partition, records in batches.items():
            source = self._sources.get(partition)
            if source is not None and records:
                subscription.pause((partition,))
                source.route(records)


def _refused(record: Record, reason: Reason, detail: str) -> Entry:
    metrics.COMMANDS_REFUSED.labels(reason.value).inc()
    metrics.DEAD_LETTERS.labels(reason.value).inc()
    _log.warning("router.command_refused", partition=record.partition, offset=record.offset, reason=reason.value)
    return dead_letter(record, reason, detail)


class _Source:
    """One partition of `call.commands`: at most one batch in hand, paused meanwhile, so that order is kept."""

    def __init__(self, router: Router, partition: int) -> None:
        self.partition = partition
        self.live = False
        self.failure = ""
        self.in_hand = 0
        self._router = router
        self._publisher = router.publisher(partition)
        self._task: asyncio.Task[None] | None = None
        self._next: int | None = None
        self._committed: int | None = None

    def begin(self) -> None:
        """Find the position in the background and start reading."""
        self._task = asyncio.create_task(self._guarded(self._start()), name=f"router-{self.partition}")

    def route(self, records: Sequence[Record]) -> None:
        """Take the next batch."""
        self.in_hand = len(records)
        self._task = asyncio.create_task(self._guarded(self._route(records)), name=f"router-{self.partition}")

    def lose_position(self, error: PositionLostError) -> None:
        """Stop: what should be read next is not in the log."""
        self._fail(str(error))

    async def end(self) -> None:
        """Finish within 2 s or abandon; then commit."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_DRAIN_S if self.live else 0)
            self._publisher.close()
            self._task.cancel()
            await asyncio.wait({self._task})
        self.live = False
        await self._commit()

    async def _start(self) -> None:
        subscription = await self._router.subscription()
        while True:
            try:
                committed = await subscription.committed(self.partition)
                start = await self._router.earliest(self.partition) if committed is None else committed
                break
            except LogUnavailableError as error:
                self._fail(str(error))
                await asyncio.sleep(1.0)  # the log is away: nothing to wait for but time
        self._committed = committed
        subscription.seek(self.partition, start)
        self.live, self.failure = True, ""
        subscription.resume((self.partition,))

    async def _route(self, records: Sequence[Record]) -> None:
        inbox, letters = self._router.convert(records)
        await self._publisher.publish_all(((Topic.INBOX, inbox), (Topic.DEAD_LETTERS, letters)))
        self._next = records[-1].offset + 1
        self.in_hand = 0
        await self._commit()
        (await self._router.subscription()).resume((self.partition,))

    async def _commit(self) -> None:
        if self._next is None or self._next == self._committed:
            return
        try:
            async with asyncio.timeout(_DRAIN_S):
                await (await self._router.subscription()).commit({self.partition: self._next})
        except (LogError, TimeoutError) as error:  # the next commit makes up for it; a crash gives the same ids again
            _log.warning("router.commit_failed", partition=self.partition, reason=str(error) or repr(error))
        else:
            self._committed = self._next

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except ReleasedError:
            return
        except Exception as error:  # noqa: BLE001 loud: in the log with its trace, and in the status
            _log.exception("router.partition_stopped", partition=self.partition)
            self._fail(repr(error))

    def _fail(self, reason: str) -> None:
        if reason != self.failure:
            _log.error("router.partition_stopped", partition=self.partition, reason=reason)
        self.live, self.failure = False, reason
