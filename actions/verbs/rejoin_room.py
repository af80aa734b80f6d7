"""Let a leg that has come out of its conference into another one, by redirecting its own call."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import asked
from actions.verbs.look_up import conference_of, participants_of
from schemas.actions import RejoinRoom


async def rejoin_room(account: TwilioAccount, action: RejoinRoom) -> Effect:
    """`POST …/Calls/{sid}` with the `Url` of our own TwiML. Raises `RequestFailedError`: 21220 when it is over."""
    url = account.urls.rejoin(action)
    _, answer = await asked("calls.update", account.client.calls(action.call_sid).update_async(url=url, method="POST"))
    return Effect(answer=answer, call_sid=action.call_sid)


async def has_rejoined(account: TwilioAccount, action: RejoinRoom) -> bool:
    """Whether the leg is in that room. Raises `RequestFailedError`."""
    room = await conference_of(account, action.room, None)
    inside = await participants_of(account, room.sid) if room is not None and room.sid else ()
    return any(seen.call_sid == action.call_sid for seen in inside)
