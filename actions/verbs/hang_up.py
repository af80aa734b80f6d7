"""End one Twilio call in whatever state it is."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.heard import Answer
from actions.transport import asked
from schemas.actions import HangUp


async def hang_up(account: TwilioAccount, action: HangUp) -> Effect:
    """`POST …/Calls/{sid}` with `Status=completed`, which ends a call in any state. Raises `RequestFailedError`."""
    return Effect(answer=await hung_up(account, action.call_sid), call_sid=action.call_sid)


async def hung_up(account: TwilioAccount, call_sid: str) -> Answer:
    """End the call `call_sid`. Raises `RequestFailedError`."""
    _, answer = await asked("calls.update", account.client.calls(call_sid).update_async(status="completed"))
    return answer
