"""What the call machine's guards ask and its effects do."""

from msgspec.structs import replace

from engine.core import destinations, enqueued, flags, recordings, rescues, tasks, wrap_up
from engine.core.destinations import END, END_WITHIN_MS, WAIT
from engine.core.dialling import NO_DETECTION, dial, role_of
from engine.core.table import Act, Guard
from engine.core.turn import LEG, TALKING_ROLES, Turn
from schemas.actions import EndConference
from schemas.commands import Disposition
from schemas.ids import room_of
from schemas.policy import CONVERSATION_PREFIX
from schemas.prompts import UNANSWERED, prompt_of
from schemas.state import Direction, Leg, LegState, Role, Room, TransferState

ORPHAN = "orphan"
FORGET = "forget"
FORGET_AFTER_MS = 86_400_000
RETURN_WITHIN_MS = 3_000


def agent_present(turn: Turn, leg_id: str) -> bool:
    """Whether an agent or an AI agent is in the room."""
    return bool(turn.talking())


def customer_present(turn: Turn, leg_id: str) -> bool:
    """Whether the customer is in the room."""
    return turn.customer_present()


def customer_is_held(turn: Turn, leg_id: str) -> bool:
    """Whether Twilio shows the customer on hold."""
    customer = turn.customer
    return customer is not None and customer.state is LegState.JOINED and customer.observed.hold


def outbound(turn: Turn, leg_id: str) -> bool:
    """Whether the call was begun by us or by an agent's browser."""
    return turn.call.direction is Direction.OUTBOUND


def nobody_coming(turn: Turn, leg_id: str) -> bool:
    """Whether no agent is in the room or on the way."""
    return destinations.nobody_coming(turn)


def sent_off(turn: Turn, leg_id: str) -> bool:
    """Whether we have sent the customer to a goodbye or a voicemail: that is no caller who gave up."""
    leg = turn.find(leg_id)
    return leg is not None and leg.ours


def ending(turn: Turn, leg_id: str) -> bool:
    """Whether we have asked for the end of the room."""
    return turn.call.room.ending


def requeues(turn: Turn, leg_id: str) -> bool:
    """Whether a transfer that failed sends the customer back to the queue."""
    transfer = turn.call.transfer
    failed = transfer is not None and transfer.state is TransferState.FAILED
    return failed and transfer is not None and transfer.disposition is Disposition.REQUEUE


def agent_returning(turn: Turn, leg_id: str) -> bool:
    """Whether an agent who has lost the room with the customer is being taken to the next."""
    return any(leg.role in TALKING_ROLES and rescues.returns(leg) for leg in turn.call.legs)


def orphan_alone(turn: Turn, leg_id: str) -> bool:
    """Whether the customer is in the room, no agent is being taken there, and the time to come back is over."""
    return rescues.in_fresh_room(turn) and ORPHAN not in turn.call.timers and not agent_returning(turn, leg_id)


def tells_agent(turn: Turn, leg_id: str) -> bool:
    """Whether an agent is there who is to hear that the customer could not be reached."""
    return turn.call.policy.unanswered == "announce" and not turn.call.room.ending and bool(_agents(turn))


def _agents(turn: Turn) -> list[Leg]:
    """Agents who can be spoken to: an AI agent knows by the event."""
    return [leg for leg in turn.talking() if leg.role is Role.AGENT and leg.call_sid is not None]


def say_unanswered(turn: Turn, leg_id: str) -> None:
    """The agents hear why there is nobody, outside the room, and their calls end with that."""
    reason = turn.leg(leg_id).reason or ""
    for leg in _agents(turn):
        destinations.send_off(turn, leg, UNANSWERED.get(reason, UNANSWERED["failed"]), voicemail=False)


def begin_waiting(turn: Turn, leg_id: str) -> None:
    """The customer is alone in the room: limit the wait and ring whom the policy names."""
    if turn.call.policy.max_wait_s:
        turn.arm(WAIT, turn.call.policy.max_wait_s * 1000)
    next_route(turn, leg_id)


def begin_queueing(turn: Turn, leg_id: str) -> None:
    """The caller is in TaskRouter's queue: limit the wait, unless others have put them there."""
    if turn.call.policy.max_wait_s and not enqueued.foreign(turn):
        turn.arm(WAIT, turn.call.policy.max_wait_s * 1000)


def stop_queueing(turn: Turn, leg_id: str) -> None:
    """The caller is on the way into our own room, where the wait begins anew."""
    turn.disarm(WAIT)
    turn.set(room=Room(room_of(turn.call.call_id)))


def serve_alone(turn: Turn, leg_id: str) -> None:
    """TaskRouter has brought the caller into a room whose worker has gone already: the wait and the route begin."""
    if turn.call.room.adopted and destinations.nobody_coming(turn):
        begin_waiting(turn, leg_id)


def next_route(turn: Turn, leg_id: str) -> None:
    """Ring the next target of the number's route, if there is one and the customer is there for it."""
    route = [entry for entry in turn.call.policy.route if entry != "wait" and not entry.startswith(CONVERSATION_PREFIX)]
    position = turn.call.routed
    if position < len(route) and destinations.nobody_coming(turn) and turn.customer_present():
        turn.set(routed=position + 1)
        queue, whisper = tasks.queue_of(route[position]), prompt_of(turn.call.policy.whisper)
        if queue is not None:
            tasks.search(turn, Role.AGENT, queue, whisper=whisper)
        else:
            dial(turn, role_of(route[position]), route[position], whisper=whisper)


def connect(turn: Turn, leg_id: str) -> None:
    """They can talk: whoever was comforted with music is not any more."""
    turn.disarm(WAIT)
    customer = turn.customer
    if customer is not None and customer.state is LegState.JOINED:
        flags.unhold(turn, customer.leg)
    guard_customer(turn, leg_id)


def guard_customer(turn: Turn, leg_id: str) -> None:
    """With two parties and nothing in flight the room may end with the customer, even while we are away."""
    customer = turn.customer
    if customer is not None and customer.state is LegState.JOINED and _ends_with(turn, customer):
        flags.end_with(turn, customer.leg)


def _ends_with(turn: Turn, customer: Leg) -> bool:
    """Not while it may be a machine, which leaves the room for its message: the agent is to hear of it."""
    undetected = customer.machine != NO_DETECTION and customer.answered_by is None
    return not undetected and not wrap_up.keeps_agents(turn) and len(turn.talking()) == 1


def dial_customer(turn: Turn, leg_id: str) -> None:
    """The agent of an outbound call is there: dial the customer, who may be heard ringing."""
    if turn.customer is None and turn.call.customer:
        dial(turn, Role.CUSTOMER, turn.call.customer, early_media=True)


def comfort_orphan(turn: Turn, leg_id: str) -> None:
    """Nobody is left for the customer: hold audio instead of silence, and time for somebody to come back."""
    customer = turn.customer
    if customer is None or customer.state is not LegState.JOINED or customer.ours:
        return
    turn.set(orphan_step=0)
    flags.hold(turn, customer.leg)
    turn.arm(ORPHAN, _grace_s(turn) * 1000)


def await_agent(turn: Turn, leg_id: str) -> None:
    """The agent should be there in a moment: until then the customer hears the music of an empty room."""
    turn.arm(ORPHAN, RETURN_WITHIN_MS)


def await_others(turn: Turn, leg_id: str) -> None:
    """Somebody whom a service has sent for still rings: nobody else is dialled meanwhile."""
    turn.arm(ORPHAN, max(turn.call.policy.orphan_grace_s, 1) * 1000)


def _grace_s(turn: Turn) -> int:
    """An agent who was thrown out with the conference cannot come back by themselves: they are called at once."""
    last = destinations.last_agent(turn)
    thrown_out = last is not None and last.reason == rescues.HUB_ENDED and turn.call.policy.orphan[:1] == ("recall",)
    return 1 if thrown_out else max(turn.call.policy.orphan_grace_s, 1)


def recover(turn: Turn, leg_id: str) -> None:
    """Somebody is there again."""
    turn.disarm(ORPHAN)


def next_orphan_step(turn: Turn, leg_id: str) -> None:
    """Try what the policy names next; after the last of it the call ends with an announcement."""
    turn.disarm(ORPHAN)
    steps = (*turn.call.policy.orphan, destinations.ANNOUNCE_END)
    position = min(turn.call.orphan_step, len(steps) - 1)
    if steps[position] == "recall":
        turn.set(orphan_step=position + 1)
        if destinations.recall(turn, destinations.last_agent(turn)) is not None:
            return
        position += 1
    turn.set(orphan_step=position + 1)
    if steps[position] != destinations.REQUEUE:
        _blame(turn, "orphaned")
        turn.tell_call("call.dropped", reason="orphaned")
    destinations.send(turn, steps[position])


def overflow(turn: Turn, leg_id: str) -> None:
    """Nobody came within the limit: what the policy has for that."""
    destinations.send(turn, turn.call.policy.max_wait)


def end_room(turn: Turn, leg_id: str) -> None:
    """End it for all: the room where it has started, the legs one by one where it has not."""
    call = turn.call
    inside = [leg for leg in turn.live() if leg.state is LegState.JOINED]
    turn.set(room=replace(call.room, ending=True))
    if call.room.sid is not None and call.room.started and inside:
        sids = tuple(leg.call_sid for leg in inside if leg.call_sid)
        turn.request(
            EndConference(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                          deadline=turn.at + FORGET_AFTER_MS, conference_sid=call.room.sid, call_sids=sids)
        )  # fmt: skip
        turn.arm(END, END_WITHIN_MS)
        outside = [leg for leg in turn.live() if leg.state is not LegState.JOINED]
    else:
        outside = turn.live()
    for leg in outside:
        turn.stimulate(LEG, "remove", leg.leg)


def end(turn: Turn, leg_id: str) -> None:
    """It is over: nobody stays behind, no timer stays but those of legs, tasks and the file on their way out."""
    turn.set(ended_at=turn.at)
    _blame(turn, "completed")
    for name in tuple(turn.call.timers):
        if not name.startswith(("leg.", tasks.TIMER_PREFIX)) and name != recordings.TIMER:
            turn.disarm(name)
    tasks.drop_all(turn)
    for leg in turn.live():
        turn.stimulate(LEG, "ending" if turn.call.room.ending and leg.state is LegState.JOINED else "remove", leg.leg)
    turn.arm(FORGET, FORGET_AFTER_MS)


def _blame(turn: Turn, reason: str) -> None:
    if turn.call.reason is None:
        turn.set(reason=reason)


def _blaming(reason: str) -> Act:
    def effect(turn: Turn, leg_id: str) -> None:
        _blame(turn, reason)

    return effect


def tell_abandoned(turn: Turn, leg_id: str) -> None:
    """The caller has given up; how long they had waited for somebody goes along."""
    why = turn.leg(leg_id).reason or "abandoned"
    _blame(turn, "abandoned")
    waited_s = (turn.at - turn.call.created_at) / 1000
    turn.tell_call("call.abandoned", reason=why, leg=leg_id, duration_s=waited_s)


def _telling(name: str, reason: str | None = None) -> Act:
    def effect(turn: Turn, leg_id: str) -> None:
        leg = turn.find(leg_id)
        why = (leg.reason if leg is not None else None) or reason
        _blame(turn, reason or why or "completed")
        turn.tell_call(name, reason=why, leg=leg_id or None)

    return effect


CALL_GUARDS: dict[str, Guard] = {
    "agent_present": agent_present,
    "customer_present": customer_present,
    "customer_is_held": customer_is_held,
    "outbound": outbound,
    "nobody_coming": nobody_coming,
    "sent_off": sent_off,
    "ending": ending,
    "requeues": requeues,
    "agent_returning": agent_returning,
    "orphan_alone": orphan_alone,
    "tells_agent": tells_agent,
    "customer_to_come": enqueued.customer_to_come,
}
CALL_EFFECTS: dict[str, Act] = {
    "begin_waiting": begin_waiting,
    "begin_queueing": begin_queueing,
    "serve_alone": serve_alone,
    "stop_queueing": stop_queueing,
    "next_route": next_route,
    "connect": connect,
    "guard_customer": guard_customer,
    "dial_customer": dial_customer,
    "comfort_orphan": comfort_orphan,
    "await_agent": await_agent,
    "await_others": await_others,
    "recover": recover,
    "next_orphan_step": next_orphan_step,
    "overflow": overflow,
    "end_room": end_room,
    "end": end,
    "blame_agent": _blaming("agent_left"),
    "blame_max_wait": _blaming("max_wait"),
    "blame_hub": _blaming("hub_ended"),
    "say_unanswered": say_unanswered,
    "tell_cancelled": _telling("call.cancelled", "agent_left"),
    "tell_unanswered": _telling("call.unanswered", "unanswered"),
    "tell_abandoned": tell_abandoned,
    "tell_customer_left": _telling("call.customer_left", "customer_left"),
}
