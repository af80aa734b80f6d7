"""Action reports: what Twilio answered, or that it did not.

A report closes the pending action. A success tells what the answer proves (a SID, not an effect); a failure of a
switch gives up what was wanted; a doubt is looked up, never guessed.
"""

from msgspec.structs import replace

from engine.core import (
    answers,
    facts,
    flags,
    machines,
    observations,
    recording_facts,
    rescues,
    session_facts,
    supervisions,
    tasks,
)
from engine.core.turn import CALL, LEG, Turn
from schemas.actions import (
    Action,
    AnnounceAll,
    CreateCall,
    CreateParticipant,
    CreateTask,
    EndConference,
    HangUp,
    LookUp,
    RedirectCall,
    RejoinRoom,
    RemoveParticipant,
    StartRecording,
    UpdateParticipant,
    UpdateRecording,
)
from schemas.events import ActionEvent
from schemas.records import ActionOutcome, ActionReport
from schemas.results import Outcome
from schemas.state import Leg, LegState

NOT_FOUND = 404
CALL_IS_OVER = frozenset({"not_found", "wrong_state"})
"""What Twilio says of a call that is not in progress (21220) or that it does not know."""


def apply(turn: Turn, report: ActionReport) -> None:
    """Let a report move the call."""
    pending = next((item for item in turn.call.pending if item.action.id == report.action), None)
    if pending is None:
        turn.ignore("not_pending", f"report.{report.action_type}", report.leg)
        return
    turn.set(pending=tuple(item for item in turn.call.pending if item is not pending))
    if report.outcome is not ActionOutcome.DONE:
        _tell(turn, report)
        answers.fail_action(turn, report.action, Outcome(report.outcome.value), report.reason or report.outcome.value)
    _take(turn, pending.action, report)


def _tell(turn: Turn, report: ActionReport) -> None:
    event = ActionEvent(
        cause=turn.cause, action=report.action, action_type=report.action_type, outcome=report.outcome.value,
        leg=report.leg, reason=report.reason, code=report.code, status=report.status,
    )  # fmt: skip
    turn.emit(f"action.{report.outcome.value}", event)


def _take(turn: Turn, action: Action, report: ActionReport) -> None:  # noqa: C901, PLR0912 - one case per action
    leg = turn.find(action.leg)
    done = report.outcome is ActionOutcome.DONE
    match action:
        case CreateParticipant() | CreateCall() if leg is not None:
            _created(turn, leg, report)
        case UpdateParticipant(announce=None) if leg is not None and not done:
            flags.give_up(turn, (leg.leg,))
            flags.look_up(turn)
            supervisions.refused(turn, action.id, report.reason or report.outcome.value)
        case UpdateParticipant():
            supervisions.acknowledge(turn, action.id)
            _look_where_untold(turn, action)
        case RejoinRoom() if leg is not None and not done:
            _not_rejoined(turn, leg, report)
        case StartRecording() | UpdateRecording():
            recording_facts.answered(turn, action, report)
        case RemoveParticipant() | HangUp() if leg is not None:
            _removed(turn, leg, report)
        case EndConference() if not done:
            for live in turn.live():
                turn.stimulate(LEG, "remove", live.leg)
        case RedirectCall() if not done and leg is not None and leg.state is LegState.LEAVING:
            turn.stimulate(LEG, "overdue", leg.leg)
        case RedirectCall() if not done:
            turn.stimulate(CALL, "end_asked")
        case CreateTask():
            tasks.created(turn, action.task, report.task_sid if done else None, report.reason)
        case LookUp() if done and report.seen is not None:
            observations.apply(turn, report.seen, action)
        case EndConference() | RedirectCall() | LookUp() | AnnounceAll() | _:
            pass


def _look_where_untold(turn: Turn, action: UpdateParticipant) -> None:
    """Of a conference that TaskRouter has made, Twilio does not tell these two switches: look, and do not wait."""
    if turn.call.room.adopted and (action.end_on_exit is not None or action.coach is not None):
        flags.look_up(turn)


def _created(turn: Turn, leg: Leg, report: ActionReport) -> None:
    if report.outcome is ActionOutcome.DONE:
        facts.bind(turn, leg, report.call_sid)
        if report.conference_sid is not None and turn.call.room.sid is None:
            turn.set(room=replace(turn.call.room, sid=report.conference_sid))
        machines.move_leg(turn, "created", leg.leg)
    elif report.outcome is ActionOutcome.UNKNOWN:
        machines.move_leg(turn, "create_doubtful", leg.leg)
    else:
        turn.reason = "expired" if report.outcome is ActionOutcome.EXPIRED else (report.reason or "failed")
        machines.move_leg(turn, "create_failed", leg.leg)


def _not_rejoined(turn: Turn, leg: Leg, report: ActionReport) -> None:
    """A call that cannot be redirected is over; of one that was not in time nothing is known."""
    if report.reason in CALL_IS_OVER and leg.state is LegState.ANSWERED:
        rescues.blame_room(turn, leg)
        machines.move_leg(turn, "gone", leg.leg)
    else:
        flags.look_up(turn)


def _removed(turn: Turn, leg: Leg, report: ActionReport) -> None:
    """Twilio's own word that there is no such participant is as good as a leave; the rest is seen by callbacks."""
    if report.status == NOT_FOUND and turn.call.in_conversation:
        session_facts.gone(turn)
    elif report.status == NOT_FOUND:
        machines.move_leg(turn, "gone", leg.leg)
    elif report.outcome is not ActionOutcome.DONE:
        flags.look_up(turn)
