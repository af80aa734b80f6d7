"""Take a leg out of the room to hear a prompt; its call ends with the end of that document."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import asked
from schemas.actions import RedirectCall


async def redirect_call(account: TwilioAccount, action: RedirectCall) -> Effect:
    """`POST …/Calls/{sid}` with `Url`, which takes the leg out of its conference. Raises `RequestFailedError`."""
    url = account.urls.announce(action, action.announce)
    _, answer = await asked("calls.update", account.client.calls(action.call_sid).update_async(url=url, method="POST"))
    return Effect(answer=answer, call_sid=action.call_sid)
