"""What the recording machine's guards ask and its effects do. One recording of the customer's leg at a time."""

from typing import Any

from msgspec.structs import replace

from engine.core import flags
from engine.core.flags import FLAGS_WITHIN_MS
from engine.core.table import Act, Guard
from engine.core.turn import Turn
from schemas.actions import RecordingStatus, StartRecording, UpdateRecording
from schemas.events import RecordingEvent
from schemas.state import LIVE_LEG_STATES, CallState, RecordingState

TIMER = "recording"
PAUSE = "max_pause"
UNKNOWN = "unknown"
CALLBACK_WITHIN_MS = 10_000
RESUME_AGAIN_MS = 10_000
FILE_WITHIN_MS = 300_000
MOST_LOOKS = 3


def change(turn: Turn, **changes: Any) -> None:  # noqa: ANN401 - fields of Recording
    """Change fields of the recording."""
    turn.set(recording=replace(turn.call.recording, **changes))


def tell(turn: Turn, name: str, **fields: Any) -> None:  # noqa: ANN401 - fields of RecordingEvent
    """Emit an event about the recording."""
    item = turn.call.recording
    shown = {"to": item.state.value, "leg": item.leg, "recording_sid": item.sid, **fields}
    turn.emit(f"recording.{name}", RecordingEvent(cause=turn.cause, **shown))


def policy_wants(turn: Turn, leg_id: str) -> bool:
    """Whether the policy begins a recording now: with the customer in the room, or with the first talk."""
    wanted = turn.call.policy.recording
    if not turn.customer_present():
        return False
    return wanted == "from_start" or (wanted == "from_connected" and turn.call.state is CallState.IN_CONFERENCE)


def sid_known(turn: Turn, leg_id: str) -> bool:
    """Whether Twilio's answer has named the recording."""
    return turn.call.recording.sid is not None


def was_paused(turn: Turn, leg_id: str) -> bool:
    """Whether it was paused when it was asked to stop."""
    return turn.call.recording.paused_at is not None


def leg_is_over(turn: Turn, leg_id: str) -> bool:
    """Whether the call that is recorded has ended, and the recording with it."""
    leg = turn.find(turn.call.recording.leg)
    return leg is not None and leg.state not in LIVE_LEG_STATES


def looked_enough(turn: Turn, leg_id: str) -> bool:
    """Whether its file has been looked for often enough."""
    return turn.call.recording.looks >= MOST_LOOKS


def begin(turn: Turn, leg_id: str) -> None:
    """Ask Twilio to record the customer's leg."""
    customer, call = turn.customer, turn.call
    if customer is None or customer.call_sid is None:
        return
    action = StartRecording(
        id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
        deadline=turn.deadline or turn.at + FLAGS_WITHIN_MS, leg=customer.leg, call_sid=customer.call_sid,
    )  # fmt: skip
    turn.request(action)
    change(
        turn, sid=None, leg=customer.leg, wanted=RecordingState.ON, request=action.id, action=action.id,
        paused_at=None, stopped=False, reason=None, duration_s=None, looks=0,
    )  # fmt: skip


def await_callback(turn: Turn, leg_id: str) -> None:
    """Its callback should come soon."""
    turn.arm(TIMER, CALLBACK_WITHIN_MS)


def _requesting(status: RecordingStatus, wanted: RecordingState) -> Act:
    def effect(turn: Turn, leg_id: str) -> None:
        item, call = turn.call.recording, turn.call
        customer = turn.find(item.leg)
        action = UpdateRecording(
            id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
            deadline=turn.deadline or turn.at + FLAGS_WITHIN_MS, leg=item.leg,
            call_sid=(customer.call_sid or "") if customer is not None else "", recording_sid=item.sid or "",
            status=status,
        )  # fmt: skip
        turn.request(action)
        change(turn, wanted=wanted, action=action.id, reason=None)

    return effect


def begin_pause(turn: Turn, leg_id: str) -> None:
    """Nothing is recorded from now on, for a limited time."""
    change(turn, paused_at=turn.at, wanted=RecordingState.PAUSED)
    turn.arm(PAUSE, _limit_ms(turn))
    tell(turn, "paused", from_=RecordingState.ON.value)


def _limit_ms(turn: Turn) -> int:
    item = turn.call.recording
    return (item.pause_s or item.max_pause_s or turn.call.policy.max_pause_s) * 1000


def end_pause(turn: Turn, leg_id: str) -> None:
    """It records again."""
    paused_at = turn.call.recording.paused_at
    turn.disarm(PAUSE)
    change(turn, paused_at=None, wanted=RecordingState.ON)
    duration_s = (turn.at - paused_at) / 1000 if paused_at is not None else None
    tell(turn, "resumed", from_=RecordingState.PAUSED.value, duration_s=duration_s)


def keep_on(turn: Turn, leg_id: str) -> None:
    """It goes on, as far as is known; a pause in doubt must not last for ever, so it is resumed in time like any."""
    item = turn.call.recording
    if item.wanted is RecordingState.PAUSED and item.reason == UNKNOWN:
        turn.arm(PAUSE, _limit_ms(turn))
    change(turn, wanted=RecordingState.ON)


def keep_paused(turn: Turn, leg_id: str) -> None:
    """It stays paused, and will be resumed all the same."""
    change(turn, wanted=RecordingState.PAUSED)
    if PAUSE not in turn.call.timers:
        turn.arm(PAUSE, RESUME_AGAIN_MS)


def note_stopped(turn: Turn, leg_id: str) -> None:
    """Nothing more is recorded; the file is still to be finished."""
    turn.disarm(PAUSE)
    change(turn, stopped=True, wanted=RecordingState.STOPPING)
    tell(turn, "stopped")


def await_file(turn: Turn, leg_id: str) -> None:
    """Twilio is finishing the file, and says so when it has."""
    turn.disarm(PAUSE)
    turn.arm(TIMER, FILE_WITHIN_MS)


def look_for_file(turn: Turn, leg_id: str) -> None:
    """It should have said so."""
    change(turn, looks=turn.call.recording.looks + 1)
    flags.look_up(turn)


def _ended(turn: Turn) -> None:
    turn.disarm(TIMER)
    turn.disarm(PAUSE)


def tell_started(turn: Turn, leg_id: str) -> None:
    """It records."""
    turn.disarm(TIMER)
    change(turn, reason=None)
    tell(turn, "started", from_=RecordingState.STARTING.value)


def tell_completed(turn: Turn, leg_id: str) -> None:
    """The file is ready at Twilio."""
    _ended(turn)
    tell(turn, "completed", duration_s=turn.call.recording.duration_s)


def tell_absent(turn: Turn, leg_id: str) -> None:
    """There is no file: it was too short or silent."""
    _ended(turn)
    change(turn, reason="absent")
    tell(turn, "absent", reason="absent")


def tell_failed(turn: Turn, leg_id: str) -> None:
    """It could not be recorded."""
    _ended(turn)
    tell(turn, "failed", reason=turn.call.recording.reason)


def _blaming(reason: str) -> Act:
    def effect(turn: Turn, leg_id: str) -> None:
        change(turn, reason=reason)

    return effect


RECORDING_GUARDS: dict[str, Guard] = {
    "policy_wants": policy_wants,
    "sid_known": sid_known,
    "was_paused": was_paused,
    "leg_is_over": leg_is_over,
    "looked_enough": looked_enough,
}
RECORDING_EFFECTS: dict[str, Act] = {
    "begin": begin,
    "await_callback": await_callback,
    "request_pause": _requesting(RecordingStatus.PAUSED, RecordingState.PAUSED),
    "request_resume": _requesting(RecordingStatus.IN_PROGRESS, RecordingState.ON),
    "request_stop": _requesting(RecordingStatus.STOPPED, RecordingState.STOPPING),
    "begin_pause": begin_pause,
    "end_pause": end_pause,
    "keep_on": keep_on,
    "keep_paused": keep_paused,
    "note_stopped": note_stopped,
    "tell_started": tell_started,
    "tell_completed": tell_completed,
    "tell_absent": tell_absent,
    "tell_failed": tell_failed,
    "await_file": await_file,
    "look_for_file": look_for_file,
    "blame_no_file": _blaming("file_unknown"),
    "blame_unknown": _blaming("start_unknown"),
    "blame_twilio": _blaming("failed"),
}
