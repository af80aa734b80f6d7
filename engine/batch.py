"""One batch in the making: the state records of one append, and what may leave once they are durable.

Every event stands in the outbox of a state record before it leaves. The outbox of a call is cumulative within a batch,
because compaction may keep only the last record of a key; so is that of `~pos`, for records that left no call. What a
batch has said is published before the next one is appended, which then says so (`published`).
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from cordboard.log.port import MAX_RECORD_BYTES, Entry
from engine.limits import EngineLimits
from engine.parking import Parked
from schemas.codec import encode
from schemas.commands import name_of
from schemas.records import Inbox
from schemas.results import Result
from schemas.topics import PARKED_KEY_PREFIX, STATE_POSITION_KEY

_NO_CALL = msgspec.UNSET


class RecordTooBigError(Exception):
    """A step made a state record larger than the topic takes."""


class StateEnvelope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """`schemas.state.StateRecord` in which the call is not decoded: its bytes go in and out as they are."""

    in_off: int
    owner: int
    published: int = -1
    call: msgspec.Raw | msgspec.UnsetType = _NO_CALL
    outbox: tuple[msgspec.Raw, ...] = ()
    parked: msgspec.Raw | msgspec.UnsetType = _NO_CALL
    until: int | None = None


class Tally:
    """What a batch changes in the metrics."""

    def __init__(self) -> None:
        self.kinds: Counter[type[Inbox]] = Counter()
        self.ignored: Counter[str] = Counter()
        self.answers: Counter[tuple[str, str]] = Counter()
        self.live = 0
        self.pending = 0
        self.timers = 0

    def applied(self, record: Inbox) -> None:
        """A record changed a call."""
        self.kinds[type(record)] += 1

    def passed_over(self, reason: str) -> None:
        """A record changed nothing."""
        self.ignored[reason] += 1

    def answered(self, result: Result) -> None:
        """A command got its result."""
        self.answers[name_of(result.command_type) or "unknown", result.outcome.value] += 1


class Move(msgspec.Struct, frozen=True, gc=False):
    """A call went from one state to another; for the log."""

    call_id: str
    before: str | None
    after: str
    cause: str
    version: int


class Batch:
    """Collects; `close` completes it. `owner` is the claim's token, `published` the offset up to which all has left."""

    def __init__(self, partition: int, owner: int, published: int, limits: EngineLimits) -> None:
        self.state: list[Entry] = []
        self.actions: list[Entry] = []
        self.events: list[Entry] = []
        self.letters: list[Entry] = []
        self.timers: dict[str, Mapping[str, int]] = {}
        """All timers of the calls in which some have changed."""
        self.parking: list[Parked | str] = []
        self.begun: list[str] = []
        self.moves: list[Move] = []
        self.tally = Tally()
        self.full = False
        self.last_offset: int | None = None
        """The inbox offset of the last record in it."""
        self.good = 0
        """Records applied since the last dead letter: for the stop rule."""
        self._partition = partition
        self._owner = owner
        self._published = published
        self._limits = limits
        self._bytes = 0
        self._outboxes: dict[bytes, tuple[msgspec.Raw, ...]] = {}
        self._stray: tuple[msgspec.Raw, ...] = ()
        self._stray_written = 0
        self._written_off = -1

    def write_call(self, offset: int, key: bytes, encoded: bytes, said: list[bytes]) -> None:
        """The state record of a call that the record at `offset` changed. `RecordTooBigError` leaves all as it was."""
        outbox = self._outboxes.get(key, ())
        if said:
            outbox = (*outbox, *map(msgspec.Raw, said))
        value = encode(StateEnvelope(offset, self._owner, self._published, msgspec.Raw(encoded), outbox))
        if len(value) + len(key) > MAX_RECORD_BYTES:
            raise RecordTooBigError(f"the state record would have {len(value)} bytes, at most {MAX_RECORD_BYTES}")
        if self._stray_written < len(self._stray):
            self._write_position(offset - 1)
        if said:
            self._outboxes[key] = outbox
        self._write(offset, key, value)

    def forget_call(self, offset: int, key: bytes, said: list[bytes]) -> None:
        """The call is no more. What it said last moves under `~pos`, which goes first: a torn append loses nothing.

        At worst the call is still there after a take-over, with its timer, which forgets it again under the same ids.
        """
        self._stray += (*self._outboxes.pop(key, ()), *map(msgspec.Raw, said))
        self._write_position(offset)
        self._write(offset, key, None)

    def say_without_call(self, said: list[bytes]) -> None:
        """What a record that changed no call made us say."""
        if said:
            self._stray += tuple(map(msgspec.Raw, said))
            if sum(map(len, said)) > self._limits.big_record_bytes:
                self.full = True

    def park(self, offset: int, parked: Parked) -> None:
        """Let a record wait in the state."""
        envelope = StateEnvelope(
            offset, self._owner, self._published, parked=msgspec.Raw(parked.raw), until=parked.until
        )
        value = encode(envelope)
        if len(value) + len(parked.record_id) + len(PARKED_KEY_PREFIX) > MAX_RECORD_BYTES:
            raise RecordTooBigError(f"a parked record of {len(value)} bytes, at most {MAX_RECORD_BYTES}")
        self._write_strays(offset - 1)
        self._write(offset, _parked_key(parked.record_id), value)
        self.parking.append(parked)

    def unpark(self, offset: int, record_id: str) -> None:
        """A record that waited has been applied. Its offset is covered first: a torn append lets it come once more."""
        if self._written_off < offset:
            self._write_position(offset)
        self._write(offset, _parked_key(record_id), None)
        self.parking.append(record_id)

    def close(self) -> None:
        """Cover everything up to `last_offset`."""
        last = self.last_offset
        if last is not None and (self._written_off < last or self._stray_written < len(self._stray)):
            self._write_position(last)

    def _write_strays(self, up_to: int) -> None:
        """What was said without a call must be in the log before any record that covers a later offset."""
        if self._stray_written < len(self._stray):
            self._write_position(up_to)

    def _write_position(self, offset: int) -> None:
        value = encode(StateEnvelope(offset, self._owner, self._published, outbox=self._stray))
        self._stray_written = len(self._stray)
        self._write(offset, STATE_POSITION_KEY, value)

    def _write(self, offset: int, key: bytes, value: bytes | None) -> None:
        self.state.append(Entry(self._partition, key, value))
        self._written_off = offset
        if value is not None:
            size = len(value)
            self._bytes += size
            if size > self._limits.big_record_bytes or self._bytes > self._limits.batch_bytes:
                self.full = True


def _parked_key(record_id: str) -> bytes:
    return PARKED_KEY_PREFIX + record_id.encode()
