"""Records of calls that are not known yet, waiting in the state for their call (contracts.md section 5).

A parked record goes back into the inbox, marked, when its call begins or its time is up; it leaves the state with the
step that then applies it. What the step makes of it is the core's business.
"""

import heapq
from collections.abc import Iterable

import msgspec

from schemas.records import Command, Webhook


class Parked(msgspec.Struct, frozen=True, gc=False):
    """A waiting record: `raw` are the inbox record's bytes as they came first, `until` is in ms."""

    record_id: str
    call_id: str
    raw: bytes
    until: int


class Parking:
    """What waits, by record id."""

    def __init__(self, refire_ms: int) -> None:
        self._refire_ms = refire_ms
        self._parked: dict[str, Parked] = {}
        self._by_call: dict[str, set[str]] = {}
        self._planned: dict[str, int] = {}
        self._looks: list[tuple[int, str]] = []

    def change(self, changes: Iterable[Parked | str]) -> bool:
        """In this order: let a record wait, or (its id) wait no longer. True when one has come to wait."""
        some = False
        for change in changes:
            if isinstance(change, Parked):
                some = True
                self._add(change)
            else:
                self._remove(change)
        return some

    def hurry(self, call_ids: Iterable[str], now_ms: int) -> bool:
        """These calls have begun: their records wait no longer. True when there were any."""
        if not self._by_call:
            return False
        waiting = [record_id for call_id in call_ids for record_id in self._by_call.get(call_id, ())]
        for record_id in waiting:
            self._plan(record_id, now_ms)
        return bool(waiting)

    def next_at(self) -> int | None:
        """When to look next, ms; None when nothing waits."""
        return self._looks[0][0] if self._looks else None

    def take_due(self, now_ms: int, limit: int) -> list[Parked]:
        """At most `limit` records whose time has come."""
        due: list[Parked] = []
        while self._looks and self._looks[0][0] <= now_ms and len(due) < limit:
            at, record_id = heapq.heappop(self._looks)
            if self._planned.get(record_id) == at:
                due.append(self._parked[record_id])
                self._plan(record_id, now_ms + self._refire_ms)
        return due

    def original(self, record_id: str) -> bytes | None:
        """The bytes of a waiting record as they came first."""
        parked = self._parked.get(record_id)
        return None if parked is None else parked.raw

    def __len__(self) -> int:
        return len(self._parked)

    def _add(self, parked: Parked) -> None:
        self._parked[parked.record_id] = parked
        self._by_call.setdefault(parked.call_id, set()).add(parked.record_id)
        self._plan(parked.record_id, parked.until)

    def _plan(self, record_id: str, at_ms: int) -> None:
        self._planned[record_id] = at_ms
        heapq.heappush(self._looks, (at_ms, record_id))

    def _remove(self, record_id: str) -> None:
        parked = self._parked.pop(record_id, None)
        if parked is None:
            return
        del self._planned[record_id]
        others = self._by_call[parked.call_id]
        others.discard(record_id)
        if not others:
            del self._by_call[parked.call_id]


def released(parked: Webhook | Command) -> Webhook | Command:
    """The record as it goes back into the inbox."""
    return msgspec.structs.replace(parked, parked=True)
