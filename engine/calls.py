"""The calls of one partition in memory: encoded, as they stand in the state records, a few of them decoded as well.

Bytes are small and invisible to the garbage collector; a decoded call is many objects. Records of one call come in
bursts, so a short list of those used last saves most of the decoding (decision 045).
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

import msgspec

from schemas.state import Call

_decode = msgspec.json.Decoder(Call).decode


class PendingGlance(msgspec.Struct, frozen=True, gc=False):
    """A pending action of which only the bytes are wanted."""

    action: msgspec.Raw


class LegGlance(msgspec.Struct, frozen=True, gc=False):
    """A leg of which only the state is wanted."""

    state: str


class Glance(msgspec.Struct, frozen=True):
    """What a take-over needs to know of a call without decoding all of it."""

    state: str
    timers: dict[str, int] = {}
    pending: tuple[PendingGlance, ...] = ()
    legs: tuple[LegGlance, ...] = ()
    open: tuple[msgspec.Raw, ...] = ()


class _TimersGlance(msgspec.Struct, frozen=True):
    timers: dict[str, int] = {}


_glance = msgspec.json.Decoder(Glance).decode
_glance_timers = msgspec.json.Decoder(_TimersGlance).decode


class Calls:
    """Calls by id. `recent` bounds how many are kept decoded."""

    def __init__(self, recent: int) -> None:
        self._encoded: dict[str, bytes] = {}
        self._recent: OrderedDict[str, Call] = OrderedDict()
        self._limit = recent

    def load(self, encoded: dict[str, bytes]) -> None:
        """Take over what a replay has found."""
        self._encoded = encoded
        self._recent.clear()

    def get(self, call_id: str) -> Call | None:
        """The call, or None. Raises `msgspec.MsgspecError` for one that this version cannot read."""
        call = self._recent.get(call_id)
        if call is not None:
            return call
        encoded = self._encoded.get(call_id)
        if encoded is None:
            return None
        return _decode(encoded)

    def put(self, call_id: str, call: Call, encoded: bytes) -> None:
        """Replace the call."""
        self._encoded[call_id] = bytes(memoryview(encoded))  # msgspec leaves up to a third of its buffer behind it
        recent = self._recent
        recent[call_id] = call
        recent.move_to_end(call_id)
        if len(recent) > self._limit:
            recent.popitem(last=False)

    def drop(self, call_id: str) -> None:
        """Forget the call."""
        self._encoded.pop(call_id, None)
        self._recent.pop(call_id, None)

    def timers_of(self, call_id: str) -> Mapping[str, int]:
        """The timers that the call has set, name to due (ms)."""
        call = self._recent.get(call_id)
        if call is not None:
            return call.timers
        encoded = self._encoded.get(call_id)
        return {} if encoded is None else _glance_timers(encoded).timers

    def glances(self) -> Iterator[tuple[str, Glance]]:
        """Every call, as much of it as a take-over needs."""
        for call_id, encoded in self._encoded.items():
            yield call_id, _glance(encoded)

    def encoded(self, call_id: str) -> bytes | None:
        """The bytes of a call as in its state record."""
        return self._encoded.get(call_id)

    def __len__(self) -> int:
        return len(self._encoded)
