"""What a run has left, decoded once: the log's contents, Twilio's ledger, the ingress' acknowledgements.

Where the three come from is the business of who made the run: `simulation/evidence.py`, `chaos/evidence.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from actions.ledger import LedgerEntry
from cordboard.log.port import Record
from engine.batch import StateEnvelope
from engine.core.step import Switchboard
from schemas.actions import Action
from schemas.codec import decode_action, decode_inbox
from schemas.records import Inbox
from schemas.results import RESULT_TYPE
from schemas.routes import Route
from schemas.state import Call
from schemas.topics import CLAIM_KEY, Topic

_state = msgspec.json.Decoder(StateEnvelope).decode
_ledger = msgspec.json.Decoder(LedgerEntry).decode
_call = msgspec.json.Decoder(Call).decode

BROKEN = frozenset(
    {"action.broke", "engine.record_poisoned", "ownership.work_failed", "router.partition_stopped",
     "router.command_poisoned", "engine.stale_owner_wrote", "ledger.owner_decreased", "ledger.unreadable"}
)  # fmt: skip
"""Log events that must never be said."""


class StateEntry(NamedTuple):
    """One record of `call.state`. `envelope` None is a tombstone; `call` None a record without one."""

    record: Record
    key: bytes
    envelope: StateEnvelope | None
    call: Call | None


class Delivered(NamedTuple):
    """One callback of Twilio's: where it went, its form, and whether it was acknowledged as recorded."""

    route: Route
    url: str
    form: Mapping[str, str]
    acked: bool


class Sent(NamedTuple):
    """A worker began to send an action. `doubtful`: it may have been somebody else's turn without its knowing."""

    at_ms: int
    action: Action
    doubtful: bool


class OpenTask(NamedTuple):
    """A task that TaskRouter still has open in the end: of which call, what it is for, and where it is."""

    call_id: str
    name: str
    status: str


class Ledgers(ABC):
    """A run, decoded. What is abstract is known only to who made the run."""

    partitions: Sequence[int]

    @abstractmethod
    def log_records(self, topic: Topic, partition: int) -> Sequence[Record]:
        """Everything that was ever written there, in order."""

    # What Twilio knows

    @property
    @abstractmethod
    def callbacks(self) -> Iterable[Delivered]:
        """Every callback and every document that was asked for."""

    @property
    @abstractmethod
    def created(self) -> Mapping[str, Sequence[float]]:
        """When Twilio created a call, seconds, by the action that asked for it."""

    @property
    @abstractmethod
    def sent(self) -> Iterable[Sent]:
        """Requests, as far as the action is known, in their order."""

    @property
    @abstractmethod
    def open_tasks(self) -> Iterable[OpenTask]:
        """Tasks that are left when everybody has gone home, of which Twilio has told everything."""

    @abstractmethod
    def disagreements(self) -> Iterator[str]:
        """Where Cordboard and Twilio showed something else when all had healed and before everybody went home."""

    # What went wrong

    @property
    @abstractmethod
    def quiet(self) -> bool:
        """Whether nothing did."""

    @abstractmethod
    def may_have_slept(self, action_id: str) -> bool:
        """Whether what created a call for it was checked long before: its process slept, or it was kept on its way."""

    @abstractmethod
    def claims_explained(self, topic: Topic, partition: int) -> int:
        """How many claims the changes of ownership explain."""

    @abstractmethod
    def troubles(self) -> Iterator[str]:
        """What broke although nothing may: processes, records, the run itself."""

    # What the run was

    @property
    @abstractmethod
    def commands(self) -> Iterable[str]:
        """Ids of the commands that were durable when their sender was told so."""

    @property
    @abstractmethod
    def numbers(self) -> frozenset[str]:
        """Everybody's numbers."""

    @property
    @abstractmethod
    def said(self) -> Iterable[str]:
        """What the services have logged, entry by entry."""

    @property
    @abstractmethod
    def looks(self) -> Sequence[tuple[int, Mapping[str, Call]]]:
        """The calls as the state had them, at instants (ms) when nothing should have been overdue."""

    @property
    @abstractmethod
    def behind(self) -> Mapping[str, int]:
        """Where records had not been dealt with thirty seconds after the last fault, and how many."""

    @abstractmethod
    def switchboard(self) -> Switchboard:
        """The pure core, configured as it was."""

    def live_state(self, partition: int, call_id: str) -> bytes | msgspec.UnsetType | None:
        """What the owner of a partition holds of a call at the end; UNSET where nobody can look."""
        del partition, call_id
        return msgspec.UNSET

    @abstractmethod
    def place(self, record: Record) -> int:
        """Grows with the order of writing, across topics and partitions."""

    # Decoded

    def records(self, topic: Topic) -> list[Record]:
        """Everything in a topic, partition by partition."""
        return [record for partition in self.partitions for record in self.log_records(topic, partition)]

    @property
    def dead_letters(self) -> Sequence[Record]:
        """Everything that was set aside."""
        return self.records(Topic.DEAD_LETTERS)

    @cached_property
    def inbox(self) -> dict[int, list[Inbox]]:
        """By partition, in order: the index is the offset."""
        return {
            partition: [decode_inbox(record.value or b"") for record in self.log_records(Topic.INBOX, partition)]
            for partition in self.partitions
        }

    @cached_property
    def state(self) -> dict[int, list[StateEntry]]:
        """By partition, in order, claims left out."""
        return {
            partition: [
                _entry(record) for record in self.log_records(Topic.STATE, partition) if record.key != CLAIM_KEY
            ]
            for partition in self.partitions
        }

    @cached_property
    def ledger(self) -> list[tuple[Record, LedgerEntry]]:
        """Everything in `call.ledger` but claims."""
        found = [r for r in self.records(Topic.LEDGER) if r.key != CLAIM_KEY and r.value is not None]
        return [(record, _ledger(record.value or b"")) for record in found]

    @cached_property
    def actions(self) -> dict[str, Action]:
        """Every action that was ever wanted, by id: published ones and those pending in some state."""
        found = {(action := decode_action(r.value or b"")).id: action for r in self.records(Topic.ACTIONS)}
        for entries in self.state.values():
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
        for entries in self.state.values():
            for entry in entries:
                if not entry.key.startswith(b"~"):
                    last[entry.key] = entry.call
        return {key.decode(): call for key, call in last.items() if call is not None}


def _entry(record: Record) -> StateEntry:
    envelope = None if record.value is None else _state(record.value)
    raw = None if envelope is None else envelope.call
    call = _call(raw) if isinstance(raw, msgspec.Raw) else None
    return StateEntry(record, record.key or b"", envelope, call)
