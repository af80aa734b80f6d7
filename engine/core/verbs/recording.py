"""`recording.start`, `.pause`, `.resume`, `.stop`: the recording of the customer's leg; answered by Twilio's word."""

from engine.core import answers, recordings
from engine.core.turn import RECORDING, Turn
from schemas.commands import PauseRecording, StartRecording, SteerRecording
from schemas.records import Command
from schemas.state import RecordingState

_OVER = frozenset({RecordingState.OFF, RecordingState.DONE, RecordingState.FAILED, RecordingState.ABSENT})


def start(turn: Turn, command: Command, data: StartRecording) -> None:
    """Record; a recording that is on already is as wanted."""
    state = turn.call.recording.state
    if state is RecordingState.ON:
        answers.applied(turn, command, "no_change")
    elif state in {RecordingState.PAUSED, RecordingState.STOPPING}:
        answers.rejected(turn, command, f"recording_{state.value}")
    elif state is not RecordingState.STARTING and not turn.customer_present():
        answers.rejected(turn, command, "no_customer")
    else:
        if state in _OVER:
            recordings.change(turn, max_pause_s=data.max_pause_s or 0)
            turn.stimulate(RECORDING, "start")
        answers.open_command(turn, command)


def pause(turn: Turn, command: Command, data: PauseRecording) -> None:
    """Pause for a while: the command's limit, else that of the start, else the policy's."""
    item = turn.call.recording
    if item.state is RecordingState.PAUSED and item.wanted is RecordingState.PAUSED:
        answers.applied(turn, command, "no_change")
    elif item.state is RecordingState.PAUSED:
        answers.rejected(turn, command, "busy")
    elif item.state is not RecordingState.ON:
        answers.rejected(turn, command, "not_recording")
    else:
        if item.wanted is RecordingState.ON:
            recordings.change(turn, pause_s=data.max_pause_s or 0)
            turn.stimulate(RECORDING, "pause")
        answers.open_command(turn, command)


def resume(turn: Turn, command: Command, data: SteerRecording) -> None:
    """Go on recording."""
    item = turn.call.recording
    if item.state is not RecordingState.PAUSED:
        answers.rejected(turn, command, "not_paused")
    else:
        if item.wanted is RecordingState.PAUSED:
            turn.stimulate(RECORDING, "resume")
        answers.open_command(turn, command)


def stop(turn: Turn, command: Command, data: SteerRecording) -> None:
    """End the recording for good; the file is finished afterwards."""
    item = turn.call.recording
    if item.state is RecordingState.DONE or item.stopped:
        answers.applied(turn, command, "no_change")
    elif item.state in _OVER or item.state is RecordingState.STARTING:
        answers.rejected(turn, command, "not_recording")
    else:
        if item.state is not RecordingState.STOPPING:
            turn.stimulate(RECORDING, "stop")
        answers.open_command(turn, command)
