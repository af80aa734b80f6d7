"""Timers of one partition: when to look at which call, told the time.

The truth is `Call.timers`; here stands for each call only when its earliest one falls due. A due timer becomes a
`TimerDue` record in the inbox, and the step that it causes takes it from the state; until then it is not fired again
before `refire_ms` have gone by. A look that finds nothing due any more is planned anew.
"""

import heapq
from collections.abc import Callable, Mapping
from typing import NamedTuple

_SPARE = 64

TimersOf = Callable[[str], Mapping[str, int]]
"""The timers that a call has set, name to due (ms); empty for a call that is not there."""


class DueTimer(NamedTuple):
    """A timer of a call that fell due; `due` is the instant it was set for, ms."""

    call_id: str
    name: str
    due: int


class Timers:
    """When to look at which call. One look is planned for each call that has a timer."""

    def __init__(self, timers_of: TimersOf, refire_ms: int) -> None:
        self._timers_of = timers_of
        self._refire_ms = refire_ms
        self._planned: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        """Looks, those that were brought forward meanwhile among them: they are not planned and passed over."""
        self._fired: dict[str, dict[tuple[str, int], int]] = {}
        """By call: timers whose record is on its way, with the time to fire them again."""

    def change(self, changed: Mapping[str, Mapping[str, int]]) -> bool:
        """These calls have other timers now. True when the next look of all comes sooner for it."""
        first = self.next_at()
        for call_id, timers in changed.items():
            self._plan(call_id, timers)
        if len(self._heap) > 2 * len(self._planned) + _SPARE:
            self._heap = [(at, call_id) for call_id, at in self._planned.items()]
            heapq.heapify(self._heap)
        now_first = self.next_at()
        return now_first is not None and (first is None or now_first < first)

    def next_at(self) -> int | None:
        """When to look next, ms; None when nothing is set."""
        return self._heap[0][0] if self._heap else None

    def take_due(self, now_ms: int, limit: int) -> list[DueTimer]:
        """The timers that are due and still set; looks at no further call once there are `limit`."""
        due: list[DueTimer] = []
        while self._heap and self._heap[0][0] <= now_ms and len(due) < limit:
            at, call_id = heapq.heappop(self._heap)
            if self._planned.get(call_id) == at:
                del self._planned[call_id]
                due.extend(self._look(call_id, now_ms))
        return due

    def __len__(self) -> int:
        """How many looks are held, superfluous ones too."""
        return len(self._heap)

    def _look(self, call_id: str, now_ms: int) -> list[DueTimer]:
        timers = self._timers_of(call_id)
        fired = {key: at for key, at in self._fired.pop(call_id, {}).items() if timers.get(key[0]) == key[1]}
        due = [DueTimer(call_id, name, set_for) for name, set_for in timers.items()
               if fired.get((name, set_for), set_for) <= now_ms]  # fmt: skip
        fired |= {(timer.name, timer.due): now_ms + self._refire_ms for timer in due}
        if fired:
            self._fired[call_id] = fired
        self._plan(call_id, timers)
        return due

    def _plan(self, call_id: str, timers: Mapping[str, int]) -> None:
        if not timers:
            self._planned.pop(call_id, None)
            self._fired.pop(call_id, None)
            return
        fired = self._fired.get(call_id)
        at = min(timers.values()) if fired is None else min(fired.get(timer, timer[1]) for timer in timers.items())
        planned = self._planned.get(call_id)
        if planned is None or at < planned:
            self._planned[call_id] = at
            heapq.heappush(self._heap, (at, call_id))
