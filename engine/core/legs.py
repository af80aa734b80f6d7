"""What the leg machine's guards ask and its effects do. What a move means for the call is raised as a stimulus."""

from engine.core import flags, rescues, tasks
from engine.core.dialling import LEAVE_MESSAGE, leg_timer
from engine.core.table import Act, Guard
from engine.core.turn import CALL, LEG, RECORDING, SUPERVISION, TALKING_ROLES, TASK, TRANSFER, Turn
from schemas.actions import HangUp, RedirectCall, RemoveParticipant
from schemas.prompts import CALL_US_BACK, prompt_of
from schemas.state import CallState, Direction, Leg, LegState, Role

HANG_UP_WITHIN_MS = 600_000
ANSWER_GRACE_MS = 7_000
LOOK_WITHIN_MS = 5_000
JOIN_WITHIN_MS = 60_000
LEAVE_WITHIN_MS = 10_000
MESSAGE_WITHIN_MS = 180_000
LOST_AFTER_DOUBTS = 3
MACHINE = "machine"
FAILURES = frozenset({"busy", "no_answer", "failed", "rejected", "machine", "cancelled"})
"""Why legs and attempts fail, as contracts.md section 4 has it."""


def was_in(turn: Turn, leg_id: str) -> bool:
    """Whether the leg has ever been in the room."""
    return turn.leg(leg_id).joined_at is not None


def doubted(turn: Turn, leg_id: str) -> bool:
    """Whether the leg has been looked for at Twilio once already."""
    return turn.leg(leg_id).doubts > 0


def given_up(turn: Turn, leg_id: str) -> bool:
    """Whether every means to see it gone has been tried."""
    return turn.leg(leg_id).doubts >= LOST_AFTER_DOUBTS


def never_added(turn: Turn, leg_id: str) -> bool:
    """Whether the leave says that it never came in (`participant_add_failed`)."""
    return turn.never_added and not was_in(turn, leg_id)


def takes_message(turn: Turn, leg_id: str) -> bool:
    """Whether a machine with a tone has picked up at a customer whom the policy leaves a message. A fax has none."""
    leg = turn.leg(leg_id)
    by = leg.answered_by or ""
    return leg.machine == LEAVE_MESSAGE and by.startswith("machine") and leg.call_sid is not None


def doubt(turn: Turn, leg_id: str) -> None:
    """Count one more look."""
    turn.update(leg_id, doubts=turn.leg(leg_id).doubts + 1)


def look_up(turn: Turn, leg_id: str) -> None:
    """Look at Twilio."""
    flags.look_up(turn)


def await_look(turn: Turn, leg_id: str) -> None:
    """A look has been asked for: judge when it has had its time."""
    turn.arm(leg_timer(leg_id), LOOK_WITHIN_MS)


def await_answer(turn: Turn, leg_id: str) -> None:
    """Twilio ends the ringing itself after the time-out and up to 5 s; ours comes after that."""
    leg = turn.update(leg_id, doubts=0)
    turn.arm(leg_timer(leg_id), leg.ring_timeout_s * 1000 + ANSWER_GRACE_MS)


def await_join(turn: Turn, leg_id: str) -> None:
    """Answered: it hears its whisper and then joins."""
    leg = turn.update(leg_id, doubts=0)
    if leg.role is not Role.CUSTOMER or not tasks.queued(turn):  # in a queue it is TaskRouter that says how long
        turn.arm(leg_timer(leg_id), JOIN_WITHIN_MS)


def leave_message(turn: Turn, leg_id: str) -> None:
    """Take it out of the room to say the message; its call ends with that."""
    call, leg = turn.call, turn.leg(leg_id)
    turn.request(
        RedirectCall(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                     deadline=turn.at + flags.FLAGS_WITHIN_MS, leg=leg_id, call_sid=leg.call_sid or "",
                     announce=prompt_of(call.policy.machine_message) or CALL_US_BACK)
    )  # fmt: skip


def await_message(turn: Turn, leg_id: str) -> None:
    """The message has its time before the leg is looked for and hung up."""
    turn.arm(leg_timer(leg_id), MESSAGE_WITHIN_MS)


def await_leave(turn: Turn, leg_id: str) -> None:
    """Asked to go: it should be seen gone soon."""
    turn.arm(leg_timer(leg_id), LEAVE_WITHIN_MS)


def ours(turn: Turn, leg_id: str) -> None:
    """Remember that we asked for the departure."""
    leg = turn.leg(leg_id)
    turn.update(leg_id, ours=True, doubts=0, reason=leg.reason or ("cancelled" if leg.joined_at is None else "removed"))


def hang_up(turn: Turn, leg_id: str) -> None:
    """End the Twilio call, if it is known yet; a leg still being created is hung up when its SID comes."""
    leg = turn.leg(leg_id)
    if leg.call_sid is not None:
        call = turn.call
        turn.request(
            HangUp(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                   deadline=turn.at + HANG_UP_WITHIN_MS, leg=leg_id, call_sid=leg.call_sid)
        )  # fmt: skip


def remove(turn: Turn, leg_id: str) -> None:
    """Take it out of the room; our own TwiML then hangs it up."""
    leg = turn.leg(leg_id)
    conference_sid = leg.conference_sid or turn.call.room.sid
    if leg.call_sid is None or conference_sid is None:
        hang_up(turn, leg_id)
        return
    call = turn.call
    turn.request(
        RemoveParticipant(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                          deadline=turn.at + HANG_UP_WITHIN_MS, leg=leg_id, conference_sid=conference_sid,
                          call_sid=leg.call_sid)
    )  # fmt: skip


def _blame(reason: str) -> Act:
    def effect(turn: Turn, leg_id: str) -> None:
        if turn.leg(leg_id).reason is None:
            turn.update(leg_id, reason=reason)

    return effect


def rang(turn: Turn, leg_id: str) -> None:
    """A ringing target lets a transfer release its initiator."""
    if _is_target(turn, leg_id):
        turn.stimulate(TRANSFER, "target_ringing", leg_id)


def enter(turn: Turn, leg_id: str) -> None:
    """It is in the room."""
    turn.disarm(leg_timer(leg_id))
    rescues.tell_return(turn, turn.leg(leg_id))
    leg = turn.update(leg_id, joined_at=turn.at, reason=None, doubts=0)
    task = tasks.of_leg(turn, leg_id)
    if task is not None:
        turn.stimulate(TASK, "worker_joined", task.task)
    if turn.call.state is CallState.ENDED:
        turn.stimulate(LEG, "remove", leg_id)
    elif leg.role is Role.CUSTOMER:
        for item in turn.call.tasks:
            turn.stimulate(TASK, "customer_joined", item.task)
        turn.stimulate(CALL, "customer_joined", leg_id)
    elif leg.role in TALKING_ROLES:
        if turn.call.transfer is not None and turn.call.transfer.recall_leg == leg_id:
            turn.stimulate(TRANSFER, "recalled", leg_id)
        turn.stimulate(CALL, "agent_joined", leg_id)
    elif leg.role is Role.SUPERVISOR:
        turn.stimulate(SUPERVISION, "joined", leg_id)
    elif leg.role is Role.TARGET:
        if _is_target(turn, leg_id):
            turn.stimulate(TRANSFER, "target_joined", leg_id)
        else:
            turn.stimulate(LEG, "remove", leg_id)


def enter_late(turn: Turn, leg_id: str) -> None:
    """It came in although we were hanging it up: the answer won the race."""
    turn.update(leg_id, joined_at=turn.at)
    if _is_target(turn, leg_id):
        turn.stimulate(TRANSFER, "target_joined", leg_id)


def close(turn: Turn, leg_id: str) -> None:
    """It is over: tell the machines that cared about it, the transfer before the call."""
    turn.disarm(leg_timer(leg_id))
    flags.tell_hold_ended(turn, leg_id)
    leg = _judged(turn, turn.leg(leg_id))
    task = tasks.of_leg(turn, leg_id)
    if task is not None and leg.joined_at is None:
        turn.stimulate(TASK, "worker_failed", task.task)
    else:
        _tell_transfer(turn, leg)
        _tell_call(turn, leg)
        if task is not None:
            turn.stimulate(TASK, "worker_left", task.task)
    _tell_supervisions(turn, leg)
    if turn.call.recording.leg == leg_id:
        turn.stimulate(RECORDING, "leg_over")
    if not turn.live():
        turn.stimulate(CALL, "everybody_gone", leg_id)


def _judged(turn: Turn, leg: Leg) -> Leg:
    """A leg that never came in failed for one of the few reasons that readers know; the rest is its detail."""
    reason = leg.reason or turn.reason or "left"
    if leg.state in {LegState.FAILED, LegState.LOST} and reason not in FAILURES:
        return turn.update(leg.leg, reason="failed", detail=reason)
    return turn.update(leg.leg, reason=reason)


def _tell_transfer(turn: Turn, leg: Leg) -> None:
    transfer = turn.call.transfer
    if transfer is None or (turn.call.room.ending and leg.role is not Role.CUSTOMER):
        return
    if leg.role is Role.CUSTOMER:
        turn.stimulate(TRANSFER, "customer_left", leg.leg)
    elif leg.leg == transfer.leg:
        turn.stimulate(TRANSFER, "target_failed", leg.leg)
    elif leg.leg == transfer.initiator:
        turn.stimulate(TRANSFER, "initiator_left", leg.leg)
    elif leg.leg == transfer.recall_leg:
        turn.stimulate(TRANSFER, "recall_failed", leg.leg)


def _tell_call(turn: Turn, leg: Leg) -> None:
    if leg.role is Role.CUSTOMER:
        unreached = (leg.joined_at is None or leg.reason == MACHINE) and turn.call.direction is Direction.OUTBOUND
        turn.stimulate(CALL, "customer_failed" if unreached else "customer_left", leg.leg)
    elif leg.role in TALKING_ROLES:
        if leg.joined_at is None:
            turn.stimulate(CALL, "agent_failed", leg.leg)
        elif not turn.talking():
            turn.stimulate(CALL, "agents_gone", leg.leg)


def _tell_supervisions(turn: Turn, leg: Leg) -> None:
    for item in turn.call.supervisions:
        if item.supervisor == leg.leg:
            turn.stimulate(SUPERVISION, "gone", leg.leg)
        elif item.coach == leg.leg:
            turn.stimulate(SUPERVISION, "coach_left", item.supervisor)


def _is_target(turn: Turn, leg_id: str) -> bool:
    return turn.call.transfer is not None and turn.call.transfer.leg == leg_id


def is_over(leg: Leg) -> bool:
    """Whether nothing more is expected of the leg."""
    return leg.state in {LegState.LEFT, LegState.FAILED, LegState.LOST}


LEG_GUARDS: dict[str, Guard] = {
    "was_in": was_in,
    "doubted": doubted,
    "given_up": given_up,
    "never_added": never_added,
    "takes_message": takes_message,
}
LEG_EFFECTS: dict[str, Act] = {
    "doubt": doubt,
    "look_up": look_up,
    "await_look": await_look,
    "await_answer": await_answer,
    "await_join": await_join,
    "await_leave": await_leave,
    "leave_message": leave_message,
    "await_message": await_message,
    "ours": ours,
    "hang_up": hang_up,
    "remove": remove,
    "rang": rang,
    "enter": enter,
    "enter_late": enter_late,
    "close": close,
    "blame_create": _blame("create_unknown"),
    "blame_no_answer": _blame("no_answer"),
    "blame_never_joined": _blame("never_joined"),
    "blame_machine": _blame(MACHINE),
    "blame_gone": _blame("already_gone"),
    "blame_hub": _blame("hub_ended"),
}
