"""From inbox records to one batch: decode, step, encode, one state record for each. No await in here, nothing leaves.

What it is not: the durable part and the order of append and publication (`partition.py`), and what a record means
(`engine.core`).
"""

from collections.abc import Callable, Sequence

import msgspec
import structlog

from cordboard.clock import Clock
from cordboard.log.port import Entry, Record
from engine.batch import Batch, Move, RecordTooBigError
from engine.calls import Calls
from engine.core.effects import Effect, Emit, Ignore, Park, Reply, RequestAction, Step, Unplaced
from engine.dead_letters import Reason, StopRule, TooManyDeadLettersError, dead_letter
from engine.envelopes import encode_event, encode_result
from engine.limits import EngineLimits
from engine.parking import Parked, Parking
from engine.timers import DueTimer
from schemas.codec import decode_inbox, encode
from schemas.commands import name_of
from schemas.ids import event_id, result_id
from schemas.records import ActionReport, Command, Inbox, TimerDue, Webhook
from schemas.results import Outcome, Result
from schemas.state import Call, CallState
from schemas.topics import partition_of

Stepper = Callable[[Call | None, Inbox], Step]
"""`Switchboard.step`: what one record does to a call. Pure."""

_KINDS: dict[type[Inbox], str] = {Webhook: "webhook", Command: "command", ActionReport: "report", TimerDue: "timer"}
_NO_TIMERS: dict[str, int] = {}

_log = structlog.get_logger(__name__)


class _Said:
    """What one step asks for, sorted; it becomes part of the batch only when the step's state record has."""

    __slots__ = ("actions", "answers", "events", "ignored", "park_until", "unplaced")

    def __init__(self) -> None:
        self.actions: list[bytes] = []
        self.events: list[bytes] = []
        self.answers: list[Result] = []
        self.ignored: list[str] = []
        self.park_until: int | None = None
        self.unplaced = False


class Applier:
    """Applies the records of one partition to its calls.

    After an exception out of `apply` the calls may be ahead of the log: discard it. `next_offset` is the next inbox
    offset to apply.
    """

    def __init__(
        self,
        step: Stepper,
        calls: Calls,
        parking: Parking,
        rule: StopRule,
        *,
        partition: int,
        partitions: int,
        clock: Clock,
        limits: EngineLimits,
    ) -> None:
        self.next_offset = -1
        self._step = step
        self._calls = calls
        self._parking = parking
        self._rule = rule
        self._partition = partition
        self._partitions = partitions
        self._clock = clock
        self._limits = limits

    def apply(self, records: Sequence[Record], start: int, owner: int, published: int) -> tuple[Batch, int]:
        """Apply `records[start:]` as far as one batch goes; the batch and the index of the first record left.

        Raises `TooManyDeadLettersError` when the very first record is one dead letter too many.
        """
        batch = Batch(self._partition, owner, published, self._limits)
        end = min(len(records), start + self._limits.batch_records)
        index = start
        while index < end and not batch.full:
            raw = records[index]
            if raw.offset >= self.next_offset:
                if not self._take(raw, batch):
                    break
                batch.last_offset = raw.offset
                self.next_offset = raw.offset + 1
            else:
                batch.tally.ignored["covered"] = batch.tally.ignored.get("covered", 0) + 1
            index += 1
        self._pass_good(batch)
        batch.close()
        return batch, index

    def _take(self, raw: Record, batch: Batch) -> bool:
        """Apply one record. False when it must wait for the next batch, which will refuse it."""
        try:
            record = decode_inbox(raw.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return self._put_aside(raw, Reason.UNDECODABLE, str(error), batch)
        call_id = record.call_id
        if call_id not in self._calls and partition_of(call_id.encode(), self._partitions) != self._partition:
            detail = f"partition {partition_of(call_id.encode(), self._partitions)} was expected for its call_id"
            return self._put_aside(raw, Reason.MISROUTED, detail, batch)
        try:
            call = self._calls.get(call_id)
            step = self._step(call, record)
            self._perform(raw, record, call, step, batch)
        except RecordTooBigError as error:
            return self._put_aside(raw, Reason.TOO_LARGE, str(error), batch, record)
        except Exception as error:  # noqa: BLE001 a bug in a step must not stop other calls
            _log.exception("engine.record_poisoned", call_id=call_id, record=record.id, offset=raw.offset)
            return self._put_aside(raw, Reason.POISON, f"{type(error).__name__}: {error}", batch, record)
        batch.good += 1
        return True

    def _perform(self, raw: Record, record: Inbox, call: Call | None, step: Step, batch: Batch) -> None:
        after = step.call
        said = _Said()
        if step.effects:
            versioned = after is not None and (call is None or after.version != call.version)
            self._listen(step.effects, record, after.version if versioned and after is not None else None, said)
        offset = raw.offset
        if said.park_until is not None:
            if not isinstance(record, Webhook):
                raise TypeError("only callbacks wait for their call")
            batch.park(offset, Parked(record.id, record.call_id, raw.value or b"", said.park_until))
        if after is not None and after is not call:
            encoded = encode(after)
            batch.write_call(offset, record.call_id, encoded, said.events)
            self._calls.put(record.call_id, after, encoded)
            self._compare(call, after, record, batch)
        elif after is None and call is not None:
            batch.forget_call(offset, record.call_id, said.events)
            self._calls.drop(record.call_id)
            _uncount(call, batch)
        else:
            batch.say_without_call(said.events)
        self._collect(raw, record, said, batch, changed=after is not call)

    def _listen(self, effects: tuple[Effect, ...], record: Inbox, version: int | None, said: _Said) -> None:
        """Sort effects out. Events are numbered within the version they made; without one, within the record."""
        number = 0
        for effect in effects:
            kind = type(effect)
            if kind is Emit:
                own_id = f"{record.id}.e{number}" if version is None else event_id(record.call_id, version, number)
                said.events.append(encode_event(effect, own_id, record))  # type: ignore[arg-type] # kind is Emit
                number += 1
            elif isinstance(effect, RequestAction):
                said.actions.append(encode(effect.action))
            elif isinstance(effect, Reply):
                said.events.append(encode_result(effect, record))
                said.answers.append(effect.result)
            elif isinstance(effect, Ignore):
                said.ignored.append(effect.reason)
            elif isinstance(effect, Park):
                said.park_until = effect.until
            elif isinstance(effect, Unplaced):
                said.unplaced = True

    def _collect(self, raw: Record, record: Inbox, said: _Said, batch: Batch, *, changed: bool) -> None:
        """The state record is in the batch: so is now what shall leave after it."""
        key = record.call_id.encode()
        partition = self._partition
        for action in said.actions:
            batch.actions.append(Entry(partition, key, action))
        for event in said.events:
            batch.events.append(Entry(partition, key, event))
        tally = batch.tally
        for result in said.answers:
            answer = name_of(result.command_type) or "unknown", result.outcome.value
            tally.answers[answer] = tally.answers.get(answer, 0) + 1
        for reason in said.ignored:
            tally.ignored[reason] = tally.ignored.get(reason, 0) + 1
        if changed and not said.ignored:
            kind = _KINDS[type(record)]
            tally.kinds[kind] = tally.kinds.get(kind, 0) + 1
        if said.unplaced:
            self._unplace(raw, record, batch)
        self._unpark(raw, record, batch, parked_again=said.park_until is not None)

    def _compare(self, before: Call | None, after: Call, record: Inbox, batch: Batch) -> None:
        """What the change means for timers, metrics and the log."""
        old = _NO_TIMERS if before is None else before.timers
        if after.timers is not old:
            for name, due in after.timers.items():
                if old.get(name) != due:
                    batch.timers.append(DueTimer(after.call_id, name, due))
        tally = batch.tally
        tally.timers += len(after.timers) - len(old)
        tally.pending += len(after.pending)
        tally.live += after.state is not CallState.ENDED
        if before is None:
            batch.begun.append(after.call_id)
            batch.moves.append(Move(after.call_id, None, after.state.value, record.id, after.version))
            return
        tally.pending -= len(before.pending)
        tally.live -= before.state is not CallState.ENDED
        if after.state is not before.state:
            batch.moves.append(Move(after.call_id, before.state.value, after.state.value, record.id, after.version))

    def _put_aside(self, raw: Record, reason: Reason, detail: str, batch: Batch, record: Inbox | None = None) -> bool:
        """Make the record a dead letter, unless there have been too many. The call stays as it was."""
        self._pass_good(batch)
        now = self._clock()
        refusal = self._rule.refusal(now)
        if refusal is not None:
            if batch.last_offset is not None:
                return False
            raise TooManyDeadLettersError(
                f"call.inbox[{self._partition}] stopped at offset {raw.offset}: {refusal}. Look at call.dead-letters; "
                f"the next one would be {reason.value}: {detail[:200]}"
            )
        self._rule.failed(now)
        _log.error("engine.dead_letter", reason=reason.value, partition=raw.partition, offset=raw.offset)
        batch.letters.append(dead_letter(raw, reason, detail))
        if isinstance(record, Command):
            self._apologise(record, batch)
        if record is not None:
            self._unpark(raw, record, batch, parked_again=False)
        return True

    def _apologise(self, command: Command, batch: Batch) -> None:
        """Every command is answered, also one that we could not carry out by our own fault."""
        result = Result(
            command_id=command.command_id,
            command_source=command.command_source,
            command_type=command.command_type,
            outcome=Outcome.FAILED,
            reason="internal_error",
        )
        reply = Reply(result_id(command.command_source, command.command_id), result)
        event = encode_result(reply, command)
        batch.say_without_call([event])
        batch.events.append(Entry(self._partition, command.call_id.encode(), event))

    def _unplace(self, raw: Record, record: Inbox, batch: Batch) -> None:
        """Its call never came: a dead letter with the bytes as they came first. No fault of ours: no reason to stop."""
        detail = f"no call {record.call_id} came within the time that a callback waits"
        batch.letters.append(dead_letter(raw, Reason.UNPLACED, detail, value=self._parking.original(record.id)))

    def _unpark(self, raw: Record, record: Inbox, batch: Batch, *, parked_again: bool) -> None:
        if isinstance(record, Webhook) and record.parked and not parked_again:
            batch.unpark(raw.offset, record.id)

    def _pass_good(self, batch: Batch) -> None:
        if batch.good:
            self._rule.passed(batch.good, self._clock())
            batch.good = 0


def _uncount(call: Call, batch: Batch) -> None:
    batch.tally.live -= call.state is not CallState.ENDED
    batch.tally.pending -= len(call.pending)
    batch.tally.timers -= len(call.timers)
