"""Take a participant out of the room."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import asked
from schemas.actions import RemoveParticipant


async def remove_participant(account: TwilioAccount, action: RemoveParticipant) -> Effect:
    """`DELETE …/Participants/{CallSid}`. Raises `RequestFailedError`."""
    participant = account.client.conferences(action.conference_sid).participants(action.call_sid)
    _, answer = await asked("participants.delete", participant.delete_async())
    return Effect(answer=answer, call_sid=action.call_sid, conference_sid=action.conference_sid)
