"""From inbox records to one batch: decode, step, encode, one state record for each. No await in here, nothing leaves.

What it is not: the durable part and the order of append and publication (`partition.py`), and what a record means
(`engine.core`).
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from cordboard.clock import Clock
from cordboard.log.port import Entry, Record
from cordboard.stop_rule import StopRule, TooManyDeadLettersError
from engine.batch import Batch, Move, RecordTooBigError
from engine.calls import Calls
from engine.core.effects import (
    CancelTimer,
    Emit,
    Ignore,
    Park,
    Reply,
    RequestAction,
    ScheduleTimer,
    Step,
    Unplaced,
)
from engine.core.quarantine import quarantine
from engine.dead_letters import Reason, dead_letter
from engine.envelopes import Voice
from engine.limits import EngineLimits
from engine.parking import Parked, Parking
from engine.refusals import Refusals
from schemas.codec import decode_inbox, encode
from schemas.ids import event_id, result_id
from schemas.records import Command, Inbox, Webhook
from schemas.results import Outcome, Result
from schemas.state import Call, CallState
from schemas.topics import partition_of

Stepper = Callable[[Call | None, Inbox, Sequence[Command]], Step]
"""`Switchboard.step`: what one record does to a call. Pure."""

_NOTHING: list[bytes] = []

_log = structlog.get_logger(__name__)


class MisroutedError(Exception):
    """A record lies in another partition than the one of its call."""


class _Said:
    """What one step asks for, sorted; it becomes part of the batch only when the step's state record has."""

    __slots__ = ("actions", "answers", "events", "ignored", "park_until", "unplaced")

    def __init__(self) -> None:
        self.actions: list[bytes] = []
        self.events: list[bytes] = []
        self.answers: list[Result] = []
        self.ignored: str | None = None
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
        self._refusals = Refusals(limits.parked_records)

    def restore(self, covered: int, parked: Iterable[Parked]) -> None:
        """Go on behind `covered`, with what a former owner let wait."""
        self.next_offset = covered + 1
        self._refusals.load(parked)

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
                batch.tally.passed_over("covered")
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
        try:
            call = self._calls.get(record.call_id)
            if call is None:
                self._require_our_partition(record)
            step = self._step(call, record, self._refusals.of(record.call_id) if call is None else ())
            said = _sort_out(step, call, record) if step.effects else None
            if said is not None and type(record) is Command and self._refusals.full:
                said.park_until = None
            encoded = self._write(raw, record, call, step.call, said, batch)
        except MisroutedError as error:
            return self._put_aside(raw, Reason.MISROUTED, str(error), batch, record)
        except RecordTooBigError as error:
            return self._put_aside(raw, Reason.TOO_LARGE, str(error), batch, record)
        except Exception as error:  # noqa: BLE001 a bug in a step must not stop other calls
            _log.exception("engine.record_poisoned", call_id=record.call_id, record=record.id, offset=raw.offset)
            return self._put_aside(raw, Reason.POISON, f"{type(error).__name__}: {error}", batch, record)
        self._follow(raw, record, call, step.call, encoded, said, batch)
        return True

    def _require_our_partition(self, record: Inbox) -> None:
        """Two partitions with one call would be two truths."""
        expected = partition_of(record.call_id.encode(), self._partitions)
        if expected != self._partition:
            raise MisroutedError(f"call {record.call_id} belongs into partition {expected}")

    def _write(
        self, raw: Record, record: Inbox, before: Call | None, after: Call | None, said: _Said | None, batch: Batch
    ) -> bytes:
        """The state record. When it raises, nothing has changed; when it returns, the record counts as applied."""
        events = said.events if said is not None else _NOTHING
        if said is not None and said.park_until is not None:
            if not isinstance(record, (Webhook, Command)) or after is not before:
                raise TypeError("only callbacks and refused commands wait for their call, and then they change none")
            # A command has an answer, and the record that covers its offset is the one that carries that answer.
            covered = raw.offset if isinstance(record, Webhook) else raw.offset - 1
            batch.park(covered, Parked(record.id, record.call_id, raw.value or b"", said.park_until))
        if after is before:
            batch.say_without_call(events)
            return b""
        key = record.call_id.encode()
        if after is None:
            batch.forget_call(raw.offset, key, events)
            return b""
        encoded = encode(after)
        batch.write_call(raw.offset, key, encoded, events)
        return encoded

    def _follow(
        self, raw: Record, record: Inbox, before: Call | None, after: Call | None, encoded: bytes,
        said: _Said | None, batch: Batch,
    ) -> None:  # fmt: skip
        """The state record is in the batch: so is now what it means, and what shall leave after it."""
        batch.good += 1
        if after is not before:
            if after is not None:
                self._calls.put(record.call_id, after, encoded)
                _compare(before, after, record, batch)
            elif before is not None:
                self._calls.drop(record.call_id)
                _uncount(before, batch)
            if said is None or said.ignored is None:
                batch.tally.applied(record)
        if said is not None:
            self._collect(raw, record, said, batch)
        if type(record) is Webhook and record.parked and (said is None or said.park_until is None):
            batch.unpark(raw.offset, record.id)
        elif type(record) is Command and (record.parked or (said is not None and said.park_until is not None)):
            self._remember(raw, record, batch)
        if before is None and after is not None:
            for refused in self._refusals.of(record.call_id):
                self._refusals.drop(refused)
                batch.unpark(raw.offset, refused.id)

    def _remember(self, raw: Record, command: Command, batch: Batch) -> None:
        if not command.parked:
            self._refusals.add(command)
        else:
            self._refusals.drop(command)
            batch.unpark(raw.offset, command.id)

    def _collect(self, raw: Record, record: Inbox, said: _Said, batch: Batch) -> None:
        partition, key = self._partition, record.call_id.encode()
        for event in said.events:
            batch.events.append(Entry(partition, key, event))
        for action in said.actions:
            batch.actions.append(Entry(partition, key, action))
        for result in said.answers:
            batch.tally.answered(result)
        if said.ignored is not None:
            batch.tally.passed_over(said.ignored)
        if said.unplaced:
            self._unplace(raw, record, batch)

    def _put_aside(self, raw: Record, reason: Reason, detail: str, batch: Batch, record: Inbox | None = None) -> bool:
        """Make the record a dead letter, unless there have been too many. The call stays as it was but for a mark."""
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
        apology = _apology(record) if isinstance(record, Command) and not record.parked else None
        marked = record is not None and self._quarantine(raw, record, reason, apology, batch)
        if record is not None and apology is not None and not marked:
            batch.say_without_call([apology])
            batch.events.append(Entry(self._partition, record.call_id.encode(), apology))
        if isinstance(record, (Webhook, Command)) and record.parked and not marked:
            batch.unpark(raw.offset, record.id)
        return True

    def _quarantine(self, raw: Record, record: Inbox, reason: Reason, apology: bytes | None, batch: Batch) -> bool:
        """Mark the call that something of it is missing. False when there is none, or it has no room for the mark.

        The apology stands in the same state record: in one before it, it would pass for published (`unpublished`).
        """
        call = self._calls.get(record.call_id)
        if call is None:
            return False
        step = quarantine(call, record, reason.value)
        said = _sort_out(step, call, record)
        if apology is not None:
            said.events.insert(0, apology)
        try:
            encoded = self._write(raw, record, call, step.call, said, batch)
        except RecordTooBigError:
            return False
        self._follow(raw, record, call, step.call, encoded, said, batch)
        batch.good -= 1  # it does not end a row of dead letters
        _log.error("engine.call_quarantined", call_id=record.call_id, record=record.id, reason=reason.value)
        return True

    def _unplace(self, raw: Record, record: Inbox, batch: Batch) -> None:
        """Its call never came: a dead letter with the bytes as they came first. No fault of ours: no reason to stop."""
        detail = f"no call {record.call_id} came within the time that a callback waits"
        batch.letters.append(dead_letter(raw, Reason.UNPLACED, detail, value=self._parking.original(record.id)))

    def _pass_good(self, batch: Batch) -> None:
        if batch.good:
            self._rule.passed(batch.good, self._clock())
            batch.good = 0


def _apology(command: Command) -> bytes:
    """Every command is answered, also one that we could not carry out by our own fault."""
    result = Result(
        command_id=command.command_id,
        command_source=command.command_source,
        command_type=command.command_type,
        outcome=Outcome.FAILED,
        reason="internal_error",
    )
    return Voice(command).result(Reply(result_id(command.command_source, command.command_id), result))


def _uncount(call: Call, batch: Batch) -> None:
    batch.tally.live -= call.state is not CallState.ENDED
    batch.tally.pending -= len(call.pending)
    batch.tally.timers -= len(call.timers)
    batch.timers[call.call_id] = {}


def _sort_out(step: Step, before: Call | None, record: Inbox) -> _Said:
    """Sort effects out. Events are numbered within the version that they made; without one, within the record."""
    after = step.call
    made = after is not None and (before is None or after.version != before.version)
    version = after.version if made and after is not None else None
    said = _Said()
    voice = Voice(record)
    for effect in step.effects:
        if isinstance(effect, Emit):
            number = len(said.events) - len(said.answers)
            own_id = f"{record.id}.e{number}" if version is None else event_id(record.call_id, version, number)
            said.events.append(voice.event(effect, own_id))
        elif isinstance(effect, ScheduleTimer | CancelTimer):
            continue  # `Call.timers` is the truth: what changed there is armed
        elif isinstance(effect, RequestAction):
            said.actions.append(encode(effect.action))
        elif isinstance(effect, Reply):
            said.events.append(voice.result(effect))
            said.answers.append(effect.result)
        elif isinstance(effect, Ignore):
            said.ignored = effect.reason
        elif isinstance(effect, Park):
            said.park_until = effect.until
        elif isinstance(effect, Unplaced):
            said.unplaced = True
    return said


def _compare(before: Call | None, after: Call, record: Inbox, batch: Batch) -> None:
    """What the change means for timers, metrics and the log. What a step left alone is the same object."""
    tally = batch.tally
    if before is None:
        tally.live += after.state is not CallState.ENDED
        tally.pending += len(after.pending)
        if after.timers:
            tally.timers += len(after.timers)
            batch.timers[record.call_id] = after.timers
        batch.begun.append(after.call_id)
        batch.moves.append(Move(after.call_id, None, after.state.value, record.id, after.version))
        return
    if after.timers is not before.timers:
        tally.timers += len(after.timers) - len(before.timers)
        batch.timers[record.call_id] = after.timers
    if after.pending is not before.pending:
        tally.pending += len(after.pending) - len(before.pending)
    if after.state is not before.state:
        tally.live += (after.state is not CallState.ENDED) - (before.state is not CallState.ENDED)
        batch.moves.append(Move(after.call_id, before.state.value, after.state.value, record.id, after.version))
