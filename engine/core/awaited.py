"""What the commands of supervisions and of the recording wait for, asked of the state; who asks is `answers`."""

from engine.core import supervisions
from engine.core.legs import is_over
from engine.core.turn import Turn
from schemas.results import Outcome
from schemas.state import OpenCommand, RecordingState, Supervision, SupervisionState

Verdict = tuple[Outcome, str | None] | None

_APPLIED: Verdict = (Outcome.APPLIED, None)
_DOUBTFUL = {
    "create_unknown": Outcome.UNKNOWN,
    "start_unknown": Outcome.UNKNOWN,
    "unknown": Outcome.UNKNOWN,
    "expired": Outcome.EXPIRED,
}
_MODES = frozenset(supervisions.REACHED.values())
_ON_THE_WAY = frozenset({SupervisionState.DIALING, SupervisionState.SWITCHING})
_RECORDED = frozenset({RecordingState.ON, RecordingState.PAUSED, RecordingState.STOPPING, RecordingState.DONE})
_RECORDING_OVER = frozenset({RecordingState.DONE, RecordingState.ABSENT})


def _failed(reason: str) -> Verdict:
    return _DOUBTFUL.get(reason, Outcome.FAILED), reason


def mode_reached(turn: Turn, opened: OpenCommand) -> Verdict:
    """`call.supervise` and `supervision.switch`: Twilio shows the mode that this command asked for."""
    item = supervisions.of(turn, opened.leg)
    if item is None:
        return Outcome.FAILED, "superseded"
    if item.command == opened.key and item.state in _MODES:
        return _APPLIED
    if item.command == opened.key and item.state in _ON_THE_WAY:
        return None
    return _failed(_why(turn, item))


def _why(turn: Turn, item: Supervision) -> str:
    unreached = turn.leg(item.supervisor).joined_at is None
    return item.reason or (turn.leg(item.supervisor).reason if unreached else None) or "left"


def taken_over(turn: Turn, opened: OpenCommand) -> Verdict:
    """`supervision.takeover`: the supervisor is the agent and the former agent has gone."""
    item = supervisions.of(turn, opened.leg)
    if item is not None and item.state is SupervisionState.TAKING_OVER:
        return None
    if item is not None and item.state is SupervisionState.TAKEN_OVER:
        return _APPLIED
    return Outcome.FAILED, (item.reason if item is not None else None) or "left"


def supervisor_gone(turn: Turn, opened: OpenCommand) -> Verdict:
    """`supervision.leave`."""
    return _APPLIED if is_over(turn.leg(opened.leg or "")) else None


def recording_began(turn: Turn, opened: OpenCommand) -> Verdict:
    """`recording.start`: Twilio says that it records, or has recorded."""
    item = turn.call.recording
    if item.state is RecordingState.STARTING:
        return None
    return _APPLIED if item.state in _RECORDED else _failed(item.reason or "failed")


def recording_paused(turn: Turn, opened: OpenCommand) -> Verdict:
    """`recording.pause`."""
    item = turn.call.recording
    if item.state is RecordingState.ON and item.wanted is RecordingState.PAUSED:
        return None
    return _APPLIED if item.state is RecordingState.PAUSED else _failed(item.reason or "not_recording")


def recording_resumed(turn: Turn, opened: OpenCommand) -> Verdict:
    """`recording.resume`."""
    item = turn.call.recording
    if item.state is RecordingState.PAUSED and item.wanted is RecordingState.ON:
        return None
    return _APPLIED if item.state is RecordingState.ON else _failed(item.reason or "not_recording")


def recording_stopped(turn: Turn, opened: OpenCommand) -> Verdict:
    """`recording.stop`: nothing more is recorded; the file may still be in the making."""
    item = turn.call.recording
    if item.stopped or item.state in _RECORDING_OVER:
        return _APPLIED
    return None if item.state is RecordingState.STOPPING else _failed(item.reason or "not_confirmed")
