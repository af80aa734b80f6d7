"""The calls as they are: the newest state of every live call, and of those that ended lately.

Fed by `call.state` from its beginning; keeps what the topic says last about each call, encoded as it came, and decodes
when somebody looks. Ended calls are bounded by number and age; what happened to older ones is `timeline.py`'s to tell.
"""

import re
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator

import msgspec
import structlog

from cordboard.clock import Clock
from cordboard.log.port import Log, Record
from observe.tail import Tail
from schemas.codec import decode_state
from schemas.state import Call, CallState
from schemas.topics import CLAIM_KEY, STATE_POSITION_KEY, Topic
from schemas.view import CallSummary, summary_of

_CURSOR = re.compile(r"([0-9]{1,18})\.([A-Za-z0-9_-]{1,64})")
ENDED_KEPT = 10_000
ENDED_KEPT_MS = 6 * 3_600_000

_log = structlog.get_logger(__name__)


class _Line(msgspec.Struct, frozen=True, gc=False):
    call_sid: str | None = None


class _Outline(msgspec.Struct, frozen=True, gc=False):
    """What the list is searched by; the rest of the state is skipped, not decoded."""

    call_id: str
    state: CallState
    created_at: int
    ended_at: int | None = None
    legs: tuple[_Line, ...] = ()


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    call: _Outline | None = None


class _Kept(msgspec.Struct, frozen=True, gc=False):
    outline: _Outline
    encoded: bytes


class CallsPage(msgspec.Struct, frozen=True):
    """Body of `GET /v1/calls`. `next` is the cursor for `after=`, None at the end."""

    calls: tuple[CallSummary, ...]
    next: str | None


class InvalidCursorError(ValueError):
    """A cursor that no page has given."""


_outline = msgspec.json.Decoder(_Envelope)


class Calls:
    """The read model. `ended_kept` and `ended_kept_ms` bound what is remembered of calls that have ended."""

    def __init__(
        self, log: Log, clock: Clock, *, ended_kept: int = ENDED_KEPT, ended_kept_ms: int = ENDED_KEPT_MS
    ) -> None:
        self.tail = Tail(log, Topic.STATE, self.apply)
        self.unreadable = 0
        """State records that could not be decoded, counted and logged."""
        self._clock = clock
        self._ended_kept = ended_kept
        self._ended_kept_ms = ended_kept_ms
        self._calls: dict[str, _Kept] = {}
        self._by_call_sid: dict[str, str] = {}
        self._ended: OrderedDict[str, int] = OrderedDict()
        self._order: list[tuple[int, str]] = []

    def apply(self, record: Record) -> None:
        """Take one record of `call.state`."""
        if record.key in {None, CLAIM_KEY, STATE_POSITION_KEY}:
            return
        if record.value is None:
            self._forget((record.key or b"").decode(errors="replace"))
            return
        try:
            outline = _outline.decode(record.value).call
        except msgspec.DecodeError as error:
            self.unreadable += 1
            _log.error("observe.state_unreadable", partition=record.partition, offset=record.offset, error=str(error))
            return
        if outline is not None:
            self._keep(outline, record.value)

    def get(self, call_id: str) -> Call | None:
        """A call as the engine holds it, or None when it is neither live nor lately ended."""
        kept = self._calls.get(call_id)
        return None if kept is None else _call(kept)

    def call_of(self, sid: str) -> str:
        """The call that an id means: its own, or the CallSid of one of its legs; what nobody knows stays as it is."""
        return sid if sid in self._calls else self._by_call_sid.get(sid, sid)

    def created_at(self, call_id: str) -> int | None:
        """When a call began, ms since the epoch, or None for one that is not here."""
        kept = self._calls.get(call_id)
        return None if kept is None else kept.outline.created_at

    def page(self, state: CallState | None, limit: int, after: str | None) -> CallsPage:
        """The newest calls first, at most `limit`, from behind the cursor `after`. Raises `InvalidCursorError`."""
        self._expire()
        found: list[CallSummary] = []
        for key in self._newest_first(after):
            kept = self._calls[key[1]]
            if state is not None and kept.outline.state is not state:
                continue
            if len(found) == limit:
                return CallsPage(tuple(found), _cursor(self._calls[found[-1].call_id].outline))
            call = _call(kept)
            if call is not None:
                found.append(summary_of(call))
        return CallsPage(tuple(found), None)

    def __len__(self) -> int:
        """How many calls are held."""
        return len(self._calls)

    def _newest_first(self, after: str | None) -> Iterator[tuple[int, str]]:
        end = len(self._order) if after is None else bisect_left(self._order, _parsed(after))
        return (self._order[index] for index in range(end - 1, -1, -1))

    def _keep(self, outline: _Outline, encoded: bytes) -> None:
        call_id = outline.call_id
        if call_id not in self._calls:
            insort(self._order, (outline.created_at, call_id))
        self._calls[call_id] = _Kept(outline, encoded)
        for leg in outline.legs:
            if leg.call_sid is not None:
                self._by_call_sid[leg.call_sid] = call_id
        if outline.state is CallState.ENDED:
            self._ended.setdefault(call_id, outline.ended_at or outline.created_at)
            self._expire()
        else:
            self._ended.pop(call_id, None)

    def _expire(self) -> None:
        oldest = self._clock() - self._ended_kept_ms
        while self._ended:
            call_id, ended_at = next(iter(self._ended.items()))
            if len(self._ended) <= self._ended_kept and ended_at >= oldest:
                return
            self._forget(call_id)

    def _forget(self, call_id: str) -> None:
        self._ended.pop(call_id, None)
        kept = self._calls.pop(call_id, None)
        if kept is not None:
            del self._order[bisect_left(self._order, (kept.outline.created_at, call_id))]
            for leg in kept.outline.legs:
                self._by_call_sid.pop(leg.call_sid or "", None)


def _call(kept: _Kept) -> Call | None:
    return decode_state(kept.encoded).call


def _cursor(outline: _Outline) -> str:
    return f"{outline.created_at}.{outline.call_id}"


def _parsed(cursor: str) -> tuple[int, str]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidCursorError(f"after={cursor[:80]!r} is not a cursor: take `next` of the page before")
    return int(match[1]), match[2]
