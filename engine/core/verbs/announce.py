"""`call.announce`: one leg, or everybody, hears a prompt; answered when Twilio has taken it."""

from engine.core import answers
from engine.core.flags import FLAGS_WITHIN_MS
from engine.core.turn import Turn
from engine.core.verbs.naming import joined
from schemas.actions import Action, AnnounceAll, UpdateParticipant
from schemas.commands import Announce
from schemas.prompts import Prompt
from schemas.records import Command


def announce(turn: Turn, command: Command, data: Announce) -> None:
    """Play a text or an audio file."""
    action = _action(turn, data, Prompt(say=data.say, play=data.play))
    if isinstance(action, str):
        answers.rejected(turn, command, action)
    else:
        turn.request(action)
        answers.open_command(turn, command, data.leg, action.id)


def _action(turn: Turn, data: Announce, prompt: Prompt) -> Action | str:
    call = turn.call
    deadline = turn.deadline or turn.at + FLAGS_WITHIN_MS
    if data.leg is None:
        if call.room.sid is None:
            return "room_not_started"
        return AnnounceAll(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                           deadline=deadline, conference_sid=call.room.sid, announce=prompt)  # fmt: skip
    leg = joined(turn, data.leg)
    if isinstance(leg, str):
        return leg
    return UpdateParticipant(
        id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at, deadline=deadline,
        leg=leg.leg, conference_sid=leg.conference_sid or call.room.sid or "", call_sid=leg.call_sid or "",
        announce=prompt,
    )  # fmt: skip
