"""The faults of a plan, waiting for the operation that they strike."""

from collections import Counter
from collections.abc import Iterable

from simulation.plan import Effect, Fault, Where


class Script:
    """Counts operations and gives the fault that the present one meets."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.struck: list[Fault] = []
        self.armed = True
        self._waiting: dict[tuple[str, ...], list[Fault]] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()
        for fault in faults:
            if fault.where not in {Where.NODE, Where.AWAY, Where.ROOM}:
                self._waiting.setdefault(_place(fault.where, fault.on, fault.topic), []).append(fault)

    def next(self, where: Where, on: str = "", topic: str = "") -> Fault | None:
        """Count an operation; the fault that strikes it, if there is one."""
        place = _place(where, on, topic)
        self._counts[place] += 1
        if not self.armed:
            return None
        count = self._counts[place]
        fault = next((fault for fault in self._waiting.get(place, ()) if fault.nth == count), None)
        if fault is not None:
            self.struck.append(fault)
        return fault

    def has_struck(self, *effects: Effect) -> bool:
        """Whether a fault of one of these kinds has happened."""
        return any(fault.effect in effects for fault in self.struck)


def _place(where: Where, on: str, topic: str) -> tuple[str, ...]:
    return (where.value, on, topic)
