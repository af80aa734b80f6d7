"""What a run has left, decoded once: the log's contents, Twilio's ledger, the ingress' acknowledgements."""

from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from actions.ledger import LedgerEntry
from cordboard.log.port import Record
from engine.batch import StateEnvelope
from schemas.actions import Action
from schemas.codec import decode_action, decode_inbox
from schemas.records import Inbox
from schemas.results import RESULT_TYPE
from schemas.state import Call
from schemas.topics import CLAIM_KEY, Topic
from simulation.running import Run

_state = msgspec.json.Decoder(StateEnvelope).decode
_ledger = msgspec.json.Decoder(LedgerEntry).decode
_call = msgspec.json.Decoder(Call).decode


class StateEntry(NamedTuple):
    """One record of `call.state`. `envelope` None is a tombstone; `call` None a record without one."""

    record: Record
    key: bytes
    envelope: StateEnvelope | None
    call: Call | None


class Ledgers:
    """A run, decoded."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.world = run.world
        self.partitions = range(run.world.plan.partitions)

    def records(self, topic: Topic) -> list[Record]:
        """Everything in a topic, partition by partition."""
        return [record for partition in self.partitions for record in self.world.log.records(topic, partition)]

    @cached_property
    def inbox(self) -> list[list[Inbox]]:
        """By partition, in order: the index is the offset."""
        return [
            [decode_inbox(record.value or b"") for record in self.world.log.records(Topic.INBOX, partition)]
            for partition in self.partitions
        ]

    @cached_property
    def state(self) -> list[list[StateEntry]]:
        """By partition, in order, claims left out."""
        return [
            [_entry(record) for record in self.world.log.records(Topic.STATE, partition) if record.key != CLAIM_KEY]
            for partition in self.partitions
        ]

    @cached_property
    def ledger(self) -> list[tuple[Record, LedgerEntry]]:
        """Everything in `call.ledger` but claims."""
        found = [r for r in self.records(Topic.LEDGER) if r.key != CLAIM_KEY and r.value is not None]
        return [(record, _ledger(record.value or b"")) for record in found]

    @cached_property
    def actions(self) -> dict[str, Action]:
        """Every action that was ever wanted, by id: published ones and those pending in some state."""
        found = {(action := decode_action(r.value or b"")).id: action for r in self.records(Topic.ACTIONS)}
        for entries in self.state:
            for entry in entries:
                if entry.call is not None:
                    found.update((item.action.id, item.action) for item in entry.call.pending)
        return found

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Everything in `call.events`, repetitions too."""
        return [msgspec.json.decode(record.value or b"") for record in self.records(Topic.EVENTS)]

    @cached_property
    def results(self) -> dict[str, list[dict[str, Any]]]:
        """The answers of each command, by its id."""
        found: dict[str, list[dict[str, Any]]] = {}
        for event in self.events:
            if event["type"] == RESULT_TYPE:
                found.setdefault(event["data"]["command_id"], []).append(event["data"])
        return found

    @cached_property
    def calls(self) -> dict[str, Call]:
        """Every call as its last state record has it."""
        last: dict[bytes, Call | None] = {}
        for entries in self.state:
            for entry in entries:
                if not entry.key.startswith(b"~"):
                    last[entry.key] = entry.call
        return {key.decode(): call for key, call in last.items() if call is not None}


def _entry(record: Record) -> StateEntry:
    envelope = None if record.value is None else _state(record.value)
    raw = None if envelope is None else envelope.call
    call = _call(raw) if isinstance(raw, msgspec.Raw) else None
    return StateEntry(record, record.key or b"", envelope, call)
