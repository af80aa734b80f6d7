"""Dial a leg that our TwiML lets into the room, after a whisper. A Twilio call has no label and no idempotency key."""

from twilio.base import values

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.heard import Answer, RequestFailedError
from actions.transport import asked
from actions.verbs.create_participant import caller_id_of, milliseconds
from schemas.actions import CreateCall
from schemas.routes import CALL_EVENTS


async def create_call(account: TwilioAccount, action: CreateCall) -> Effect:
    """`POST …/Calls`. Raises `RequestFailedError`."""
    detected = action.detect_machine
    call, answer = await asked(
        "calls.create",
        account.client.calls.create_async(
            to=action.to,
            from_=caller_id_of(account, action.from_, action.to),
            url=account.urls.join(action, action.whisper),
            method="POST",
            timeout=action.timeout_s,
            status_callback=account.urls.status(action),
            status_callback_method="POST",
            status_callback_event=list(CALL_EVENTS),
            machine_detection="Enable" if detected else values.unset,
            async_amd="true" if detected else values.unset,
            async_amd_status_callback=account.urls.machine(action) if detected else values.unset,
        ),
    )
    if not call.sid:
        raise RequestFailedError("calls.create", Answer(status=answer.status, readable=False))
    return Effect(answer=answer, call_sid=call.sid, queued_ms=milliseconds(call.queue_time))
