"""End one Twilio call in whatever state it is."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import asked
from schemas.actions import HangUp


async def hang_up(account: TwilioAccount, action: HangUp) -> Effect:
    """`POST …/Calls/{sid}` with `Status=completed`, which ends a call in any state. Raises `RequestFailedError`."""
    _, answer = await asked("calls.update", account.client.calls(action.call_sid).update_async(status="completed"))
    return Effect(answer=answer, call_sid=action.call_sid)
