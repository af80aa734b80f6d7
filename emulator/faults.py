"""Scripted misbehaviour of the local Twilio: the next N requests or callbacks that match go wrong in a chosen way."""

from enum import StrEnum

import msgspec

FAULT_BOUND = 1_000


class Effect(StrEnum):
    """What goes wrong. The first five hit REST requests, the others callbacks."""

    TOO_MANY_REQUESTS = "429"
    ERROR_BEFORE = "500-before"
    ERROR_AFTER = "500-after"
    ANSWER_LOST = "answer-lost"
    SLOW = "slow"
    DROP = "drop"
    DOUBLE = "double"
    DELAY = "delay"


CALLBACK_EFFECTS = frozenset({Effect.DROP, Effect.DOUBLE, Effect.DELAY})


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One scripted fault. ``match`` is a part of the REST path, or of a callback's URL, kind or event."""

    effect: Effect
    times: int = 1
    method: str = ""
    match: str = ""
    delay_s: float = 0.0

    def hits(self, method: str, *texts: str) -> bool:
        """Tell whether the fault concerns this request."""
        return self.times > 0 and self.method in {"", method} and any(self.match in text for text in texts)


class Faults:
    """The faults that are still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self.pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Arm a fault; at most ``FAULT_BOUND`` may be armed."""
        if len(self.pending) >= FAULT_BOUND:
            message = f"{FAULT_BOUND} faults are armed already; DELETE /_emulator/faults clears them"
            raise ValueError(message)
        self.pending.append(fault)

    def clear(self) -> None:
        """Disarm all faults."""
        self.pending.clear()

    def _take(self, method: str, texts: tuple[str, ...], *, callbacks: bool) -> Fault | None:
        for fault in self.pending:
            if (fault.effect in CALLBACK_EFFECTS) is callbacks and fault.hits(method, *texts):
                fault.times -= 1
                if fault.times == 0:
                    self.pending.remove(fault)
                return fault
        return None

    def for_rest(self, method: str, path: str) -> Fault | None:
        """Use up the first fault that hits this REST request."""
        return self._take(method, (path,), callbacks=False) if self.pending else None

    def for_callback(self, method: str, url: str, kind: str, event: str) -> Fault | None:
        """Use up the first fault that hits this callback."""
        return self._take(method, (url, kind, event), callbacks=True) if self.pending else None
