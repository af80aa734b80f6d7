"""What a step asks of the shell, as data. The shell performs effects only after the state is durable."""

import msgspec

from schemas.actions import Action
from schemas.events import EventData
from schemas.results import Result
from schemas.state import Call


class RequestAction(msgspec.Struct, frozen=True, gc=False):
    """Publish this action; it is already among the call's pending ones."""

    action: Action


class ScheduleTimer(msgspec.Struct, frozen=True, gc=False):
    """Arm `name` for `due` (ms since the epoch), in place of an earlier one; it is in the call's timers."""

    name: str
    due: int


class CancelTimer(msgspec.Struct, frozen=True, gc=False):
    """Disarm `name`."""

    name: str


class Emit(msgspec.Struct, frozen=True, gc=False):
    """Tell the world: an event of the catalogue in `schemas.events`."""

    name: str
    data: EventData


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Answer a command. `event_id` is the one id of that command's result."""

    event_id: str
    result: Result


class Ignore(msgspec.Struct, frozen=True, gc=False):
    """The record changed nothing; counted by `reason`. For a known call a `fact.ignored` event says so too."""

    reason: str


class Park(msgspec.Struct, frozen=True, gc=False):
    """The call is not known yet: give the record in again at `until` (ms), marked as parked."""

    until: int


class Unplaced(msgspec.Struct, frozen=True, gc=False):
    """A parked record whose call never came: a dead letter (`unplaced`)."""


Effect = RequestAction | ScheduleTimer | CancelTimer | Emit | Reply | Ignore | Park | Unplaced


class Step(msgspec.Struct, frozen=True, gc=False):
    """What one record did. `call` is None when there is no call (unknown) or no call any more (forgotten)."""

    call: Call | None
    effects: tuple[Effect, ...] = ()
