"""`call.end`: end the call for everybody; answered when it has ended."""

from engine.core import answers
from engine.core.turn import CALL, SESSION, Turn
from schemas.commands import End
from schemas.records import Command
from schemas.state import CallState


def end(turn: Turn, command: Command, data: End) -> None:
    """End the room, or hang up the legs where it has not started."""
    if turn.call.state is CallState.ENDED:
        answers.applied(turn, command, "no_change")
        return
    if turn.call.reason is None:
        turn.set(reason=data.reason or "ended_by_command")
    answers.open_command(turn, command)
    turn.stimulate(SESSION if turn.call.in_conversation else CALL, "end_asked")
