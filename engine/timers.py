"""Timers of one partition: a heap of what the calls have set, told the time.

The truth is `Call.timers`; the heap only says when to look there. Entries that the call has cancelled or re-armed are
stale and are passed over when they come up. A due timer becomes a `TimerDue` record in the inbox, and the step that it
causes takes it from the state; until then it is not fired again before `refire_ms` have gone by.
"""

import heapq
from collections.abc import Callable, Iterable
from sys import intern
from typing import NamedTuple

_SPARE = 1024
_STALE_FACTOR = 4

IsArmed = Callable[[str, str, int], bool]
"""Whether call `call_id` has timer `name` set for `due` (ms)."""


class _Look(NamedTuple):
    at: int
    call_id: str
    name: str
    due: int


class DueTimer(NamedTuple):
    """A timer of a call that fell due; `due` is the instant it was set for, ms."""

    call_id: str
    name: str
    due: int


class Timers:
    """When to look at which call's timer."""

    def __init__(self, is_armed: IsArmed, refire_ms: int) -> None:
        self._is_armed = is_armed
        self._refire_ms = refire_ms
        self._heap: list[_Look] = []

    def arm(self, timers: Iterable[DueTimer], armed: int) -> bool:
        """Take over timers just set; `armed` is how many are set in all. True when one of them comes first of all."""
        first = self.next_at()
        for call_id, name, due in timers:
            heapq.heappush(self._heap, _Look(due, call_id, intern(name), due))
        if len(self._heap) > _STALE_FACTOR * armed + _SPARE:
            self._drop_stale()
        now_first = self.next_at()
        return now_first is not None and (first is None or now_first < first)

    def next_at(self) -> int | None:
        """When to look next, ms; None when nothing is set."""
        return self._heap[0].at if self._heap else None

    def take_due(self, now_ms: int, limit: int) -> list[DueTimer]:
        """At most `limit` timers that are due and still set."""
        due: list[DueTimer] = []
        while self._heap and self._heap[0].at <= now_ms and len(due) < limit:
            look = heapq.heappop(self._heap)
            if self._is_armed(look.call_id, look.name, look.due):
                due.append(DueTimer(look.call_id, look.name, look.due))
                heapq.heappush(self._heap, look._replace(at=now_ms + self._refire_ms))
        return due

    def __len__(self) -> int:
        return len(self._heap)

    def _drop_stale(self) -> None:
        kept = {look for look in self._heap if self._is_armed(look.call_id, look.name, look.due)}
        self._heap = list(kept)
        heapq.heapify(self._heap)
