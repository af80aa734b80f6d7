"""What the session machine's guards ask and its effects do: a call inside a Conversations service.

There is no room and there are no switches. The legs are shown as far as Twilio tells of them; the leg machine, whose
timers hang up who does not join, has no part in it.
"""

from typing import Any

from msgspec.structs import replace

from engine.core import flags, recordings
from engine.core.dialling import leg_timer
from engine.core.legs import HANG_UP_WITHIN_MS, JOIN_WITHIN_MS
from engine.core.table import Act, Guard
from engine.core.turn import CALL, RECORDING, Turn
from schemas.actions import HangUp
from schemas.events import ConversationEvent
from schemas.sessions import Session, SessionState
from schemas.state import Direction, Leg, LegState, Role

TIMER = "conversation"
GRACE_MS = 30_000
RESULT_WITHIN_MS = 15_000
RECORDED_BY = "conversation"
"""Stands for the action in the URL of the recording callback: the recording is asked for in TwiML, by no action."""
WAIT_IN_ROOM = "wait"


def session_of(turn: Turn) -> Session:
    """The session. Raises `LookupError`."""
    if turn.call.session is None:
        raise LookupError(TIMER)
    return turn.call.session


def change(turn: Turn, **changes: Any) -> Session:  # noqa: ANN401 - fields of Session
    """Change fields of the session; gives the changed session."""
    changed = replace(session_of(turn), **changes)
    turn.set(session=changed)
    return changed


def tell(turn: Turn, before: SessionState | None) -> None:
    """Say where the session is."""
    item = session_of(turn)
    turn.emit(
        f"conversation.{item.state.value}",
        ConversationEvent(
            cause=turn.cause, service_sid=item.service_sid, from_=before.value if before is not None else None,
            to=item.state.value, reason=item.reason, leg=item.leg, conversation_sid=item.conversation_sid,
            worker_initiated=item.worker_initiated, result=item.result, outcome=item.outcome,
            duration_s=item.duration_s,
        ),
    )  # fmt: skip


def begin(turn: Turn, waiting: str) -> None:
    """We have answered a call that begins with `<Connect><Conversation>`."""
    policy = turn.call.policy
    outbound = turn.call.direction is Direction.OUTBOUND
    turn.set(session=Session(SessionState.CONNECTING, policy.service_sid or "", waiting, worker_initiated=outbound))
    tell(turn, None)
    item = policy.conversation
    turn.arm(TIMER, (item.routing_assignment_timeout_s + item.inbound_timeout_s) * 1000 + GRACE_MS)
    if item.recorded:
        recordings.change(turn, leg=waiting, request=RECORDED_BY)
        turn.stimulate(RECORDING, "expected")


def dialled(turn: Turn, call_sid: str) -> str:
    """The leg that the service has dialled, taken in at its first mention."""
    item = session_of(turn)
    if item.leg is not None:
        return item.leg
    outbound = turn.call.direction is Direction.OUTBOUND
    role = Role.CUSTOMER if outbound else Role.AGENT
    target = turn.call.customer or None if outbound else None
    leg = Leg(turn.next_leg_id(role), role, LegState.PLANNED, call_sid=call_sid, target=target)
    turn.add(leg)
    change(turn, leg=leg.leg)
    turn.tell_leg("leg.adopted", leg, to=leg.state.value, target=target)
    return leg.leg


def caller_gone(turn: Turn, leg_id: str) -> bool:
    """Whether the leg that called has hung up."""
    return session_of(turn).caller_gone


def talked(turn: Turn, leg_id: str) -> bool:
    """Whether the dialled leg has answered."""
    return session_of(turn).talked


def led_into_room(turn: Turn, leg_id: str) -> bool:
    """Whether our answer has let the caller into the room."""
    return session_of(turn).outcome == WAIT_IN_ROOM


def _show(turn: Turn, leg_id: str | None, state: LegState, reason: str | None = None) -> None:
    leg = turn.find(leg_id)
    if leg is not None and leg.state is not state:
        turn.update(leg.leg, state=state, reason=reason)
        turn.tell_leg(f"leg.{state.value}", turn.leg(leg.leg), from_=leg.state.value, to=state.value, reason=reason)


def tell_dialing(turn: Turn, leg_id: str) -> None:
    """The service dials."""
    _show(turn, session_of(turn).leg, LegState.DIALING)


def tell_ringing(turn: Turn, leg_id: str) -> None:
    """It rings."""
    _show(turn, session_of(turn).leg, LegState.RINGING)


def begin_talk(turn: Turn, leg_id: str) -> None:
    """The dialled leg has answered. The call's own look from time to time sees an end that nobody tells of."""
    item = change(turn, talked=True)
    turn.disarm(TIMER)
    _show(turn, item.leg, LegState.ANSWERED)
    _show(turn, item.waiting, LegState.ANSWERED)
    turn.stimulate(CALL, "session_talking", item.waiting)


def await_result(turn: Turn, leg_id: str) -> None:
    """The request to the action should come soon."""
    turn.arm(TIMER, RESULT_WITHIN_MS)


def look(turn: Turn, leg_id: str) -> None:
    """Look whether the calls are up, again and again: the session ends by a fact only."""
    flags.look_up(turn)
    turn.arm(TIMER, GRACE_MS)


def hang_up(turn: Turn, leg_id: str) -> None:
    """End the waiting leg's call, and the session with it."""
    call, leg = turn.call, turn.leg(session_of(turn).waiting)
    if any(isinstance(item.action, HangUp) for item in call.pending) or leg.call_sid is None:
        return
    turn.update(leg.leg, ours=True)
    turn.request(
        HangUp(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
               deadline=turn.at + HANG_UP_WITHIN_MS, leg=leg.leg, call_sid=leg.call_sid)
    )  # fmt: skip


def end_talk(turn: Turn, leg_id: str) -> None:
    """They have talked, and one of them has hung up."""
    item = session_of(turn)
    if not item.talked:
        turn.stimulate(CALL, "session_talking", item.waiting)
    _show(turn, item.leg, LegState.LEFT, "hung_up")
    _leave(turn, item)
    customer = item.caller_gone is (turn.call.direction is Direction.INBOUND)
    if turn.call.reason is None:
        turn.set(reason="customer_left" if customer else "agent_left")
    if customer and not _ended_by_us(turn):
        leg = turn.customer
        turn.tell_call("call.customer_left", reason="hung_up", leg=leg.leg if leg is not None else None)


def _leave(turn: Turn, item: Session) -> None:
    by_itself = item.caller_gone and not _ended_by_us(turn)
    _show(turn, item.waiting, LegState.LEFT, "hung_up" if by_itself else "removed")


def _ended_by_us(turn: Turn) -> bool:
    return turn.leg(session_of(turn).waiting).ours


def end_unreached(turn: Turn, leg_id: str) -> None:
    """Nobody was connected; what was to be recorded was not."""
    item = session_of(turn)
    _show(turn, item.leg, LegState.FAILED, item.reason if item.reason is not None else "cancelled")
    if turn.call.recording.sid is None:
        turn.stimulate(RECORDING, "not_begun")
    if item.outcome != WAIT_IN_ROOM or item.caller_gone:
        _leave(turn, item)


def tell_unanswered(turn: Turn, leg_id: str) -> None:
    """The caller, if it is still there, hears what the policy has for it."""
    item = session_of(turn)
    if turn.call.reason is None:
        turn.set(reason=item.reason)
    turn.tell_call("call.unanswered", reason=item.reason, leg=item.leg)


def tell_abandoned(turn: Turn, leg_id: str) -> None:
    """The caller has given up, or we have ended the call before anybody was there."""
    item = session_of(turn)
    inbound = turn.call.direction is Direction.INBOUND
    if turn.call.reason is None:
        turn.set(reason="abandoned" if inbound else "agent_left")
    if _ended_by_us(turn):
        return
    waited_s = (turn.at - turn.call.created_at) / 1000 if inbound else None
    name = "call.abandoned" if inbound else "call.cancelled"
    turn.tell_call(name, reason="hung_up", leg=item.waiting, duration_s=waited_s)


def let_into_room(turn: Turn, leg_id: str) -> None:
    """From now on it is a call like any other, whose caller is about to join its room."""
    item = session_of(turn)
    turn.disarm(TIMER)
    _show(turn, item.waiting, LegState.ANSWERED)
    turn.update(item.waiting, doubts=0)
    turn.arm(leg_timer(item.waiting), JOIN_WITHIN_MS)
    turn.stimulate(CALL, "session_waits", item.waiting)


def end_call(turn: Turn, leg_id: str) -> None:
    """The session was the call."""
    turn.disarm(TIMER)
    turn.stimulate(CALL, "session_over", session_of(turn).waiting)


SESSION_GUARDS: dict[str, Guard] = {"caller_gone": caller_gone, "talked": talked, "led_into_room": led_into_room}
SESSION_EFFECTS: dict[str, Act] = {
    "tell_dialing": tell_dialing,
    "tell_ringing": tell_ringing,
    "begin_talk": begin_talk,
    "await_result": await_result,
    "look": look,
    "hang_up": hang_up,
    "end_talk": end_talk,
    "end_unreached": end_unreached,
    "tell_unanswered": tell_unanswered,
    "tell_abandoned": tell_abandoned,
    "let_into_room": let_into_room,
    "end_call": end_call,
}
