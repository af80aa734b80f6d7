"""Dialling: planning a leg and asking Twilio for it, straight into the room under its label."""

from engine.core.assistants import address_of, fits
from engine.core.turn import LEG, Turn
from schemas.actions import Action, CreateCall, CreateParticipant, OnDoubt
from schemas.ids import FIRST_ROOM
from schemas.prompts import Prompt
from schemas.state import Leg, LegState, Role
from schemas.targets import Target, TargetKind, parse_target

DIAL_WITHIN_MS = 30_000
CREATE_GRACE_MS = 20_000
NO_DETECTION, HANG_UP, LEAVE_MESSAGE = "off", "hang_up", "voicemail_message"


def dial(
    turn: Turn,
    role: Role,
    target_text: str,
    *,
    from_: str | None = None,
    ring_timeout_s: int | None = None,
    whisper: Prompt | None = None,
    early_media: bool = False,
    muted: bool = False,
) -> str:
    """Plan a leg and request its creation; gives its id. `ring_timeout_s` defaults to the policy's.

    Of an application whose address the context would make too long nothing is asked: the leg fails at once.
    """
    target = parse_target(target_text)
    timeout_s = ring_timeout_s or turn.call.policy.ring_timeout_s
    leg = Leg(
        turn.next_leg_id(role), role, LegState.PLANNED, target=target_text, ring_timeout_s=timeout_s,
        machine=_on_machine(turn, role, target),
    )  # fmt: skip
    turn.add(leg)
    turn.tell_leg("leg.planned", leg, to=leg.state.value, target=target_text)
    if not fits((target_text,), turn.call.call_id, turn.call.context):  # a command would have been refused
        turn.update(leg.leg, reason="context_too_large")
        turn.stimulate(LEG, "create_failed", leg.leg)
        return leg.leg
    deadline = turn.deadline or turn.at + DIAL_WITHIN_MS
    caller = _caller(turn, from_)
    turn.request(_creation(turn, leg, target, deadline, caller, whisper, early_media=early_media, muted=muted))
    turn.arm(leg_timer(leg.leg), deadline - turn.at + CREATE_GRACE_MS)
    return leg.leg


def _creation(
    turn: Turn, leg: Leg, target: Target, deadline: int, caller: str, whisper: Prompt | None, *, early_media: bool,
    muted: bool,
) -> Action:  # fmt: skip
    """A whisper must be heard before the room: only then does the leg come by way of our TwiML."""
    call, detect = turn.call, leg.machine != NO_DETECTION
    to = address_of(target, call.call_id, leg.leg, call.context)
    if whisper is not None:
        return CreateCall(
            id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
            deadline=deadline, leg=leg.leg, to=to, from_=caller, whisper=whisper, timeout_s=leg.ring_timeout_s,
            detect_machine=detect, on_doubt=_on_doubt(target),
            room=call.room.name if call.room.adopted or call.room.generation > FIRST_ROOM else "",
        )  # fmt: skip
    return CreateParticipant(
        id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at, deadline=deadline,
        leg=leg.leg, room=call.room.name, conference_sid=call.room.sid, to=to, from_=caller,
        timeout_s=leg.ring_timeout_s, early_media=early_media, muted=muted, detect_machine=detect,
        detect_message_end=leg.machine == LEAVE_MESSAGE, on_doubt=_on_doubt(target),
    )  # fmt: skip


def _on_machine(turn: Turn, role: Role, target: Target) -> str:
    """What becomes of a machine that picks up. Only a phone can have one, and only a customer's is left a message."""
    if target.kind not in {TargetKind.PHONE, TargetKind.SIP}:
        return NO_DETECTION
    wanted, transfer = turn.call.policy.machine, turn.call.transfer
    if role is Role.CUSTOMER:
        return wanted
    asked = role is Role.TARGET and transfer is not None and "machine" in transfer.on_failure
    return HANG_UP if asked or wanted != NO_DETECTION else NO_DETECTION


def role_of(target_text: str) -> Role:
    """What somebody who is dialled to serve the customer is: an `app:` target is an AI agent."""
    return Role.AI if parse_target(target_text).kind is TargetKind.APP else Role.AGENT


def leg_timer(leg_id: str) -> str:
    """The name of a leg's own timer: how long it may stay in its state."""
    return f"leg.{leg_id}"


def _caller(turn: Turn, from_: str | None) -> str:
    """Twilio's `From`: what the command names, else the call's own number, else the account's (empty)."""
    return parse_target(from_).twilio_address if from_ else turn.call.number


def _on_doubt(target: Target) -> OnDoubt:
    """An agent's own device may ring twice; a person's phone may not (reliability.md 3.3)."""
    return OnDoubt.RETRY if target.kind is TargetKind.CLIENT else OnDoubt.FAIL
