"""The step: one record in, the call and the effects out. The whole engine turns on this function.

Pure: no await, clock, randomness, logging, and no exception for bad input. Time is the record's own; ids are derived
from the call, its version and a position; what is not expected is ignored with a reason, or rejected with what is.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from engine.core import answers, births, commanding, facts, machines, reports, timers
from engine.core.calls import FORGET
from engine.core.config import CoreConfig
from engine.core.effects import Ignore, Park, Step, Unplaced
from engine.core.turn import Turn
from schemas.ids import is_task_sid
from schemas.records import ActionReport, Command, Inbox, Resumed, TimerDue, Webhook
from schemas.state import Call
from schemas.webhooks import Assignment, Source, TaskEvent, VoiceRequest, read_form

PARK_MS = 10_000
REFUSED_KEPT_MS = 600_000
"""How long a command that found no call is remembered, in case the call and a copy of it still come."""
DIGEST_BYTES = 8
DIGESTS_KEPT = 32


class Switchboard:
    """The step with the configuration that it was started with."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config

    def step(self, call: Call | None, record: Inbox, refused: Sequence[Command] = ()) -> Step:
        """Apply `record` to `call` (None: not known). The call that comes out is to be stored, None: there is none.

        `refused` are commands that found no such call and were answered so: one that begins now answers them the same.
        """
        if call is None:
            begun = self._begin(record)
            if isinstance(begun, Step):
                return begun
            answers.remember(begun, refused)
            return _finished(begun, _digest(record))
        digest = _digest(record)
        turn = Turn(call, record.at, record.id, self._config)
        if isinstance(record, TimerDue) and record.name == FORGET and call.timers.get(FORGET) == record.due:
            return Step(None, ())
        if _seen(call.seen, digest) and not isinstance(record, Command):
            turn.ignore("duplicate", _kind(record))
        elif isinstance(record, Command) and record.parked:
            return Step(call, (Ignore("refused_before"),))
        else:
            _apply(turn, record)
        return _finished(turn, digest)

    def _begin(self, record: Inbox) -> Turn | Step:
        match record:
            case Webhook(source=Source.VOICE):
                try:
                    form = read_form(record.source, record.params)
                except msgspec.MsgspecError:
                    return Step(None, (Ignore("malformed"),))
                assert isinstance(form, VoiceRequest)  # noqa: S101 - the form of this source
                return births.by_webhook(self._config, record, form)
            case Webhook(source=Source.ASSIGNMENT | Source.TASK) if is_task_sid(record.call_id):
                return self._adopt(record)
            case Webhook():
                return Step(None, (Unplaced(),) if record.parked else (Park(record.at + PARK_MS),))
            case Command(parked=True):
                return Step(None, (Ignore("refused_before"),))
            case Command(name="call.dial", invalid=None):
                return births.by_command(self._config, record)
            case Command():
                return Step(None, (answers.unknown_call(record), Park(record.at + REFUSED_KEPT_MS)))
            case ActionReport() | TimerDue() | Resumed():
                return Step(None, (Ignore("unknown_call"),))

    def _adopt(self, record: Webhook) -> Turn | Step:
        """A call in a queue of others: its first news makes it known, whatever that is, unless it is the last."""
        try:
            form = read_form(record.source, record.params)
        except msgspec.MsgspecError:
            return Step(None, (Ignore("malformed"),))
        assert isinstance(form, Assignment | TaskEvent)  # noqa: S101 - the forms of these sources
        turn = births.by_task(self._config, record, form)
        if turn is None:
            return Step(None, (Ignore("unknown_task"),))
        machines.drain(turn)
        facts.apply(turn, record)
        return turn


def _apply(turn: Turn, record: Inbox) -> None:
    match record:
        case Webhook():
            facts.apply(turn, record)
        case Command():
            commanding.apply(turn, record)
        case ActionReport():
            reports.apply(turn, record)
        case TimerDue():
            timers.apply(turn, record)
        case Resumed():
            timers.resume(turn)


def _finished(turn: Turn, digest: bytes) -> Step:
    machines.drain(turn)
    if turn.call.open:
        answers.settle(turn)
    call = turn.call
    seen = (call.seen + digest)[-DIGEST_BYTES * DIGESTS_KEPT :]
    turn.set(version=call.version + 1, seen=seen)
    return Step(call, tuple(turn.effects))


def _digest(record: Inbox) -> bytes:
    return blake2b(record.id.encode(), digest_size=DIGEST_BYTES).digest()


def _seen(seen: bytes, digest: bytes) -> bool:
    """Whether `digest` is one of those packed in `seen`, at a place where one begins."""
    position = seen.find(digest)
    while position >= 0 and position % DIGEST_BYTES:
        position = seen.find(digest, position + 1)
    return position >= 0


def _kind(record: Inbox) -> str:
    return str(type(record).__struct_config__.tag)
