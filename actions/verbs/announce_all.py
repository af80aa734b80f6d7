"""Everybody in the room hears a prompt."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import asked
from schemas.actions import AnnounceAll


async def announce_all(account: TwilioAccount, action: AnnounceAll) -> Effect:
    """`POST …/Conferences/{sid}` with `AnnounceUrl`. Raises `RequestFailedError`."""
    url = account.urls.announce(action, action.announce)
    room = account.client.conferences(action.conference_sid)
    _, answer = await asked("conferences.update", room.update_async(announce_url=url, announce_method="POST"))
    return Effect(answer=answer, conference_sid=action.conference_sid)
