"""Dial a leg straight into the room. `label` = the leg id, which Twilio takes only once per conference."""

import structlog
from twilio.base import values

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.heard import Answer, RequestFailedError
from actions.transport import asked
from schemas.actions import CreateParticipant
from schemas.routes import CALL_EVENTS, CONFERENCE_EVENTS

_log = structlog.get_logger(__name__)

INVALID_CALLER_ID = 21213
"""Twilio's own code for a missing `From`."""


async def create_participant(account: TwilioAccount, action: CreateParticipant) -> Effect:
    """`POST …/Conferences/{sid or name}/Participants`. The name joins the active conference or makes one.

    Raises `RequestFailedError`. The conference callback is the same on every join: only the first one's counts.
    """
    sender = caller_id_of(account, action.from_, action.to)
    detected = action.detect_machine
    participant, answer = await asked(
        "participants.create",
        account.client.conferences(action.conference_sid or action.room).participants.create_async(
            from_=sender,
            to=action.to,
            label=action.leg if action.leg is not None else values.unset,
            timeout=action.timeout_s,
            beep="false",
            early_media=action.early_media,
            muted=action.muted,
            start_conference_on_enter=True,
            end_conference_on_exit=action.end_on_exit,
            wait_url=account.urls.wait(action),
            status_callback=account.urls.status(action),
            status_callback_method="POST",
            status_callback_event=list(CALL_EVENTS),
            conference_status_callback=account.urls.conference(action),
            conference_status_callback_method="POST",
            conference_status_callback_event=list(CONFERENCE_EVENTS),
            machine_detection=_detection(action) if detected else values.unset,
            amd_status_callback=account.urls.machine(action) if detected else values.unset,
        ),
    )
    if not participant.call_sid:
        raise RequestFailedError("participants.create", Answer(status=answer.status, readable=False))
    if participant.label != action.leg:  # seen in the field: twilio-facts.md 7, 6
        _log.warning("action.label_not_applied", call_id=action.call_id, action=action.id, leg=action.leg)
    return Effect(
        answer=answer,
        call_sid=participant.call_sid,
        conference_sid=participant.conference_sid,
        queued_ms=milliseconds(participant.queue_time),
    )


def _detection(action: CreateParticipant) -> str:
    """Twilio's `MachineDetection`."""
    return "DetectMessageEnd" if action.detect_message_end else "Enable"


def milliseconds(queue_time: str | None) -> int:
    """Twilio's `queue_time`, which is text or null."""
    return int(queue_time) if queue_time and queue_time.isdecimal() else 0


def caller_id_of(account: TwilioAccount, wanted: str, to: str) -> str:
    """The caller id. Raises `RequestFailedError`, as Twilio would refuse it, when there is none to a phone."""
    sender = account.caller_id(wanted, to)
    if sender is None:
        raise RequestFailedError("caller_id", Answer(status=400, code=INVALID_CALLER_ID))
    return sender
