"""A hold that lasts: reminders to the held customer and the end of patience, as the policy has them.

Guards and effects of the call machine, like those in `calls`.
"""

from engine.core import destinations, flags
from engine.core.table import Act, Guard
from engine.core.turn import CALL, Turn
from schemas.actions import UpdateParticipant
from schemas.events import HoldEvent
from schemas.prompts import Prompt

REMINDER = "hold_reminder"
LIMIT = "hold_max"
STILL_HOLDING = Prompt(say="Thank you for holding. We will be with you shortly.")


def requeues_hold(turn: Turn, leg_id: str) -> bool:
    """Whether a hold that is too long sends the customer back to the queue."""
    return turn.call.policy.hold_max == destinations.REQUEUE


def begin_hold(turn: Turn, leg_id: str) -> None:
    """The customer is held: remind, and bound it, if the policy says so."""
    policy = turn.call.policy
    if policy.hold_reminder_s:
        turn.arm(REMINDER, policy.hold_reminder_s * 1000)
    if policy.hold_max_s:
        turn.arm(LIMIT, policy.hold_max_s * 1000)
    turn.set(reminders=0)


def end_hold(turn: Turn, leg_id: str) -> None:
    """The hold is not what is going on any more."""
    turn.disarm(REMINDER)
    turn.disarm(LIMIT)


def remind(turn: Turn, leg_id: str) -> None:
    """The held customer hears that it is not forgotten."""
    customer = turn.customer
    if customer is None or customer.call_sid is None:
        return
    turn.set(reminders=turn.call.reminders + 1)
    held_s = (turn.at - (customer.held_at or turn.at)) / 1000
    turn.emit(
        "hold.reminder",
        HoldEvent(cause=turn.cause, leg=customer.leg, duration_s=held_s, count=turn.call.reminders),
    )
    call = turn.call
    turn.request(
        UpdateParticipant(
            id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
            deadline=turn.at + flags.FLAGS_WITHIN_MS, leg=customer.leg,
            conference_sid=customer.conference_sid or call.room.sid or "", call_sid=customer.call_sid,
            announce=STILL_HOLDING,
        )
    )  # fmt: skip
    turn.arm(REMINDER, call.policy.hold_reminder_s * 1000)


def hold_too_long(turn: Turn, leg_id: str) -> None:
    """The end of patience: tell, give the customer back, or take a message."""
    customer = turn.customer
    if customer is None:
        return
    held_s = (turn.at - (customer.held_at or turn.at)) / 1000
    turn.emit("hold.limit", HoldEvent(cause=turn.cause, leg=customer.leg, duration_s=held_s))
    what = turn.call.policy.hold_max
    if what == "resume":
        flags.unhold(turn, customer.leg)
    elif what == destinations.VOICEMAIL:
        destinations.voicemail(turn)


def requeue(turn: Turn, leg_id: str) -> None:
    """Back to the queue."""
    end_hold(turn, "")
    destinations.requeue(turn)
    turn.stimulate(CALL, "requeued")


HOLD_GUARDS: dict[str, Guard] = {"requeues_hold": requeues_hold}
HOLD_EFFECTS: dict[str, Act] = {
    "begin_hold": begin_hold,
    "end_hold": end_hold,
    "remind": remind,
    "hold_too_long": hold_too_long,
    "requeue": requeue,
}
