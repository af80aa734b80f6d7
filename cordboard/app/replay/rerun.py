"""The inbox of one partition once more, record by record, through the engine's own applier: what comes of it now.

Calls whose beginning the inbox no longer holds start from the oldest state that is still there; those without one are
left out, and said so. A call begins under the policy that it had, unless today's settings are asked for.
"""

from collections.abc import Iterator, Sequence

import msgspec

from cordboard.app.replay.recorded import Letter, Recorded, Said, said
from cordboard.log.port import Entry, Record
from cordboard.stop_rule import StopPolicy, StopRule
from engine.applier import Applier
from engine.batch import Batch, StateEnvelope
from engine.calls import Calls
from engine.core.config import CoreConfig
from engine.core.effects import Step
from engine.core.step import Switchboard
from engine.limits import EngineLimits
from engine.parking import Parking
from schemas.codec import decode_inbox
from schemas.policy import Policies
from schemas.records import Command, Inbox
from schemas.state import Call
from schemas.topics import Topic

_NEVER = StopRule(StopPolicy(in_a_row=1 << 62, at_least=1 << 62))
_decode = msgspec.json.Decoder(Call).decode


class Outcome(msgspec.Struct, frozen=True):
    """What came of one inbox record. `changed` says whether there is a state record; `encoded` is None for a tombstone.

    Events and actions are by id, in order.
    """

    record: Record
    call_id: str
    changed: bool
    encoded: bytes | None
    events: dict[Said, bytes]
    actions: dict[Said, bytes]
    letter: Letter | None


class Rerun:
    """One partition stepped anew. `config` is today's; without one each call begins as it began then.

    `skipped` are the calls that cannot be stepped, with why.
    """

    def __init__(self, recorded: Recorded, partitions: int, config: CoreConfig | None = None) -> None:
        self.skipped: dict[str, str] = {}
        self.resumed: dict[str, int] = {}
        """Calls that began from a recorded state, and the inbox offset which that covers."""
        self._recorded = recorded
        self._today = config
        self._queues = recorded.had_queues()
        self._begun: dict[str, Call | None] = {}
        self._now_ms = 0
        self._calls = Calls(1024)
        self._parking = Parking(0)
        self._applier = Applier(
            self._step, self._calls, self._parking, _NEVER, partition=recorded.partition, partitions=partitions,
            clock=lambda: self._now_ms, limits=EngineLimits(),
        )  # fmt: skip

    def outcomes(self) -> Iterator[Outcome]:
        """Step every record that was applied then."""
        for record in self._recorded.inbox:
            call_id = (record.key or b"").decode(errors="replace")
            if self._takes_part(call_id, record):
                self._now_ms = record.timestamp_ms
                batch, _ = self._applier.apply([record], 0, 0, -1)
                self._parking.change(batch.parking)
                yield _outcome(record, call_id, batch)

    def final(self, call_id: str) -> bytes | None:
        """The call as it is in the end."""
        return self._calls.encoded(call_id)

    def _takes_part(self, call_id: str, record: Record) -> bool:
        if call_id in self.skipped:
            return False
        if call_id not in self._begun and self._is_cut_off(call_id):
            if not self._resume(call_id):
                self.skipped[call_id] = "began before what the inbox still holds, and no state of it then is left"
                return False
        elif call_id not in self._begun:
            self._begun[call_id] = self._known(call_id)
        return record.offset > self.resumed.get(call_id, -1)

    def _is_cut_off(self, call_id: str) -> bool:
        """Whether the call began before what the inbox still holds, as far as anything tells."""
        since = self._recorded.since[Topic.INBOX]
        if since == 0:
            return False
        known = self._known(call_id)
        born_at = self._recorded.born_at(call_id) if known is None else known.created_at
        return born_at is not None and born_at < since

    def _resume(self, call_id: str) -> bool:
        """Begin from the oldest state behind which no record is missing."""
        whole = (state for state in self._recorded.states.get(call_id, ()) if state.in_off >= self._recorded.begins - 1)
        first = next((state for state in whole if state.encoded is not None), None)
        if first is None or first.encoded is None:
            return False
        self._begun[call_id] = call = _decode(first.encoded)
        self.resumed[call_id] = first.in_off
        self._calls.put(call_id, call, first.encoded)
        return True

    def _known(self, call_id: str) -> Call | None:
        states = self._recorded.states.get(call_id, ())
        return next((_decode(state.encoded) for state in states if state.encoded is not None), None)

    def _step(self, call: Call | None, record: Inbox, refused: Sequence[Command] = ()) -> Step:
        return Switchboard(self._config(record.call_id)).step(call, record, refused)

    def _config(self, call_id: str) -> CoreConfig:
        known = self._begun.get(call_id)
        if self._today is not None:
            return self._today
        if known is None:
            return CoreConfig(queues=self._queues)
        return CoreConfig(Policies(defaults=known.policy), known.account_sid, known.number, self._queues)


def _outcome(record: Record, call_id: str, batch: Batch) -> Outcome:
    mine = [entry for entry in batch.state if entry.key == record.key]
    return Outcome(
        record=record,
        call_id=call_id,
        changed=bool(mine),
        encoded=_call_in(mine[-1]) if mine else None,
        events=_by_id(batch.events),
        actions=_by_id(batch.actions),
        letter=_letter(batch.letters),
    )


def _by_id(entries: list[Entry]) -> dict[Said, bytes]:
    return {said(entry.value or b""): entry.value or b"" for entry in entries}


def _call_in(entry: Entry) -> bytes | None:
    if entry.value is None:
        return None
    call = msgspec.json.decode(entry.value, type=StateEnvelope).call
    return bytes(call) if isinstance(call, msgspec.Raw) else None


def _letter(letters: list[Entry]) -> Letter | None:
    if not letters:
        return None
    headers = dict(letters[-1].headers)
    return Letter(headers["reason"].decode(), headers["detail"].decode(errors="replace"))


def cause_of(record: Record) -> str:
    """The id of an inbox record, or where it is for one that cannot be read."""
    try:
        return decode_inbox(record.value or b"").id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return f"{record.topic.value}[{record.partition}] offset {record.offset}"
