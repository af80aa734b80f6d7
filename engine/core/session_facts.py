"""What Twilio says of a session: its status callbacks, the request to its action, and the calls as a look shows them.

Status callbacks are sent in order and may arrive in any; each carries its place in `SequenceNumber`. What is older than
the newest one heard adds nothing: a later status implies the earlier ones.
"""

from collections.abc import Mapping

from engine.core import recording_facts
from engine.core.machines import SESSION_TABLE, move_session
from engine.core.sessions import change, dialled, session_of
from engine.core.table import choose
from engine.core.turn import SESSION, Turn
from schemas.records import Webhook
from schemas.webhooks import CallProgress, ConversationEnded, ConversationProgress, Form, RecordingProgress

_PROGRESS = {
    "call-initiated": "initiated",
    "call-ringing": "ringing",
    "call-answered": "answered",
    "call-completed": "completed",
}
_OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
_SEEN = {"ringing": "ringing", "in-progress": "answered"}
HANG_UP = "hang_up"


def apply(turn: Turn, record: Webhook, form: Form) -> None:
    """Let a webhook of a call that a Conversations service has move it."""
    match form:
        case ConversationProgress():
            told(turn, form)
        case ConversationEnded():
            ended(turn, record, form)
        case CallProgress():
            _progress(turn, form)
        case RecordingProgress():
            recording_facts.called_back(turn, record, form)
        case _:
            turn.ignore("in_conversation", record.source.value)


def told(turn: Turn, form: ConversationProgress) -> None:
    """A status callback about the dialled leg."""
    fact, trigger = f"conversation.{form.status}", _PROGRESS.get(form.status)
    session = turn.call.session
    if session is None:
        turn.ignore("not_expected", fact)
    elif trigger is None:
        turn.ignore("unknown_status", fact)
    elif not _expects(turn, trigger):
        turn.ignore("stale" if turn.call.in_conversation else "late", fact, session.leg)
    elif form.sequence_number is not None and form.sequence_number <= session.heard:
        turn.ignore("stale", fact, session.leg)
    elif _others(turn, form.dial_call_sid):
        turn.ignore("unknown_leg", fact)
    else:
        heard = session.heard if form.sequence_number is None else form.sequence_number
        change(turn, heard=heard, conversation_sid=form.conversation_sid or session.conversation_sid)
        dialled(turn, form.dial_call_sid)
        move_session(turn, trigger, "")


def ended(turn: Turn, record: Webhook, form: ConversationEnded) -> None:
    """The request to the action: what has become of the session, and where we have led the caller."""
    fact = f"conversation.{form.result}"
    if turn.call.session is None:
        turn.ignore("not_expected", fact)
        return
    if not turn.call.in_conversation:
        turn.ignore("late", fact)
        return
    if form.dial_call_sid and not _others(turn, form.dial_call_sid):
        dialled(turn, form.dial_call_sid)
    change(
        turn, result=form.result, reason=form.failure, outcome=record.answered or HANG_UP,
        caller_gone=form.call_status in _OVER, duration_s=form.dial_call_duration,
    )  # fmt: skip
    recording_facts.named(turn, form.recording_sid)
    turn.stimulate(SESSION, "connected" if form.failure is None else "unreached")


def _progress(turn: Turn, form: CallProgress) -> None:
    """The number's own status callback tells of the leg that called."""
    waiting = turn.leg(session_of(turn).waiting)
    if form.call_sid == waiting.call_sid and form.call_status in _OVER:
        gone(turn)
    else:
        turn.ignore("in_conversation", f"status.{form.call_status}")


def gone(turn: Turn) -> None:
    """The leg that called is over; the result may be on its way."""
    change(turn, caller_gone=True, reason=None if session_of(turn).talked else "cancelled")
    turn.stimulate(SESSION, "caller_left")


def looked(turn: Turn, statuses: Mapping[str, str]) -> None:
    """A look at the calls, by CallSid: the waiting leg's decides, the dialled leg's may tell what was not heard."""
    session = session_of(turn)
    if statuses.get(turn.leg(session.waiting).call_sid or "") in _OVER:
        gone(turn)
        return
    leg = turn.find(session.leg)
    status = statuses.get(leg.call_sid or "", "") if leg is not None else ""
    trigger = "completed" if status in _OVER else _SEEN.get(status)
    if trigger is not None and _expects(turn, trigger):
        turn.stimulate(SESSION, trigger)


def _expects(turn: Turn, trigger: str) -> bool:
    return choose(SESSION_TABLE, turn, session_of(turn).state, trigger, "") is not None


def _others(turn: Turn, call_sid: str) -> bool:
    """Whether another leg has been dialled by the session already; it dials once."""
    leg = turn.find(session_of(turn).leg)
    return leg is not None and leg.call_sid != call_sid
