"""One step in the making: the call as changed so far, the effects asked for, and the stimuli still to be handled.

A turn lives inside one call of `step` and nowhere else. Machines never call one another: what a move means for another
machine is raised as a stimulus and handled when the move is complete (run to completion).
"""

from collections import deque
from copy import copy
from typing import Any, NamedTuple

from msgspec.structs import force_setattr, replace

from engine.core.config import CoreConfig
from engine.core.effects import CancelTimer, Effect, Emit, Ignore, RequestAction, ScheduleTimer
from schemas.actions import Action
from schemas.events import CallEvent, EventData, FactIgnored, LegEvent
from schemas.ids import action_id
from schemas.state import LIVE_LEG_STATES, Call, Leg, LegState, PendingAction, Role

CALL = "call"
LEG = "leg"
TRANSFER = "transfer"
SUPERVISION = "supervision"
RECORDING = "recording"
TASK = "task"
SESSION = "session"
TALKING_ROLES = frozenset({Role.AGENT, Role.AI})


class Stimulus(NamedTuple):
    """Something for a machine to react to."""

    machine: str
    trigger: str
    leg: str


class Turn:
    """The working draft of one step. `at` is the record's own time (ms), `cause` its id.

    `deadline` (ms) bounds the actions of a command; `reason` and `never_added` are what the present fact says about a
    departure.
    """

    __slots__ = (
        "_actions",
        "at",
        "call",
        "cause",
        "config",
        "deadline",
        "effects",
        "never_added",
        "reason",
        "stimuli",
        "worker",
    )

    def __init__(self, call: Call, at: int, cause: str, config: CoreConfig) -> None:
        self.call = copy(call)  # ours alone until the step is over: the one given in never changes
        self.at = at
        self.cause = cause
        self.config = config
        self.deadline: int | None = None
        self.reason: str | None = None
        self.never_added = False
        self.worker: str | None = None
        self.effects: list[Effect] = []
        self.stimuli: deque[Stimulus] = deque()
        self._actions = 0

    def set(self, **changes: Any) -> None:  # noqa: ANN401 - fields of Call, checked by the struct
        """Change fields of the call."""
        for name, value in changes.items():
            force_setattr(self.call, name, value)

    def leg(self, leg_id: str) -> Leg:
        """The leg of that id. Raises `LookupError`; ask `find` when it may not be there."""
        for leg in self.call.legs:
            if leg.leg == leg_id:
                return leg
        raise LookupError(leg_id)

    def find(self, leg_id: str | None) -> Leg | None:
        """The leg of that id, or None."""
        for leg in self.call.legs:
            if leg.leg == leg_id:
                return leg
        return None

    def by_sid(self, call_sid: str | None) -> Leg | None:
        """The leg whose Twilio call this is, or None."""
        if call_sid:
            for leg in self.call.legs:
                if leg.call_sid == call_sid:
                    return leg
        return None

    def update(self, leg_id: str, **changes: Any) -> Leg:  # noqa: ANN401 - fields of Leg
        """Change fields of a leg; gives the changed leg."""
        legs = self.call.legs
        for position, leg in enumerate(legs):
            if leg.leg == leg_id:
                changed = replace(leg, **changes)
                force_setattr(self.call, "legs", (*legs[:position], changed, *legs[position + 1 :]))
                return changed
        raise LookupError(leg_id)

    def add(self, leg: Leg) -> None:
        """Add a new leg."""
        self.set(legs=(*self.call.legs, leg))

    def next_leg_id(self, role: Role) -> str:
        """An id never used before in this call: the role and a number counted per role."""
        number = self.call.counts.get(role.value, 0) + 1
        self.set(counts={**self.call.counts, role.value: number})
        return f"{role.value}-{number}"

    @property
    def customer(self) -> Leg | None:
        """The customer's latest leg."""
        for leg in reversed(self.call.legs):
            if leg.role is Role.CUSTOMER:
                return leg
        return None

    def customer_present(self) -> bool:
        """Whether the customer is in the room."""
        customer = self.customer
        return customer is not None and customer.state is LegState.JOINED

    def talking(self) -> list[Leg]:
        """The agents and AI agents in the room."""
        return [leg for leg in self.call.legs if leg.role in TALKING_ROLES and leg.state is LegState.JOINED]

    def live(self) -> list[Leg]:
        """Legs that are not over."""
        return [leg for leg in self.call.legs if leg.state in LIVE_LEG_STATES]

    def next_action_id(self) -> str:
        """The id of the next action of this step."""
        number = self._actions
        self._actions += 1
        return action_id(self.call.call_id, self.call.version + 1, number)

    def request(self, action: Action) -> None:
        """Want an action: it stays pending until a report confirms it."""
        self.set(pending=(*self.call.pending, PendingAction(action, self.at)))
        self.effects.append(RequestAction(action))

    def arm(self, name: str, after_ms: int) -> None:
        """Set the timer `name` to fall due `after_ms` from now, in place of an earlier one."""
        due = self.at + after_ms
        self.set(timers={**self.call.timers, name: due})
        self.effects.append(ScheduleTimer(name, due))

    def disarm(self, name: str) -> None:
        """Take the timer `name` back, if it is set."""
        if name in self.call.timers:
            self.set(timers={other: due for other, due in self.call.timers.items() if other != name})
            self.effects.append(CancelTimer(name))

    def stimulate(self, machine: str, trigger: str, leg: str = "") -> None:
        """Let a machine react once the present move is complete."""
        self.stimuli.append(Stimulus(machine, trigger, leg))

    def stimulate_supervisions(self, trigger: str) -> None:
        """Let every supervision react."""
        for item in self.call.supervisions:
            self.stimulate(SUPERVISION, trigger, item.supervisor)

    def emit(self, name: str, data: EventData) -> None:
        """Tell the world."""
        self.effects.append(Emit(name, data))

    def tell_call(self, name: str, **fields: Any) -> None:  # noqa: ANN401 - fields of CallEvent
        """Emit an event about the call."""
        self.emit(name, CallEvent(cause=self.cause, **fields))

    def tell_leg(self, name: str, leg: Leg, **fields: Any) -> None:  # noqa: ANN401 - fields of LegEvent
        """Emit an event about a leg."""
        self.emit(name, LegEvent(cause=self.cause, leg=leg.leg, role=leg.role, call_sid=leg.call_sid, **fields))

    def ignore(self, reason: str, fact: str, leg: str | None = None) -> None:
        """Record that something changed nothing, and why."""
        self.effects.append(Ignore(reason))
        state = self.call.state
        self.emit("fact.ignored", FactIgnored(cause=self.cause, fact=fact, reason=reason, state=state, leg=leg))
