"""Webhooks become facts: which leg is meant, which trigger it pulls, and whether it is news at all.

Callbacks come late, twice and in any order. A conference event shows the whole participant at one SequenceNumber, so
the highest number seen wins; call progress only ever moves a leg forward.
"""

import msgspec
from msgspec.structs import replace

from engine.core import enqueued, flags, machines, recording_facts, rescues, session_facts, tasks
from engine.core.dialling import NO_DETECTION
from engine.core.legs import hang_up, takes_message
from engine.core.turn import CALL, TRANSFER, Turn
from schemas.events import VoicemailEvent
from schemas.ids import FIRST_ROOM
from schemas.records import Webhook
from schemas.state import Flags, Leg, LegState, Role
from schemas.task_attributes import read_task_attributes
from schemas.webhooks import (
    Assignment,
    CallProgress,
    ConferenceEvent,
    ConversationEnded,
    ConversationProgress,
    Form,
    MachineDetection,
    QueueLeft,
    RecordingProgress,
    Source,
    TaskEvent,
    VoicemailLeft,
    VoiceRequest,
    read_form,
)

_PROGRESS = {
    "queued": "created",
    "initiated": "dialing",
    "ringing": "ringing",
    "in-progress": "answered",
    "completed": "ended",
    "busy": "ended",
    "no-answer": "ended",
    "failed": "ended",
    "canceled": "ended",
}
_ENDINGS = {"busy": "busy", "no-answer": "no_answer", "failed": "failed", "canceled": "cancelled"}
_LEAVINGS = {
    "participant_add_failed": "failed",
    "participant_updated_via_api": "removed",
    "moderator_ended_conference": "hub_ended",
    "conference_ended_via_api": "hub_ended",
}
_MACHINES = ("machine", "fax")
LEAVE = "participant-leave"
UP = "in-progress"
OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})


def apply(turn: Turn, record: Webhook) -> None:
    """Let a webhook move the call."""
    try:
        form = read_form(record.source, record.params)
    except msgspec.MsgspecError:
        turn.ignore("malformed", record.source.value)
        return
    if turn.call.in_conversation or isinstance(form, ConversationProgress | ConversationEnded):
        session_facts.apply(turn, record, form)
    else:
        _take(turn, record, form)


def _take(turn: Turn, record: Webhook, form: Form) -> None:
    match form:
        case ConferenceEvent():
            _conference(turn, record, form)
        case CallProgress():
            _progress(turn, record, form)
        case MachineDetection():
            _detection(turn, record, form)
        case VoiceRequest() if record.source is Source.JOINING:
            _pull(turn, record, "answered", form.call_sid)
        case Assignment() | TaskEvent():
            _task(turn, form)
        case QueueLeft():
            if not enqueued.left_queue(turn, form):
                turn.ignore("noted", f"queue.{form.queue_result}")
        case VoicemailLeft():
            _voicemail(turn, record, form)
        case RecordingProgress():
            recording_facts.called_back(turn, record, form)
        case _:
            turn.ignore("not_expected", record.source.value)


def _task(turn: Turn, form: Assignment | TaskEvent) -> None:
    """TaskRouter speaks of a task: a reservation to be served, or how it stands."""
    fact = form.event_type if isinstance(form, TaskEvent) else "assignment"
    attributes = read_task_attributes(form.task_attributes)
    task = tasks.meant(turn, form, attributes)
    if task is None:
        turn.ignore("unknown_task", fact)
        return
    if task.enqueued:
        turn.worker = tasks.contact_of(form.worker_attributes)
        enqueued.learn(turn, task, form.task_sid, attributes)
    if isinstance(form, Assignment):
        if not tasks.assigned(turn, form, task):
            turn.ignore("not_expected", fact)
        return
    turn.reason = form.task_canceled_reason or None
    trigger = tasks.trigger_of(form, task)
    if trigger is None or not machines.move_task(turn, trigger, task.task):
        turn.ignore("noted", fact)


def _leg_of(turn: Turn, record: Webhook, call_sid: str | None, label: str | None = None) -> Leg | None:
    """The leg that a callback speaks of: by its SID, by our own URL, by its label, never by guessing."""
    leg = turn.by_sid(call_sid) or turn.find(record.leg) or turn.find(label) or enqueued.worker_of(turn, record.action)
    if leg is None or leg.call_sid is None or call_sid is None or leg.call_sid == call_sid:
        return leg
    return None


def _progress(turn: Turn, record: Webhook, form: CallProgress) -> None:
    trigger = _PROGRESS.get(form.call_status)
    if trigger is None:
        turn.ignore("unknown_status", f"status.{form.call_status}")
        return
    _pull(turn, record, trigger, form.call_sid, form.call_status)


def _pull(turn: Turn, record: Webhook, trigger: str, call_sid: str, status: str = "") -> None:
    """Bind the SID and pull `trigger` on the leg concerned, or say why not."""
    fact = f"{record.source.value}.{trigger}"
    leg = _leg_of(turn, record, call_sid)
    if leg is None:
        turn.ignore("unknown_leg", fact)
        return
    turn.reason = ending_of(leg, status)
    if not machines.expects(turn, trigger, leg.leg):
        turn.ignore("late" if leg.state in {LegState.LEFT, LegState.FAILED} else "stale", fact, leg.leg)
        return
    bind(turn, leg, call_sid)
    machines.move_leg(turn, trigger, leg.leg)


def bind(turn: Turn, leg: Leg, call_sid: str | None) -> Leg:
    """Note the SID of a leg that had none; Twilio's word may overtake its own REST answer."""
    return turn.update(leg.leg, call_sid=call_sid) if leg.call_sid is None and call_sid else leg


def ending_of(leg: Leg, status: str) -> str:
    """Why a leg ended with this CallStatus; `completed` is a hang-up in the room, or a refusal on the way to it."""
    by_itself = "hung_up" if leg.joined_at is not None or leg.role is Role.CUSTOMER else "rejected"
    return _ENDINGS.get(status, by_itself)


def _detection(turn: Turn, record: Webhook, form: MachineDetection) -> None:
    leg = _leg_of(turn, record, form.call_sid)
    if leg is None:
        turn.ignore("unknown_leg", "amd")
    elif leg.answered_by is not None:
        turn.ignore("duplicate", "amd", leg.leg)
    else:
        turn.update(leg.leg, answered_by=form.answered_by)
        unwanted = leg.machine != NO_DETECTION and form.answered_by.startswith(_MACHINES)
        if not (unwanted and machines.move_leg(turn, "machine", leg.leg)):
            turn.tell_leg("leg.modified", turn.leg(leg.leg), reason=f"answered_by_{form.answered_by}")
            if leg.role is Role.CUSTOMER:
                turn.stimulate(CALL, "customer_detected", leg.leg)


def _voicemail(turn: Turn, record: Webhook, form: VoicemailLeft) -> None:
    """The message is told even though the call has ended with it."""
    leg = _leg_of(turn, record, form.call_sid)
    if leg is None:
        turn.ignore("unknown_leg", "voicemail")
        return
    duration_s = form.recording_duration or 0
    told = VoicemailEvent(cause=turn.cause, leg=leg.leg, duration_s=duration_s, recording_sid=form.recording_sid)
    turn.emit("voicemail.recorded" if duration_s else "voicemail.empty", told)


def _conference(turn: Turn, record: Webhook, form: ConferenceEvent) -> None:
    name = form.status_callback_event
    if turn.call.room.generation > FIRST_ROOM and rescues.is_former(turn, form):
        _of_former(turn, record, form)
    elif name == "conference-start":
        _room(turn, form, started=True)
    elif name == "conference-end":
        _room_ended(turn, form)
    elif name.startswith("announcement-"):
        turn.ignore("noted", name)
    elif name.startswith("participant-"):
        _participant(turn, record, form)
    else:
        turn.ignore("unknown_event", name)


def _of_former(turn: Turn, record: Webhook, form: ConferenceEvent) -> None:
    """Of a conference that the call has lost only one thing still counts: that somebody's call is over."""
    leg = _leg_of(turn, record, form.call_sid, form.participant_label)
    over = form.status_callback_event == LEAVE and form.participant_call_status in OVER
    if leg is None or not over or not machines.move_leg(turn, "ended", leg.leg):
        turn.ignore("other_conference", form.status_callback_event, leg.leg if leg is not None else None)


def _room(turn: Turn, form: ConferenceEvent, *, started: bool) -> None:
    room = turn.call.room
    if room.sid not in {None, form.conference_sid}:
        turn.ignore("other_conference", form.status_callback_event)
    elif room.sid == form.conference_sid and room.started:
        turn.ignore("duplicate", form.status_callback_event)
    else:
        turn.set(room=replace(room, sid=form.conference_sid, started=started))


def _room_ended(turn: Turn, form: ConferenceEvent) -> None:
    if turn.call.room.sid not in {None, form.conference_sid}:
        turn.ignore("other_conference", form.status_callback_event)
        return
    live = [leg for leg in turn.live() if leg.conference_sid in {None, form.conference_sid}]
    turn.set(room=replace(turn.call.room, sid=form.conference_sid, started=False))
    if not live and turn.call.ended_at is not None:
        turn.ignore("late", form.status_callback_event)
        return
    lost = rescues.lost_by(turn, form)
    if lost and rescues.rescuable(turn):
        rescues.lose(turn)
        return
    if lost:
        turn.stimulate(TRANSFER, "hub_ended")
        turn.stimulate(CALL, "hub_ended")
    ending = turn.by_sid(form.call_sid_ending_conference)
    if ending is not None:
        turn.reason = "hung_up"
        machines.move_leg(turn, "left", ending.leg)
    for leg in sorted(live, key=lambda leg: leg.role is not Role.CUSTOMER):
        if ending is None or leg.leg != ending.leg:
            machines.move_leg(turn, "hub_ended", leg.leg)
    turn.stimulate(CALL, "hub_ended")


def _participant(turn: Turn, record: Webhook, form: ConferenceEvent) -> None:
    name = form.status_callback_event
    leg = _leg_of(turn, record, form.call_sid, form.participant_label) or _adopted(turn, form)
    if leg is None:
        turn.ignore("unknown_leg", name)
    elif _stale(leg, form):
        turn.ignore("stale", name, leg.leg)
    else:
        bind(turn, leg, form.call_sid)
        known = leg.heard if leg.conference_sid == form.conference_sid else -1
        heard = known if form.sequence_number is None else max(known, form.sequence_number)
        turn.update(leg.leg, conference_sid=form.conference_sid, heard=heard, heard_at=turn.at)
        if turn.call.room.sid is None or not turn.call.room.started:
            turn.set(room=replace(turn.call.room, sid=form.conference_sid))
        if name == LEAVE:
            _left(turn, turn.leg(leg.leg), form)
        else:
            _shown(turn, turn.leg(leg.leg), form)


def _stale(leg: Leg, form: ConferenceEvent) -> bool:
    """Older than what was heard of this leg here; without a number, nothing revives a leg that is over."""
    if form.status_callback_event == LEAVE and leg.conference_sid not in {None, form.conference_sid}:
        return True  # it has moved to another conference since
    if form.sequence_number is None:
        return leg.state in {LegState.LEFT, LegState.FAILED}
    return leg.conference_sid == form.conference_sid and form.sequence_number <= leg.heard


def _adopted(turn: Turn, form: ConferenceEvent) -> Leg | None:
    """Somebody is in our room whom we did not invite: taken in as a third party, so that nothing is hidden."""
    if form.status_callback_event == LEAVE or form.call_sid is None:
        return None
    worker = enqueued.joining(turn, form.call_sid)
    if worker is not None:
        return worker
    leg = Leg(turn.next_leg_id(Role.THIRD), Role.THIRD, LegState.ANSWERED, call_sid=form.call_sid)
    turn.add(leg)
    turn.tell_leg("leg.adopted", leg, to=leg.state.value)
    return leg


def _left(turn: Turn, leg: Leg, form: ConferenceEvent) -> None:
    turn.never_added = form.reason_participant_left == "participant_add_failed"
    by_status = _ENDINGS.get(form.participant_call_status or "")
    turn.reason = by_status or _LEAVINGS.get(form.reason_participant_left or "", "hung_up")
    up = form.participant_call_status == UP
    lost = rescues.lost_with(turn, form) and rescues.rescuable(turn)
    if lost:
        rescues.lose(turn)
    if lost and up:
        return
    sent_off = (leg.ours and leg.state is LegState.JOINED) or takes_message(turn, leg.leg)
    if not machines.move_leg(turn, "left", leg.leg):
        turn.ignore("late", LEAVE, leg.leg)
    if up and not sent_off:
        hang_up(turn, leg.leg)


def _shown(turn: Turn, leg: Leg, form: ConferenceEvent) -> None:
    """Every event but a leave shows a participant who is in the room."""
    before = leg.state
    seen = seen_flags(turn, leg, form)
    if before is not LegState.JOINED:
        if not machines.move_leg(turn, "joined", leg.leg):
            turn.ignore("late", form.status_callback_event, leg.leg)
        elif turn.leg(leg.leg).state is LegState.JOINED:
            arrive(turn, leg.leg, seen)
        return
    if not flags.observe(turn, leg.leg, seen):
        turn.ignore("already_known", form.status_callback_event, leg.leg)


def arrive(turn: Turn, leg_id: str, seen: Flags) -> None:
    """A leg comes in with the switches that it was made with; they are what we wanted of it so far."""
    leg = turn.leg(leg_id)
    turn.update(leg_id, observed=seen, desired=seen)
    if seen.hold and leg.role is Role.CUSTOMER:
        turn.update(leg_id, held_at=turn.at)
        turn.stimulate(CALL, "customer_held", leg_id)


def seen_flags(turn: Turn, leg: Leg, form: ConferenceEvent) -> Flags:
    """The switches that an event shows; those that it does not name stay as known."""
    known = leg.observed
    return Flags(
        hold=known.hold if form.hold is None else form.hold,
        muted=known.muted if form.muted is None else form.muted,
        coaching=_coaching(turn, leg, form),
        end_on_exit=known.end_on_exit if form.end_conference_on_exit is None else form.end_conference_on_exit,
    )


def _coaching(turn: Turn, leg: Leg, form: ConferenceEvent) -> str | None:
    """Whom the leg coaches. Twilio's events may say that it coaches, not whom: then it is whom we asked for."""
    if form.coaching is None:
        return leg.observed.coaching
    coached = turn.by_sid(form.call_sid_to_coach)
    if not form.coaching or coached is not None:
        return coached.leg if form.coaching and coached is not None else None
    return leg.desired.coaching or leg.observed.coaching
