"""One partition of actions while we own it: from `call.actions` to Twilio, and the reports to `call.inbox`.

Strictly one action at a time per call, in order; many calls at once. A result is in the ledger before it is reported;
an action seen again is answered from the ledger with the same report. Who owns which partition is decided by
`cordboard.log.ownership`.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
import structlog

from actions.lanes import Lanes
from actions.ledger import Ledger, LedgerEntry
from actions.pause import GivenUpError, Pauses
from actions.perform import Begun, Ending, Performance
from actions.progress import Progress
from actions.reconcile import Reconciler
from actions.reports import Reporter, report_of
from actions.services import ActionServices
from cordboard.clock import Clock
from cordboard.errors import CordboardError
from cordboard.log.port import FencedPartition, Log, Record
from cordboard.log.stall import StallGuard
from cordboard.metrics import ACTION_SECONDS, ACTIONS
from cordboard.stop_rule import StopRule, TooManyDeadLettersError
from schemas.actions import Action, action_type
from schemas.codec import decode_action
from schemas.records import ActionOutcome, ActionReport

_log = structlog.get_logger(__name__)


class _Taken(msgspec.Struct, frozen=True):
    """An action and where it stood in `call.actions`."""

    action: Action
    offset: int


class ActionPartition:
    """The `Owned` of one partition of `call.actions`, and `Watched`: its work goes on in the background."""

    def __init__(
        self,
        partition: int,
        services: ActionServices,
        log: Log,
        clock: Clock,
        rule: StopRule | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partition = partition
        self._services = services
        self._clock = clock
        self._monotonic = monotonic
        self._pauses = Pauses(clock)
        self._progress = Progress()
        self._lanes: Lanes[_Taken] = Lanes(self._work, services.config.queue)
        self._reporter = Reporter(log, self._pauses)
        self._rule = rule or StopRule()
        self._ledger: Ledger | None = None
        self._log = _log.bind(partition=partition)

    async def restore(self, fenced: FencedPartition) -> int | None:
        """See `Owned`. Results that may not have been reported are, before anything else.

        Intents without a result are looked up when their actions are delivered again, in their turn.
        """
        config = self._services.config
        ledger = Ledger(self._partition, fenced, self._clock, kept_ms=int(config.kept_s * 1000), kept=config.kept)
        start = await ledger.replay()
        for report in ledger.reports():
            if report.call_sid is not None:
                self._services.claimed.add(report.call_sid)
        for entry in ledger.unconfirmed:
            if entry.report is not None:
                await self._reporter.publish(entry.report)
        ledger.unconfirmed.clear()
        self._progress.begin_at(start)
        self._ledger = ledger
        self._log.info("actions.restored", start=start, open_intents=ledger.open_intents())
        return start

    async def handle(self, records: Sequence[Record]) -> None:
        """See `Owned`: accepts into the bounded queue. Raises `TooManyDeadLettersError`: we cannot read ourselves."""
        self._raise_failure()
        for record in records:
            self._progress.taken(record.offset)
            try:
                action = decode_action(record.value or b"")
            except msgspec.MsgspecError as error:
                await self._put_aside(record, str(error))
                continue
            self._rule.passed(1, self._clock())
            await self._lanes.put(action.call_id, _Taken(action=action, offset=record.offset))
            self._raise_failure()

    async def _put_aside(self, record: Record, detail: str) -> None:
        now_ms = self._clock()
        refusal = self._rule.refusal(now_ms)
        if refusal is not None:
            raise TooManyDeadLettersError(
                f"call.actions[{self._partition}] stopped at offset {record.offset}: {refusal}. Look at "
                f"call.dead-letters; the next one would be action_unreadable: {detail[:200]}"
            )
        self._rule.failed(now_ms)
        await self._reporter.dead_letter(record, detail)
        await self._pass_over(record.offset)

    def covered(self) -> int | None:
        """See `Owned`."""
        return self._progress.floor()

    async def watch(self) -> None:
        """See `Watched`: an append that failed, or a fault of ours, ends the ownership of this partition."""
        failed = self._lanes.failed
        await asyncio.wait((failed,))  # which, unlike a plain await, leaves the future alone when it is cancelled
        raise failed.result()

    async def release(self) -> None:
        """See `Owned`: begins nothing more, waits for what is in hand, then cuts it short."""
        self._pauses.end()
        in_time = await self._lanes.close(self._services.config.release_s)
        if self._ledger is not None:
            await self._ledger.group.close()
        self._log.info("actions.released", in_time=in_time, covered=self.covered())

    def _raise_failure(self) -> None:
        if self._lanes.failed.done():
            raise self._lanes.failed.result()

    async def _pass_over(self, offset: int) -> None:
        """A record that leaves no result: what is covered is written by itself, or a quiet ledger falls behind."""
        self._progress.finished(offset)
        await self._of_ledger().advance(offset=offset, floor=self._floor())

    async def _work(self, taken: _Taken) -> None:
        """One action from its turn to its report."""
        with structlog.contextvars.bound_contextvars(call_id=taken.action.call_id):
            try:
                await self._answer_or_do(taken)
            except GivenUpError:
                self._log.info("action.left", action=taken.action.id)  # the successor finds the intent, or none

    async def _answer_or_do(self, taken: _Taken) -> None:
        action, ledger = taken.action, self._of_ledger()
        known = ledger.of(action.id)
        if known is not None and known.report is not None:
            await self._reporter.publish(known.report)
            await self._pass_over(taken.offset)
            self._log.info("action.repeated", action=action.id, outcome=known.report.outcome.value)
            return
        self._pauses.require_open()
        ending = await self._ending_of(taken, known)
        report = report_of(action, ending, self._clock())
        if report.call_sid is not None:
            self._services.claimed.add(report.call_sid)
        await ledger.finish(report, offset=taken.offset, floor=self._floor())
        await self._reporter.publish(report)
        self._progress.finished(taken.offset)
        self._account_for(action, ending, report)

    async def _ending_of(self, taken: _Taken, known: LedgerEntry | None) -> Ending:
        action = taken.action
        served = self._services.of(action.account_sid)
        if served is None:
            return Ending(outcome=ActionOutcome.FAILED, attempts=0, reason="unknown_account")
        account, gate = served
        reconciler = Reconciler(account, self._services.config.reconcile, self._pauses, self._services.claimed)

        async def intend(attempt: int) -> None:
            await self._intend(taken, attempt)

        begun = None if known is None else Begun(attempt=known.attempt, at_ms=known.at)
        performance = Performance(action, account, gate, self._pauses, reconciler, intend)
        try:
            return await performance.run(begun)
        except CordboardError:
            raise  # given up, or the ledger is lost: the successor knows what to do
        except Exception:  # noqa: BLE001 - a fault of ours must not stop other calls: logged, reported, counted
            self._log.exception("action.broke", action=action.id)
            return performance.broken()

    async def _intend(self, taken: _Taken, attempt: int) -> None:
        """Make an intent durable, and be sure that the partition was ours a moment ago: the request leaves right after.

        If we have stood still since it was written, a successor may have found it: it is written once more, which the
        log refuses to whoever has lost the partition. Raises `AppendFailedError`, `GivenUpError`.
        """
        limit_s = self._services.config.session_timeout_s / 2
        while True:
            with StallGuard(limit_s, self._monotonic) as guard:
                await self._of_ledger().intend(taken.action, attempt=attempt, offset=taken.offset, floor=self._floor())
                if not guard.stood_still:
                    return
            self._log.warning("action.stood_still", action=taken.action.id, limit_s=limit_s)
            self._pauses.require_open()

    def _account_for(self, action: Action, ending: Ending, report: ActionReport) -> None:
        """The canonical line and the figures of one action."""
        kind, outcome = action_type(action), ending.outcome.value
        ms = max(0, report.at - action.at)
        ACTIONS.labels(kind, outcome).inc()
        ACTION_SECONDS.labels(kind).observe(ms / 1000)
        say = self._log.info if ending.outcome is ActionOutcome.DONE else self._log.warning
        say(
            f"action.{outcome}",
            call_id=action.call_id,
            action=action.id,
            type=kind,
            leg=action.leg,
            attempts=ending.attempts,
            ms=ms,
            reason=ending.reason,
            code=ending.code,
            status=ending.status,
            request_id=ending.request_id,
        )

    def _floor(self) -> int:
        floor = self._progress.floor()
        return 0 if floor is None else floor

    def _of_ledger(self) -> Ledger:
        if self._ledger is None:
            raise RuntimeError("an ActionPartition works after restore()")
        return self._ledger


def action_partition_factory(
    services: ActionServices, log: Log, clock: Clock, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[int], ActionPartition]:
    """What `Owner` makes its partitions with: source `call.actions`, fenced `call.ledger`.

    The count of dead letters outlives the objects: a partition that was stopped stays so when it is taken anew.
    """
    rules: defaultdict[int, StopRule] = defaultdict(StopRule)
    return lambda partition: ActionPartition(partition, services, log, clock, rules[partition], monotonic)
