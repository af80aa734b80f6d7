"""End the room for all."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.heard import Answer, RequestFailedError
from actions.outcome import Done, Verb, judge
from actions.transport import asked
from actions.verbs.hang_up import hung_up
from schemas.actions import EndConference


async def end_conference(account: TwilioAccount, action: EndConference) -> Effect:
    """`POST …/Conferences/{sid}` with `Status=completed`. Raises `RequestFailedError`, with 400 before it has begun."""
    room = account.client.conferences(action.conference_sid)
    _, answer = await asked("conferences.update", room.update_async(status="completed"))
    return Effect(answer=answer, conference_sid=action.conference_sid)


async def empty_conference(account: TwilioAccount, action: EndConference) -> Effect:
    """End a room that has not begun, which Twilio refuses to complete, by hanging up every leg (twilio-facts.md 3.4).

    The legs are those that the action names and those that the room lists. Raises `RequestFailedError` for the first
    one that could not be hung up; one that has gone already is no failure.
    """
    room = account.client.conferences(action.conference_sid)
    listed, answer = await asked("participants.list", room.participants.list_async())
    sids = dict.fromkeys((*action.call_sids, *(item.call_sid for item in listed if item.call_sid)))
    for sid in sids:
        answer = await _hung_up(account, action.id, sid)
    return Effect(answer=answer, conference_sid=action.conference_sid)


async def _hung_up(account: TwilioAccount, action_id: str, sid: str) -> Answer:
    try:
        return await hung_up(account, sid)
    except RequestFailedError as error:
        verdict = judge(Verb.HANG_UP, error.heard, attempt=1, now_ms=0, action_id=action_id)
        if isinstance(verdict, Done) and isinstance(error.heard, Answer):
            return error.heard
        raise
