"""What one partition of a log says has been: the inbox, and what came of it then.

`call.state` is compacted and the other topics are deleted by age, so any of it may be missing. What had not left when
it was read stands in the outbox and among the pending actions of the state records, which are read after the topics.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from datetime import datetime
from typing import NamedTuple

import msgspec

from cordboard.app.replay.histories import READ, History
from cordboard.errors import LogError
from cordboard.log.port import Record
from engine.batch import StateEnvelope
from engine.calls import Glance
from schemas.ids import event_id
from schemas.topics import CLAIM_KEY, PARKED_KEY_PREFIX, STATE_POSITION_KEY, Topic
from schemas.versions import NewerStateError, current

_OURS = (STATE_POSITION_KEY, CLAIM_KEY)
_FOR_EVER = 1 << 62
_NO_QUEUES = b'"taskrouter_not_configured"'


class State(msgspec.Struct, frozen=True):
    """A state record: the call in the present shape, None for a tombstone (whose `in_off` is not known: -1)."""

    in_off: int
    encoded: bytes | None


class Letter(msgspec.Struct, frozen=True):
    """Why the record at an inbox offset became a dead letter."""

    reason: str
    detail: str


class Said(NamedTuple):
    """An event or action: about which call, and its id. A producer may use a command's id for two calls."""

    call_id: str
    id: str


class _Ids(msgspec.Struct, frozen=True, gc=False):
    id: str
    subject: str = ""
    call_id: str = ""


class _Told(msgspec.Struct, frozen=True):
    time: str


def said(value: bytes) -> Said:
    """Which event or action this is. Raises `msgspec.MsgspecError`, `UnicodeDecodeError` for anything else."""
    ids = msgspec.json.decode(value, type=_Ids)
    return Said(ids.subject or ids.call_id, ids.id)


class Recorded:
    """One partition as it was. `since`: from which inbox record on (log time, ms) a topic still holds everything."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.inbox: list[Record] = []
        self.states: dict[str, list[State]] = {}
        self.events: dict[Said, bytes] = {}
        self.actions: dict[Said, bytes] = {}
        self.letters: dict[int, Letter] = {}
        self.covered = -1
        self.since: dict[Topic, int] = {}
        self.begins = 0
        """The oldest offset that the inbox still holds."""

    def take(self, record: Record) -> None:
        """One record of any topic. Raises `LogError` for a state that this version cannot read."""
        match record.topic:
            case Topic.INBOX:
                if record.offset <= self.covered:
                    self.inbox.append(record)
            case Topic.STATE:
                self._take_state(record)
            case Topic.EVENTS:
                self._note(self.events, record.value)
            case Topic.ACTIONS:
                self._note(self.actions, record.value)
            case Topic.DEAD_LETTERS:
                self._take_letter(record)

    def had_queues(self) -> bool:
        """Whether TaskRouter was configured then: nobody was told that it was not."""
        return not any(_NO_QUEUES in event for event in self.events.values())

    def born_at(self, call_id: str) -> int | None:
        """When a call of which no state is left began (ms), 0 for a time that nothing tells; None if it never did."""
        first = self.events.get(Said(call_id, event_id(call_id, 1, 0)))
        if first is not None:
            return int(datetime.fromisoformat(msgspec.json.decode(first, type=_Told).time).timestamp() * 1000)
        own = f"{call_id}."
        return 0 if any(one.call_id == call_id and one.id.startswith(own) for one in self.events) else None

    def _take_state(self, record: Record) -> None:
        key = record.key or b""
        if key == CLAIM_KEY or key.startswith(PARKED_KEY_PREFIX):
            return
        call_id = key.decode()
        if record.value is None:
            self.states.setdefault(call_id, []).append(State(-1, None))
            return
        where = f"call.state[{record.partition}] offset {record.offset}"
        try:
            envelope = msgspec.json.decode(record.value, type=StateEnvelope)
            for event in envelope.outbox:
                self._note(self.events, bytes(event))
            self.covered = max(self.covered, envelope.in_off)
            if key == STATE_POSITION_KEY or not isinstance(envelope.call, msgspec.Raw):
                return
            encoded = current(bytes(envelope.call))
        except NewerStateError as error:
            raise LogError(
                f"{where}: call {call_id} is of a newer version ({error}). Replay it with that one"
            ) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LogError(f"{where}: cannot be read ({error})") from error
        self.states.setdefault(call_id, []).append(State(envelope.in_off, encoded))
        for pending in msgspec.json.decode(encoded, type=Glance).pending:
            self._note(self.actions, bytes(pending.action))

    def _take_letter(self, record: Record) -> None:
        headers = {name: value.decode(errors="replace") for name, value in record.headers}
        here = headers.get("source_topic") == Topic.INBOX.value
        if here and headers.get("source_partition") == str(self.partition) and "source_offset" in headers:
            letter = Letter(headers.get("reason", ""), headers.get("detail", ""))
            self.letters[int(headers["source_offset"])] = letter

    @staticmethod
    def _note(into: dict[Said, bytes], value: bytes | None) -> None:
        """What was published twice was said once. Foreign bytes have no id, and are nobody's saying."""
        try:
            into.setdefault(said(value or b""), value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return


async def read_recorded(history: History, partition: int, calls: Collection[str]) -> Recorded:
    """Read one partition: of these calls, or of all. Raises `LogError`."""
    keys = {call.encode() for call in calls}
    recorded = Recorded(partition)
    recorded.begins = (await history.bounds(Topic.INBOX, partition)).earliest
    for topic in READ:
        recorded.since[topic] = await _since(history, topic, partition)
        async for record in _of(history.read(topic, partition), keys):
            recorded.take(record)
    return recorded


async def _of(records: AsyncIterator[Record], keys: Collection[bytes]) -> AsyncIterator[Record]:
    async for record in records:
        if not keys or record.key in keys or record.key in _OURS:
            yield record


async def _since(history: History, topic: Topic, partition: int) -> int:
    bounds = await history.bounds(topic, partition)
    if bounds.earliest == 0:
        return 0
    async with aclosing(history.read(topic, partition)) as records:
        async for record in records:
            return record.timestamp_ms
    return _FOR_EVER
