"""Take a leg out of the room to hear a prompt, or to leave a message; its call ends with that document."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import asked
from schemas.actions import RedirectCall


async def redirect_call(account: TwilioAccount, action: RedirectCall) -> Effect:
    """`POST …/Calls/{sid}` with `Url`, which takes the leg out of its conference. Raises `RequestFailedError`."""
    urls = account.urls
    url = (urls.voicemail if action.voicemail else urls.announce)(action, action.announce)
    _, answer = await asked("calls.update", account.client.calls(action.call_sid).update_async(url=url, method="POST"))
    return Effect(answer=answer, call_sid=action.call_sid)
