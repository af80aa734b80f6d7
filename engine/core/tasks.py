"""What the task machine's guards ask and its effects do: workers found through TaskRouter, joined into our room.

A worker that does not come costs its reservation, not the search: the transfer or the command that waits for the task
hears only how the search ended.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from engine.core.dialling import dial
from engine.core.table import Act
from engine.core.turn import CALL, LEG, TASK, TRANSFER, Turn
from schemas.actions import CreateTask, ReservationAnswer, TaskEnd, UpdateReservation, UpdateTask
from schemas.events import TaskRouterEvent
from schemas.prompts import Prompt
from schemas.state import LegState, Role, Task
from schemas.targets import ENQUEUE, TARGET, TargetKind, parse_target
from schemas.task_attributes import TaskAttributes
from schemas.task_states import LIVE_TASK_STATES, OPEN_TASK_STATES, SEARCHING_TASK_STATES, TaskState
from schemas.webhooks import Assignment, TaskEvent

TASK_WITHIN_MS = 30_000
SEARCH_WITHIN_MS = 300_000
WRAP_WITHIN_MS = 300_000
TIMER_PREFIX = "task."


_RESERVATION_LOST = frozenset({"timeout", "rescinded", "canceled", "rejected"})
_TASK_TRIGGERS = {
    "task.canceled": "canceled",
    "task.deleted": "canceled",
    "task.system-deleted": "canceled",
    "task.wrapup": "wrapup",
    "task.completed": "completed",
}
LAST_EVENTS = frozenset(_TASK_TRIGGERS) | {"reservation.wrapup", "reservation.completed", "reservation.canceled"}
"""Events after which nobody is to be found, or served, for a task."""

_RESERVATION_TRIGGERS = {
    "reservation.accepted": "accepted",
    "reservation.wrapup": "wrapup",
    "reservation.completed": "completed",
    **{f"reservation.{what}": "reservation_lost" for what in _RESERVATION_LOST},
}


class _Worker(msgspec.Struct, frozen=True):
    contact_uri: str = ""


def find(turn: Turn, task: str | None) -> Task | None:
    """The task of that id, or None."""
    return next((item for item in turn.call.tasks if item.task == task), None)


def of_leg(turn: Turn, leg: str) -> Task | None:
    """The live task whose worker's leg this is, or None."""
    return next((item for item in turn.call.tasks if item.leg == leg and item.state in LIVE_TASK_STATES), None)


def searching(turn: Turn, role: Role) -> bool:
    """Whether somebody for that role is still being looked for."""
    return any(item.role is role and item.state in SEARCHING_TASK_STATES for item in turn.call.tasks)


def queued(turn: Turn) -> bool:
    """Whether the customer is in TaskRouter's own queue, or has just come out of it, and in no room."""
    customer = turn.customer
    outside = customer is not None and customer.state in {LegState.RINGING, LegState.ANSWERED}
    return outside and any(item.enqueued for item in turn.call.tasks)


def change(turn: Turn, task: str, **changes: Any) -> Task:  # noqa: ANN401 - fields of Task
    """Change fields of a task; gives the changed task. Raises `LookupError`."""
    found = find(turn, task)
    if found is None:
        raise LookupError(task)
    changed = replace(found, **changes)
    turn.set(tasks=tuple(changed if item.task == task else item for item in turn.call.tasks))
    return changed


def search(
    turn: Turn, role: Role, queue: str, *, whisper: Prompt | None = None, from_: str | None = None,
    ring_timeout_s: int | None = None,
) -> str:  # fmt: skip
    """Ask TaskRouter for a worker of a queue, who will be dialled so; gives the task's id."""
    number = turn.call.counts.get("task", 0) + 1
    task = Task(f"task-{number}", queue, role, TaskState.CREATING, whisper=whisper, from_=from_,
                ring_timeout_s=ring_timeout_s or 0)  # fmt: skip
    turn.set(counts={**turn.call.counts, "task": number}, tasks=(*turn.call.tasks, task))
    call, customer = turn.call, turn.customer
    turn.request(
        CreateTask(
            id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
            deadline=turn.deadline or turn.at + TASK_WITHIN_MS, task=task.task, queue=queue,
            call_sid=(customer.call_sid if customer is not None else None) or "", context=call.context,
            conference_sid=call.room.sid, original_task=_original(turn),
        )
    )  # fmt: skip
    turn.arm(TIMER_PREFIX + task.task, SEARCH_WITHIN_MS)
    tell(turn, task, None)
    return task.task


def _original(turn: Turn) -> str | None:
    """The SID of the task by which the agent came who is in the call now, or None."""
    return next((item.task_sid for item in turn.call.tasks if item.state is TaskState.ASSIGNED), None)


def tell(turn: Turn, task: Task, before: TaskState | None) -> None:
    """Say where the search is."""
    turn.emit(
        f"task.{task.state.value}",
        TaskRouterEvent(cause=turn.cause, task=task.task, queue=task.queue, to=task.state.value, leg=task.leg,
                        from_=before.value if before is not None else None, reason=task.reason,
                        task_sid=task.task_sid),
    )  # fmt: skip


def task_of(turn: Turn, task: str) -> Task:
    """The task of that id. Raises `LookupError`."""
    found = find(turn, task)
    if found is None:
        raise LookupError(task)
    return found


def queue_of(target_text: str) -> str | None:
    """The queue that a target or a route names, or None for somebody who is dialled.

    Of a caller who is in our room already, `enqueue:` is a queue like any other.
    """
    if target_text.startswith(ENQUEUE):
        return target_text.removeprefix(ENQUEUE)
    target = parse_target(target_text)
    return target.address if target.kind is TargetKind.QUEUE else None


def await_worker(turn: Turn, task: str) -> None:
    """The search has a limit of its own, whatever TaskRouter's is."""
    turn.arm(TIMER_PREFIX + task, SEARCH_WITHIN_MS)


def stop_waiting(turn: Turn, task: str) -> None:
    """Somebody is there."""
    turn.disarm(TIMER_PREFIX + task)


def dial_worker(turn: Turn, task: str) -> None:
    """Join the worker that is reserved into the room, under a leg of its own."""
    item = task_of(turn, task)
    address = turn.worker
    if address is None:
        turn.stimulate(TASK, "worker_failed", task)
        return
    leg = dial(turn, item.role, address, whisper=item.whisper, from_=item.from_,
               ring_timeout_s=item.ring_timeout_s or None, early_media=item.role is Role.TARGET)  # fmt: skip
    change(turn, task, leg=leg)
    transfer = turn.call.transfer
    if transfer is not None and transfer.task == task:
        turn.set(transfer=replace(transfer, leg=leg))


def contact_of(worker_attributes: str) -> str | None:
    """The worker's address as a target text, or None where `contact_uri` is none that can be dialled."""
    try:
        address = msgspec.json.decode(worker_attributes.encode(), type=_Worker).contact_uri
    except msgspec.MsgspecError:
        return None
    text = address if ":" in address else f"phone:{address}"
    return text if TARGET.fullmatch(text) and queue_of(text) is None else None


def created(turn: Turn, task: str, task_sid: str | None, reason: str | None) -> None:
    """TaskRouter has taken the task, or has not."""
    if find(turn, task) is None:
        return
    if task_sid is not None:
        change(turn, task, task_sid=task_sid)
        turn.stimulate(TASK, "created", task)
    else:
        change(turn, task, reason=reason or "failed")
        turn.stimulate(TASK, "create_failed", task)


def meant(turn: Turn, form: Assignment | TaskEvent, attributes: TaskAttributes) -> Task | None:
    """The task that a callback speaks of: by its SID, else, before that is known, by our own name in its attributes."""
    for item in turn.call.tasks:
        if item.task_sid == form.task_sid:
            return item
    for item in turn.call.tasks:
        if item.task_sid is None and (attributes.enqueued if item.enqueued else item.task == attributes.task):
            return item
    return None


def assigned(turn: Turn, form: Assignment, task: Task) -> bool:
    """A worker is reserved; whether that means something: we look for one, or nobody is to be found any more."""
    if task.enqueued and task.state is TaskState.CANCELED:
        change(turn, task.task, task_sid=form.task_sid)
        turn.stimulate(TASK, "reserved", task.task)
        return True
    if task.state not in {TaskState.CREATING, TaskState.PENDING}:
        return False
    turn.worker = contact_of(form.worker_attributes)
    change(turn, task.task, task_sid=form.task_sid, reservation_sid=form.reservation_sid)
    turn.stimulate(TASK, "reserved", task.task)
    return True


def trigger_of(form: TaskEvent, task: Task) -> str | None:
    """What an event of TaskRouter means for its task; None for one that tells nothing, or of another reservation."""
    of_task = _TASK_TRIGGERS.get(form.event_type)
    if of_task is not None:
        return of_task
    same = task.reservation_sid is None or form.reservation_sid == task.reservation_sid
    return _RESERVATION_TRIGGERS.get(form.event_type) if same else None


def _answer(turn: Turn, task: str, status: ReservationAnswer) -> None:
    item, call = task_of(turn, task), turn.call
    if item.task_sid is not None and item.reservation_sid is not None:
        turn.request(
            UpdateReservation(
                id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                deadline=turn.at + TASK_WITHIN_MS, task=task, task_sid=item.task_sid,
                reservation_sid=item.reservation_sid, status=status,
            )
        )  # fmt: skip


def accept(turn: Turn, task: str) -> None:
    """The worker is in the room: the reservation is accepted."""
    _answer(turn, task, ReservationAnswer.ACCEPTED)


def reject(turn: Turn, task: str) -> None:
    """The worker did not come: TaskRouter is to find another."""
    _answer(turn, task, ReservationAnswer.REJECTED)
    change(turn, task, leg=None, reservation_sid=None)


def drop_worker(turn: Turn, task: str) -> None:
    """Stop ringing the worker of a reservation that is no more."""
    item = task_of(turn, task)
    if item.leg is None:
        return
    change(turn, task, leg=None, reservation_sid=None)
    if item.enqueued and turn.leg(item.leg).call_sid is None:  # TaskRouter has never told of this call
        turn.update(item.leg, reason="cancelled")
        turn.stimulate(LEG, "create_failed", item.leg)
    else:
        turn.stimulate(LEG, "remove", item.leg)


def _end(turn: Turn, task: str, status: TaskEnd) -> None:
    item, call = task_of(turn, task), turn.call
    if item.task_sid is not None:
        turn.request(
            UpdateTask(
                id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                deadline=turn.at + SEARCH_WITHIN_MS, task=task, task_sid=item.task_sid, status=status,
                reason=item.reason or call.reason or "",
            )
        )  # fmt: skip


def cancel_at_twilio(turn: Turn, task: str) -> None:
    """Nobody is to be found for it any more; one still being created is canceled when its SID comes."""
    _end(turn, task, TaskEnd.CANCELED)


def wrap_at_twilio(turn: Turn, task: str) -> None:
    """The worker writes it up."""
    _end(turn, task, TaskEnd.WRAPPING)


def await_wrap(turn: Turn, task: str) -> None:
    """TaskRouter says when the worker is done; not for ever."""
    turn.arm(TIMER_PREFIX + task, wrap_within_ms(turn))


def wrap_within_ms(turn: Turn) -> int:
    """How long a worker may write it up: as the policy says, else until they are done, within reason."""
    return turn.call.policy.wrap_up_s * 1000 or WRAP_WITHIN_MS


def is_open(turn: Turn) -> bool:
    """Whether a worker has been given to a task of the call and has not finished it."""
    return any(item.state in OPEN_TASK_STATES for item in turn.call.tasks)


def tell_over(turn: Turn, task: str) -> None:
    """A call that waited for nothing else is over."""
    turn.stimulate(CALL, "task_over")


def complete_at_twilio(turn: Turn, task: str) -> None:
    """The work is done."""
    _end(turn, task, TaskEnd.COMPLETED)


def give_up(turn: Turn, task: str) -> None:
    """Say to whoever waits for the worker that none comes."""
    turn.disarm(TIMER_PREFIX + task)
    item = task_of(turn, task)
    if item.role is Role.TARGET:
        turn.stimulate(TRANSFER, "target_failed", "")
    else:
        turn.stimulate(CALL, "agent_failed", "")


def _blaming(reason: str) -> Act:
    def effect(turn: Turn, task: str) -> None:
        if task_of(turn, task).reason is None:
            change(turn, task, reason=reason)

    return effect


def drop_all(turn: Turn) -> None:
    """The call is over: no search goes on, no task stays open."""
    for item in turn.call.tasks:
        if item.state in LIVE_TASK_STATES:
            turn.stimulate(TASK, "drop", item.task)


TASK_EFFECTS: dict[str, Act] = {
    "await_worker": await_worker,
    "stop_waiting": stop_waiting,
    "dial_worker": dial_worker,
    "accept": accept,
    "reject": reject,
    "drop_worker": drop_worker,
    "cancel_at_twilio": cancel_at_twilio,
    "complete_at_twilio": complete_at_twilio,
    "wrap_at_twilio": wrap_at_twilio,
    "await_wrap": await_wrap,
    "tell_over": tell_over,
    "give_up": give_up,
    "blame_taskrouter": _blaming("task_canceled"),
    "blame_nobody": _blaming("no_answer"),
}
