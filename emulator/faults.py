"""Misbehaviour of the local Twilio: scripted for the next N requests that match, or by chance for all of them."""

import random
from enum import StrEnum
from typing import Annotated

import msgspec

FAULT_BOUND = 1_000


class Effect(StrEnum):
    """What goes wrong; ``REST``, ``CALLBACKS``, ``DOCUMENTS``, ``LEGS`` and ``ROOMS`` say with what."""

    TOO_MANY_REQUESTS = "429"
    ERROR_BEFORE = "500-before"
    ERROR_AFTER = "500-after"
    ANSWER_LOST = "answer-lost"
    SLOW = "slow"
    UNAVAILABLE_BEFORE = "503-before"
    BAD_GATEWAY_AFTER = "502-after"
    ANSWER_LATE = "answer-late"
    DROP = "drop"
    DOUBLE = "double"
    DELAY = "delay"
    WRONG_SIGNATURE = "wrong-signature"
    UNREACHABLE = "unreachable"
    LEG_DROP = "leg-drop"
    CONFERENCE_END = "conference-end"


CALLBACKS = frozenset({Effect.DROP, Effect.DOUBLE, Effect.DELAY, Effect.WRONG_SIGNATURE})
DOCUMENTS = frozenset({Effect.UNREACHABLE, Effect.WRONG_SIGNATURE})
LEGS = frozenset({Effect.LEG_DROP})
ROOMS = frozenset({Effect.CONFERENCE_END})
REST = frozenset(Effect) - CALLBACKS - DOCUMENTS - LEGS - ROOMS


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One scripted fault. ``match`` is a part of what it hits: see the methods of ``Faults``."""

    effect: Effect
    times: int = 1
    method: str = ""
    match: str = ""
    delay_s: float = 0.0

    def hits(self, method: str, *texts: str) -> bool:
        """Tell whether the fault concerns this request."""
        return self.times > 0 and self.method in {"", method} and any(self.match in text for text in texts)


Chance = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Chaos(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How likely each misbehaviour is (0 to 1), when no scripted fault hits. REST chances are for POST and DELETE."""

    callback_drop: Chance = 0.0
    callback_double: Chance = 0.0
    callback_delay: Chance = 0.0
    max_delay_s: float = 0.2
    rest_too_many: Chance = 0.0
    rest_error_before: Chance = 0.0
    rest_error_after: Chance = 0.0
    rest_answer_lost: Chance = 0.0

    def for_callbacks(self) -> tuple[tuple[Effect, float], ...]:
        """Return the callbacks' effects with their chances."""
        return (
            (Effect.DROP, self.callback_drop),
            (Effect.DOUBLE, self.callback_double),
            (Effect.DELAY, self.callback_delay),
        )

    def for_rest(self) -> tuple[tuple[Effect, float], ...]:
        """Return the REST effects with their chances."""
        return (
            (Effect.TOO_MANY_REQUESTS, self.rest_too_many),
            (Effect.ERROR_BEFORE, self.rest_error_before),
            (Effect.ERROR_AFTER, self.rest_error_after),
            (Effect.ANSWER_LOST, self.rest_answer_lost),
        )


class Faults:
    """The faults that are still to come, in the order they were asked for, and the chaos behind them."""

    def __init__(self, chaos: Chaos | None = None, seed: int | None = None) -> None:
        self.pending: list[Fault] = []
        self.chaos = chaos
        self._random = random.Random(seed)  # noqa: S311 - chance for tests, repeatable by its seed

    def add(self, fault: Fault) -> None:
        """Arm a fault; at most ``FAULT_BOUND`` may be armed."""
        if len(self.pending) >= FAULT_BOUND:
            message = f"{FAULT_BOUND} faults are armed already; DELETE /_emulator/faults clears them"
            raise ValueError(message)
        self.pending.append(fault)

    def clear(self) -> None:
        """Disarm all faults."""
        self.pending.clear()

    def _take(self, method: str, texts: tuple[str, ...], effects: frozenset[Effect]) -> Fault | None:
        for fault in self.pending:
            if fault.effect in effects and fault.hits(method, *texts):
                fault.times -= 1
                if fault.times == 0:
                    self.pending.remove(fault)
                return fault
        return None

    def for_rest(self, method: str, path: str) -> Fault | None:
        """Use up the first fault that hits this REST request, or draw one."""
        fault = self._take(method, (path,), REST) if self.pending else None
        if fault is None and self.chaos is not None and method != "GET":
            return self._draw(self.chaos.for_rest(), 0.0)
        return fault

    def for_callback(self, method: str, url: str, kind: str, event: str) -> Fault | None:
        """Use up the first fault that hits this callback, or draw one."""
        fault = self._take(method, (url, kind, event), CALLBACKS) if self.pending else None
        if fault is None and self.chaos is not None:
            return self._draw(self.chaos.for_callbacks(), self.chaos.max_delay_s)
        return fault

    def for_document(self, method: str, url: str, kind: str) -> Fault | None:
        """Use up the first fault that hits this request for TwiML: ``twiml``, ``wait-music``, ``announcement``."""
        return self._take(method, (url, kind), DOCUMENTS) if self.pending else None

    def for_leg(self, sid: str, from_: str, to: str) -> Fault | None:
        """Use up the first fault that drops this leg once it has been answered."""
        return self._take("", (sid, from_, to), LEGS) if self.pending else None

    def for_room(self, sid: str, name: str) -> Fault | None:
        """Use up the first fault that ends this conference once it has begun."""
        return self._take("", (sid, name), ROOMS) if self.pending else None

    def _draw(self, chances: tuple[tuple[Effect, float], ...], max_delay_s: float) -> Fault | None:
        dart = self._random.random()
        for effect, chance in chances:
            dart -= chance
            if dart < 0:
                return Fault(effect=effect, delay_s=self._random.random() * max_delay_s)
        return None
