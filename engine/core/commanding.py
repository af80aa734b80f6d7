"""Commands: judged in one place, carried out by their verb."""

from engine.core import answers
from engine.core.tables.commands import allowed_in
from engine.core.turn import Turn
from engine.core.verbs.catalogue import VERBS
from engine.core.verbs.transfer import active
from schemas.commands import InvalidCommandError, decode_data
from schemas.records import Command
from schemas.state import CallState


def apply(turn: Turn, command: Command) -> None:
    """Carry a command out, or answer why not."""
    if answers.repeated(turn, command):
        return
    if command.invalid is not None:
        answers.rejected(turn, command, "invalid", command.invalid)
    elif command.deadline < turn.at:
        answers.expired(turn, command)
    elif command.name not in VERBS:
        answers.rejected(turn, command, "not_supported")
    elif not _allowed(turn, command.name):
        answers.rejected(turn, command, *_refusal(turn, command.name))
    else:
        _carry_out(turn, command)


def _allowed(turn: Turn, name: str) -> bool:
    ending = name == "call.end" and turn.call.state is CallState.ENDED
    return ending or name in allowed_in(turn.call)


def _refusal(turn: Turn, name: str) -> tuple[str, str | None]:
    """A second transfer is told which one is in its way, anybody else who has the call."""
    if turn.call.in_conversation:
        return "in_conversation", "the Conversations service has the call; there is no room to steer"
    under_way = active(turn)
    if name == "call.transfer" and under_way is not None:
        return "transfer_in_progress", under_way.transfer
    return "not_allowed", None


def _carry_out(turn: Turn, command: Command) -> None:
    try:
        data = decode_data(command.name, command.data)
    except InvalidCommandError as error:
        answers.rejected(turn, command, "invalid", str(error))
        return
    turn.deadline = command.deadline
    VERBS[command.name](turn, command, data)
