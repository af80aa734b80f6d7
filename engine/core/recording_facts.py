"""What Twilio says of the recording: callbacks, and the answers to our own requests.

A callback belongs to our recording by its SID, or, while that is not known, by the action that its URL carries. Other
recordings of the same legs are not ours to follow.
"""

from engine.core import recordings
from engine.core.machines import RECORDING_TABLE, move_recording
from engine.core.table import choose
from engine.core.turn import RECORDING, Turn
from schemas.actions import StartRecording, UpdateRecording
from schemas.records import ActionOutcome, ActionReport, RecordingSeen, Webhook
from schemas.state import RecordingState
from schemas.webhooks import RecordingProgress

_PROGRESS = {"in-progress": "in_progress", "completed": "completed", "absent": "absent", "failed": "failed"}
_FINISHED = {"completed": "completed", "absent": "absent", "failed": "failed", "missing": "absent", "deleted": "absent"}
_SHOWN = {
    "in-progress": "resumed", "paused": "paused", "stopped": "stopped", "processing": "stopped",
    "completed": "stopped", "absent": "stopped",
}  # fmt: skip


def called_back(turn: Turn, record: Webhook, form: RecordingProgress) -> None:
    """Let a recording callback move the recording. They have no order of their own (twilio-facts.md 2.10)."""
    fact, item = f"recording.{form.recording_status}", turn.call.recording
    trigger = _PROGRESS.get(form.recording_status)
    if trigger is None:
        turn.ignore("unknown_status", fact)
    elif item.sid != form.recording_sid and (item.sid is not None or item.request != record.action):
        turn.ignore("other_recording", fact)
    elif choose(RECORDING_TABLE, turn, item.state.value, trigger, "") is None:
        turn.ignore("late", fact, item.leg)
    else:
        recordings.change(turn, sid=form.recording_sid, duration_s=form.recording_duration)
        move_recording(turn, trigger)


def seen(turn: Turn, shown: RecordingSeen | None) -> None:
    """Let a look move the recording: what its callbacks should have said. What is still in the making is waited for."""
    trigger = _FINISHED.get(shown.status) if shown is not None else None
    if shown is None or trigger is None or shown.recording_sid != turn.call.recording.sid:
        return
    if choose(RECORDING_TABLE, turn, turn.call.recording.state.value, trigger, "") is not None:
        recordings.change(turn, duration_s=shown.duration_s)
        turn.stimulate(RECORDING, trigger)


def named(turn: Turn, recording_sid: str | None) -> None:
    """The end of a conversation names its recording, whose own callbacks may have been lost or are still to come."""
    if recording_sid and turn.call.recording.sid is None:
        recordings.change(turn, sid=recording_sid)


def answered(turn: Turn, action: StartRecording | UpdateRecording, report: ActionReport) -> None:
    """Let the answer to a request of ours move the recording."""
    if isinstance(action, StartRecording):
        _started(turn, action, report)
    else:
        _updated(turn, action, report)


def _started(turn: Turn, action: StartRecording, report: ActionReport) -> None:
    """The answer to the request to record: it proves a SID, not that anything is recorded."""
    item = turn.call.recording
    if item.action != action.id:
        return
    recordings.change(turn, action=None, sid=item.sid or report.recording_sid)
    if item.state is not RecordingState.STARTING:
        return  # its callback was faster
    recordings.change(turn, reason=_reason(report))
    doubtful = report.outcome is ActionOutcome.UNKNOWN
    done = report.outcome is ActionOutcome.DONE
    turn.stimulate(RECORDING, "created" if done else "doubtful" if doubtful else "refused")


def _updated(turn: Turn, action: UpdateRecording, report: ActionReport) -> None:
    """The answer to a pause, resume or stop shows what the recording is now; no callback will ever say so."""
    if turn.call.recording.action != action.id:
        return
    shown = _SHOWN.get(report.recording_status or "")
    if shown is not None:
        recordings.change(turn, action=None)
        turn.stimulate(RECORDING, shown)
        return
    recordings.change(turn, action=None, reason=_reason(report) or "not_confirmed")
    turn.stimulate(RECORDING, "refused")


def _reason(report: ActionReport) -> str | None:
    match report.outcome:
        case ActionOutcome.DONE:
            return None
        case ActionOutcome.FAILED:
            return report.reason or "failed"
        case _:
            return report.outcome.value
