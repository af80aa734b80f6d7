"""TaskRouter: make a task that carries our call, answer its reservations, end it (twilio-facts.md section 5)."""

from msgspec.json import encode

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import asked
from schemas.actions import CreateTask, TaskEnd, UpdateReservation, UpdateTask

CHANNEL = "voice"
_KEPT_WORDS = ("queue", "call_id", "call_sid", "task")


async def create_task(account: TwilioAccount, action: CreateTask) -> Effect:
    """`POST …/Tasks` in the account's workflow. Our own words in the attributes win over the context's.

    Raises `RequestFailedError`.
    """
    ours = dict(zip(_KEPT_WORDS, (action.queue, action.call_id, action.call_sid, action.task), strict=True))
    query = account.client.taskrouter.v1.workspaces(account.workspace).tasks.create_async(
        attributes=encode({**action.context, **ours}).decode(), workflow_sid=account.workflow, task_channel=CHANNEL
    )
    task, answer = await asked("tasks.create", query)
    return Effect(answer=answer, task_sid=task.sid)


async def task_of(account: TwilioAccount, action: CreateTask) -> str | None:
    """The SID of the task that this action has made, if TaskRouter has one. Raises `RequestFailedError`."""
    ours = f"call_id == '{action.call_id}' AND task == '{action.task}'"
    query = account.client.taskrouter.v1.workspaces(account.workspace).tasks.list_async(
        evaluate_task_attributes=ours, limit=1
    )
    found, _ = await asked("tasks.list", query)
    return found[0].sid if found else None


async def update_task(account: TwilioAccount, action: UpdateTask) -> Effect:
    """`POST …/Tasks/{sid}` with its last status. Raises `RequestFailedError`.

    Twilio completes only a task that has been assigned; one that nobody took is canceled.
    """
    status = "completed" if action.status is TaskEnd.COMPLETED else "canceled"
    task = account.client.taskrouter.v1.workspaces(account.workspace).tasks(action.task_sid)
    changing = task.update_async(assignment_status=status, reason=action.reason)
    _, answer = await asked("tasks.update", changing)
    return Effect(answer=answer, task_sid=action.task_sid)


async def update_reservation(account: TwilioAccount, action: UpdateReservation) -> Effect:
    """`POST …/Reservations/{sid}`: accepted or rejected. Raises `RequestFailedError`."""
    task = account.client.taskrouter.v1.workspaces(account.workspace).tasks(action.task_sid)
    reservation = task.reservations(action.reservation_sid)
    changing = reservation.update_async(reservation_status=action.status.value)
    _, answer = await asked("reservations.update", changing)
    return Effect(answer=answer, task_sid=action.task_sid)
