"""`call.remove`: take a leg out; a leg that has just gone is as wanted."""

from engine.core import answers
from engine.core.legs import is_over
from engine.core.turn import LEG, Turn
from engine.core.verbs.naming import named
from schemas.commands import Remove
from schemas.records import Command


def remove(turn: Turn, command: Command, data: Remove) -> None:
    """Take a leg out of the room, or stop ringing it."""
    leg = named(turn, data.leg)
    if isinstance(leg, str):
        answers.rejected(turn, command, leg)
    elif is_over(leg):
        answers.applied(turn, command, "no_change")
    else:
        answers.open_command(turn, command, leg.leg)
        turn.stimulate(LEG, "remove", leg.leg)
