"""What a take-over finds in `call.state`: the last record of every key, and what had not left when it was written.

Reading only; publishing again and rewriting are the partition's (reliability.md 2.3, steps 3 to 5). A record that
cannot be read raises: a partition with a hole in its state must not go live.
"""

from collections.abc import Iterator

import msgspec
import structlog

from cordboard.errors import LogError
from cordboard.log.port import Entry, FencedPartition, Record
from engine.batch import StateEnvelope
from engine.parking import Parked
from schemas.codec import decode_inbox, encode
from schemas.state import DEFINITION
from schemas.topics import PARKED_KEY_PREFIX, STATE_POSITION_KEY
from schemas.versions import NewerStateError, current


class _Subject(msgspec.Struct, frozen=True, gc=False):
    subject: str


_decode_subject = msgspec.json.Decoder(_Subject).decode
_decode = msgspec.json.Decoder(StateEnvelope).decode

_log = structlog.get_logger(__name__)


class UnreadableStateError(LogError):
    """A state record that this version cannot read: roll back, or repair the record, before going on."""


class Recovered:
    """The state of a partition, record by record."""

    def __init__(self) -> None:
        self.calls: dict[str, bytes] = {}
        """Encoded calls by id."""
        self.parked: dict[str, Parked] = {}
        self.covered = -1
        """Highest inbox offset that a record covers."""
        self.published = -1
        """Highest inbox offset up to which everything is known to have left."""
        self._owner = -1
        self._outboxes: dict[bytes, StateEnvelope] = {}
        self._violated: dict[bytes, None] = {}

    def take(self, record: Record) -> None:
        """The next record, oldest first."""
        key = record.key or b""
        if record.value is None:
            self._forget(key)
            return
        try:
            envelope = _decode(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnreadableStateError(
                f"call.state[{record.partition}] offset {record.offset}, key {key[:80]!r}: {error}"
            ) from error
        if envelope.owner < self._owner:
            self._refuse(record, envelope)
            return
        self._owner = envelope.owner
        self.covered = max(self.covered, envelope.in_off)
        self.published = max(self.published, envelope.published)
        self._keep(key, envelope)

    def bring_up(self, partition: int) -> int:
        """Bring calls of older versions up to this one; gives how many there were.

        Raises `UnreadableStateError` for a call of a newer version: stepping it would lose what only that one knows.
        """
        older = 0
        for call_id, encoded in self.calls.items():
            try:
                now = current(encoded)
            except NewerStateError as error:
                raise UnreadableStateError(
                    f"call.state[{partition}]: call {call_id} was written by a newer version of Cordboard ({error}). "
                    "It was left as it is. Start that version again, or a newer one; docs/upgrades.md says more"
                ) from error
            except msgspec.MsgspecError as error:
                raise UnreadableStateError(
                    f"call.state[{partition}]: call {call_id} cannot be read: {error}"
                ) from error
            if now is not encoded:
                self.calls[call_id] = now
                older += 1
        return older

    def unpublished(self) -> Iterator[tuple[str, bytes]]:
        """Events that may not have left: call id and bytes as they were, in the order of the inbox."""
        late = [(held.in_off, key) for key, held in self._outboxes.items() if held.in_off > self.published]
        for _, key in sorted(late):
            for event in self._outboxes[key].outbox:
                yield _decode_subject(event).subject, bytes(event)

    def repairs(self, partition: int, owner: int) -> list[Entry]:
        """Records that put right what a former owner wrote too late, before compaction makes that the last word."""
        return [self._repair(key, partition, owner) for key in self._violated]

    def _keep(self, key: bytes, envelope: StateEnvelope) -> None:
        if envelope.outbox:
            self._outboxes[key] = envelope
        else:
            self._outboxes.pop(key, None)
        if isinstance(envelope.call, msgspec.Raw):
            self.calls[key.decode()] = bytes(envelope.call)
        elif isinstance(envelope.parked, msgspec.Raw):
            raw = bytes(envelope.parked)
            record = decode_inbox(raw)
            self.parked[record.id] = Parked(record.id, record.call_id, raw, envelope.until or 0)

    def _forget(self, key: bytes) -> None:
        self._outboxes.pop(key, None)
        if key.startswith(PARKED_KEY_PREFIX):
            self.parked.pop(key.removeprefix(PARKED_KEY_PREFIX).decode(), None)
        else:
            self.calls.pop(key.decode(), None)

    def _refuse(self, record: Record, envelope: StateEnvelope) -> None:
        _log.error(
            "engine.stale_owner_wrote", partition=record.partition, offset=record.offset,
            owner=envelope.owner, expected_at_least=self._owner,
        )  # fmt: skip
        self._violated[record.key or b""] = None

    def _repair(self, key: bytes, partition: int, owner: int) -> Entry:
        envelope = StateEnvelope(self.covered, owner, self.published)
        held = self._outboxes.get(key)
        if held is not None:
            envelope = msgspec.structs.replace(envelope, in_off=held.in_off, outbox=held.outbox)
        if key == STATE_POSITION_KEY:
            return Entry(partition, key, encode(envelope))
        if key.startswith(PARKED_KEY_PREFIX):
            parked = self.parked.get(key.removeprefix(PARKED_KEY_PREFIX).decode())
            if parked is None:
                return Entry(partition, key, None)
            envelope = msgspec.structs.replace(envelope, parked=msgspec.Raw(parked.raw), until=parked.until)
            return Entry(partition, key, encode(envelope))
        call = self.calls.get(key.decode())
        if call is None:
            return Entry(partition, key, None)
        return Entry(partition, key, encode(msgspec.structs.replace(envelope, call=msgspec.Raw(call))))


async def recover(fenced: FencedPartition, partition: int) -> Recovered:
    """Replay everything before our claim; calls are of this version then.

    Raises `FencedError`, `LogError`, `UnreadableStateError`.
    """
    recovered = Recovered()
    async for batch in fenced.replay():
        for record in batch:
            recovered.take(record)
    older = recovered.bring_up(partition)
    if older:
        _log.info("engine.calls_brought_up", partition=partition, calls=older, definition=DEFINITION)
    return recovered
