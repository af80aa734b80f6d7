"""`call.hold`, `.resume`, `.mute`, `.unmute`: one switch of one leg, answered when Twilio shows it turned."""

from collections.abc import Callable

from engine.core import answers, flags
from engine.core.turn import Turn
from engine.core.verbs.naming import joined
from schemas.commands import Hold, Mute, Resume, Unmute
from schemas.records import Command
from schemas.state import Leg, LegState, Role


def hold(turn: Turn, command: Command, data: Hold) -> None:
    """Put a leg on hold."""
    _switch(turn, command, data.leg, "hold", lambda leg: flags.hold(turn, leg.leg, data.audio), to=True)


def resume(turn: Turn, command: Command, data: Resume) -> None:
    """End a hold. A customer who is alone keeps the hold audio: there would be silence instead."""
    leg = joined(turn, data.leg)
    if isinstance(leg, Leg) and leg.desired.hold and _alone(turn, leg):
        answers.rejected(turn, command, "nobody_there")
        return
    _switch(turn, command, data.leg, "hold", lambda leg: flags.unhold(turn, leg.leg), to=False)


def _alone(turn: Turn, leg: Leg) -> bool:
    """Whether it is the customer in a conference that has begun, with nobody to talk to."""
    others = (other for other in turn.call.legs if other.leg != leg.leg and other.role is not Role.SUPERVISOR)
    present = any(other.state is LegState.JOINED for other in others)
    return leg.role is Role.CUSTOMER and turn.call.room.started and not present


def mute(turn: Turn, command: Command, data: Mute) -> None:
    """Mute a leg."""
    _switch(turn, command, data.leg, "muted", lambda leg: flags.mute(turn, leg.leg, muted=True), to=True)


def unmute(turn: Turn, command: Command, data: Unmute) -> None:
    """Unmute a leg."""
    _switch(turn, command, data.leg, "muted", lambda leg: flags.mute(turn, leg.leg, muted=False), to=False)


def _switch(turn: Turn, command: Command, name: str, switch: str, turn_it: Callable[[Leg], None], *, to: bool) -> None:
    leg = joined(turn, name)
    if isinstance(leg, str):
        answers.rejected(turn, command, leg)
    elif leg.role is Role.SUPERVISOR and switch == "muted":
        answers.rejected(turn, command, "supervised", "the mode decides who hears a supervisor: supervision.switch")
    elif getattr(leg.observed, switch) is to and getattr(leg.desired, switch) is to:
        answers.applied(turn, command, "no_change")
    else:
        turn_it(leg)
        answers.open_command(turn, command, leg.leg)
