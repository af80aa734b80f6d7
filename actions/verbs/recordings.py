"""Record one call, and pause, resume or stop that. Twilio has no key against a second recording of the same call."""

from twilio.rest.api.v2010.account.call.recording import RecordingInstance

from actions import codes
from actions.account import TwilioAccount
from actions.effect import Effect
from actions.heard import Answer, RequestFailedError
from actions.transport import asked
from schemas.actions import RecordingStatus, StartRecording, UpdateRecording

EVENTS = ("in-progress", "completed", "absent")
"""Without `absent` a silent recording never produces a callback (twilio-facts.md 2.7)."""

ACTIVE = frozenset({"in-progress", "paused"})
_OVER = frozenset({"stopped", "processing", "completed", "absent"})


async def start_recording(account: TwilioAccount, action: StartRecording) -> Effect:
    """`POST …/Calls/{sid}/Recordings`, two channels. Raises `RequestFailedError`."""
    query = account.client.calls(action.call_sid).recordings.create_async(
        recording_status_callback=account.urls.recording(action),
        recording_status_callback_method="POST",
        recording_status_callback_event=list(EVENTS),
        recording_channels="dual",
    )
    recording, answer = await asked("recordings.create", query)
    if not recording.sid:
        raise RequestFailedError("recordings.create", Answer(status=answer.status, readable=False))
    return effect_of(recording, answer)


async def update_recording(account: TwilioAccount, action: UpdateRecording) -> Effect:
    """`POST …/Calls/{sid}/Recordings/{sid}`. Raises `RequestFailedError`.

    Twilio can refuse with 21220 what it has carried out (twilio-facts.md 3.5): then the recording itself is asked.
    """
    recording = account.client.calls(action.call_sid).recordings(action.recording_sid)
    status = action.status.value
    try:
        changed, answer = await asked("recordings.update", recording.update_async(status=status))  # type: ignore[arg-type] # the library's constants are plain text
    except RequestFailedError as error:
        if not isinstance(error.heard, Answer) or error.heard.code != codes.NOT_IN_PROGRESS:
            raise
        seen, answer = await asked("recordings.fetch", recording.fetch_async())
        if not _is_as_wanted(str(seen.status), action.status):
            raise
        return effect_of(seen, answer)
    return effect_of(changed, answer)


def effect_of(recording: RecordingInstance, answer: Answer) -> Effect:
    """What a recording shows of itself."""
    return Effect(
        answer=answer,
        call_sid=recording.call_sid,
        recording_sid=recording.sid,
        recording_status=str(recording.status) if recording.status else None,
    )


def _is_as_wanted(status: str, wanted: RecordingStatus) -> bool:
    return status in _OVER if wanted is RecordingStatus.STOPPED else status == wanted.value
