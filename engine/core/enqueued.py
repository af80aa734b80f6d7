"""Callers in TaskRouter's own queue (`<Enqueue>`), and the conference that TaskRouter makes of them (section 5.2).

TaskRouter dials the worker into a conference named after the task, moves the caller there and accepts the reservation.
We learn who is who from the task's attributes and from the callbacks of the worker's leg; from then on it is a call
like any other. One that others have enqueued is named after its task (docs/decisions/016).
"""

from msgspec.structs import replace

from engine.core import flags, tasks
from engine.core.dialling import CREATE_GRACE_MS, DIAL_WITHIN_MS, leg_timer
from engine.core.table import Act, Guard
from engine.core.turn import CALL, LEG, TASK, Turn
from schemas.actions import AnnotateTask, TaskConference
from schemas.ids import FIRST_ROOM, is_call_sid
from schemas.state import LIVE_LEG_STATES, Leg, LegState, Role, Room, Task
from schemas.task_attributes import TaskAttributes
from schemas.task_states import LIVE_TASK_STATES, SEARCHING_TASK_STATES
from schemas.webhooks import GIVEN_BACK, QueueLeft

ADOPTED_WITHIN_MS = 60_000
SEARCHED_WITHIN_MS = 86_400_000
"""TaskRouter gives a task up after a day, where its workflow does not say otherwise."""
HANG_UP, REDIRECTED = "hangup", "redirected"
_LED_AWAY = frozenset({HANG_UP, "bridged", "redirected-from-bridged"})


def searching(turn: Turn) -> Task | None:
    """The task whose caller TaskRouter has not yet brought together with a worker, or None."""
    return next((item for item in turn.call.tasks if item.enqueued and item.state in SEARCHING_TASK_STATES), None)


def foreign(turn: Turn) -> bool:
    """Whether others have put the caller into the queue: the call is named after their task."""
    return any(item.enqueued and item.task_sid == turn.call.call_id for item in turn.call.tasks)


def learn(turn: Turn, task: Task, task_sid: str, attributes: TaskAttributes) -> None:
    """Take what a callback's task says: its SID, its room, and who is in it."""
    if task.state not in LIVE_TASK_STATES:
        return
    tasks.change(turn, task.task, task_sid=task_sid)
    if turn.call.room.generation > FIRST_ROOM:
        return  # TaskRouter's room has been lost
    if not turn.call.room.adopted:
        turn.set(room=Room(task_sid, adopted=True))
    told = attributes.conference
    if told is None:
        return
    if turn.call.room.sid is None and told.sid:
        turn.set(room=replace(turn.call.room, sid=told.sid))
    _place(turn, Role.CUSTOMER, told.participants.customer)
    worker = _place(turn, Role.AGENT, told.participants.worker, task.leg)
    if worker is not None:
        tasks.change(turn, task.task, leg=worker.leg)


def _place(turn: Turn, role: Role, call_sid: str, planned: str | None = None) -> Leg | None:
    """The leg of that SID in that role, made if we do not know it; whether it is in the room is then looked up."""
    if not is_call_sid(call_sid):
        return None
    leg = turn.by_sid(call_sid) or _unbound(turn, planned)
    if leg is None:
        return _add(turn, role, call_sid, look=True)
    given = leg.target or (turn.worker if role is Role.AGENT else None)
    changed = turn.update(leg.leg, role=role if leg.role is Role.THIRD else leg.role, call_sid=call_sid, target=given)
    if leg.role is Role.THIRD and leg.state is LegState.JOINED:
        turn.stimulate(CALL, "agent_joined" if role is Role.AGENT else "customer_joined", leg.leg)
    return changed


def _unbound(turn: Turn, leg_id: str | None) -> Leg | None:
    leg = turn.find(leg_id)
    return leg if leg is not None and leg.call_sid is None else None


def _add(turn: Turn, role: Role, call_sid: str, *, look: bool = False) -> Leg:
    target = turn.worker if role is Role.AGENT else None
    leg = Leg(turn.next_leg_id(role), role, LegState.ANSWERED, call_sid=call_sid, target=target)
    turn.add(leg)
    turn.tell_leg("leg.adopted", leg, to=leg.state.value, target=target)
    turn.arm(leg_timer(leg.leg), ADOPTED_WITHIN_MS)
    if look:
        flags.look_up(turn)
    return leg


def worker_of(turn: Turn, reservation_sid: str | None) -> Leg | None:
    """The leg of the worker whose reservation our callback URL names, or None."""
    for item in turn.call.tasks:
        if item.enqueued and item.leg is not None and reservation_sid is not None:
            return turn.find(item.leg) if item.reservation_sid == reservation_sid else None
    return None


def joining(turn: Turn, call_sid: str) -> Leg | None:
    """Somebody without a label is in TaskRouter's room: its worker, where only that one is missing. Else None."""
    task, customer = searching(turn), turn.customer
    if task is None or customer is None or customer.call_sid is None:
        return None
    if task.leg is not None:
        return _unbound(turn, task.leg)
    leg = _add(turn, Role.AGENT, call_sid)
    tasks.change(turn, task.task, leg=leg.leg)
    return leg


def left_queue(turn: Turn, form: QueueLeft) -> bool:
    """`<Enqueue>` is over for the caller; whether that is news."""
    task, customer = searching(turn), turn.by_sid(form.call_sid)
    if customer is None or customer.joined_at is not None or not any(item.enqueued for item in turn.call.tasks):
        return False
    if form.queue_result in _LED_AWAY or customer.ours:
        turn.reason = "hung_up" if form.queue_result == HANG_UP else form.queue_result
        turn.stimulate(LEG, "left", customer.leg)
        return True
    if form.queue_result not in GIVEN_BACK:
        return False
    if task is not None:
        tasks.change(turn, task.task, reason=form.queue_result.replace("-", "_"))
        turn.stimulate(TASK, "given_back", task.task)
    turn.stimulate(CALL, "given_back", customer.leg)
    return True


# -- what the tables ask and do ---------------------------------------------------------------------------------------


def is_enqueued(turn: Turn, task: str) -> bool:
    """Whether TaskRouter makes the conference."""
    item = tasks.find(turn, task)
    return item is not None and item.enqueued


def customer_to_come(turn: Turn, leg_id: str) -> bool:
    """Whether TaskRouter still looks for the worker with whom it will dial the customer (`outbound_to`)."""
    young = turn.at - turn.call.created_at < SEARCHED_WITHIN_MS
    return young and turn.customer is None and searching(turn) is not None


def together(turn: Turn, task: str) -> bool:
    """Whether caller and worker are both in the room."""
    item = tasks.find(turn, task)
    worker = turn.find(item.leg if item is not None else None)
    return turn.customer_present() and worker is not None and worker.state is LegState.JOINED


def worker_gone(turn: Turn, task: str) -> bool:
    """Whether the worker has left before we knew that the two had met: their meeting is over already."""
    item = tasks.find(turn, task)
    worker = turn.find(item.leg if item is not None else None)
    return worker is not None and worker.state not in LIVE_LEG_STATES


def serve_anew(turn: Turn, task: str) -> None:
    """The caller is alone in TaskRouter's room, or will be."""
    if turn.customer_present():
        turn.stimulate(CALL, "customer_joined")


def expect_worker(turn: Turn, task: str) -> None:
    """TaskRouter dials the worker, as our answer to the assignment says: the leg is known before its SID."""
    timeout_s = turn.call.policy.ring_timeout_s
    leg = Leg(turn.next_leg_id(Role.AGENT), Role.AGENT, LegState.PLANNED, target=turn.worker, ring_timeout_s=timeout_s)
    turn.add(leg)
    turn.tell_leg("leg.planned", leg, to=leg.state.value, target=leg.target)
    turn.arm(leg_timer(leg.leg), DIAL_WITHIN_MS + CREATE_GRACE_MS)
    tasks.change(turn, task, leg=leg.leg)


def forget_worker(turn: Turn, task: str) -> None:
    """This worker did not come; TaskRouter takes the reservation back by itself."""
    tasks.change(turn, task, leg=None, reservation_sid=None)


def lose_place(turn: Turn, task: str) -> None:
    """The task is no more, and the caller is not in a room yet.

    In our own queue the policy says what then, unless the caller has hung up or was led away: that is told by itself.
    A caller of others is not ours to redirect: the call is over for us.
    """
    customer = turn.customer
    if customer is None:
        turn.stimulate(CALL, "everybody_gone")
        return
    if customer.joined_at is not None:
        return
    if foreign(turn):
        turn.reason = "hung_up" if turn.reason == HANG_UP else "task_canceled"
        turn.stimulate(LEG, "left", customer.leg)
    elif turn.reason not in {HANG_UP, REDIRECTED}:
        turn.stimulate(CALL, "max_wait")


def annotate(turn: Turn, task: str) -> None:
    """Let the task say which call it is, and for one of ours where the conference is, as TaskRouter's own do."""
    item, call = tasks.task_of(turn, task), turn.call
    conference = None if item.enqueued else _conference(turn, item)
    if item.task_sid is not None and (conference is not None or foreign(turn)):
        turn.request(
            AnnotateTask(
                id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                deadline=turn.at + tasks.SEARCH_WITHIN_MS, task=task, task_sid=item.task_sid, conference=conference,
            )
        )  # fmt: skip


def _conference(turn: Turn, item: Task) -> TaskConference | None:
    worker, customer, room = turn.find(item.leg), turn.customer, turn.call.room
    if room.sid is None or worker is None or customer is None or not worker.call_sid or not customer.call_sid:
        return None
    return TaskConference(room.name, room.sid, worker.call_sid, customer.call_sid)


ENQUEUED_GUARDS: dict[str, Guard] = {
    "enqueued": is_enqueued,
    "together": together,
    "worker_gone": worker_gone,
}
ENQUEUED_EFFECTS: dict[str, Act] = {
    "expect_worker": expect_worker,
    "serve_anew": serve_anew,
    "forget_worker": forget_worker,
    "lose_place": lose_place,
    "annotate": annotate,
}
