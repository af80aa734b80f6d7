"""TaskRouter: make a task that carries our call, answer its reservations, end it (twilio-facts.md section 5)."""

import msgspec
from msgspec.json import encode
from twilio.rest.taskrouter.v1.workspace.task import TaskContext

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.heard import Answer, RequestFailedError
from actions.transport import asked
from schemas.actions import (
    AnnotateTask,
    CreateTask,
    ReservationAnswer,
    TaskEnd,
    UpdateReservation,
    UpdateTask,
)

CHANNEL = "voice"
_WRONG_STATE = 400
_REACHED = {
    TaskEnd.WRAPPING: frozenset({"wrapping", "completed"}),
    TaskEnd.COMPLETED: frozenset({"completed"}),
    TaskEnd.CANCELED: frozenset({"canceled"}),
}
"""What a task may be once it has been ended so: an update that was refused because of it has nothing left to do."""

_ANSWERED = {
    ReservationAnswer.ACCEPTED: frozenset({"accepted", "wrapping", "completed"}),
    ReservationAnswer.REJECTED: frozenset({"rejected", "timeout", "canceled", "rescinded"}),
}


async def create_task(account: TwilioAccount, action: CreateTask) -> Effect:
    """`POST …/Tasks` in the account's workflow. Our own words in the attributes win over the context's.

    Raises `RequestFailedError`.
    """
    ours = {"queue": action.queue, "call_id": action.call_id, "call_sid": action.call_sid, "task": action.task}
    known = {"conference_sid": action.conference_sid, "original_task": action.original_task}
    told = {name: value for name, value in known.items() if value is not None}
    query = account.client.taskrouter.v1.workspaces(account.workspace).tasks.create_async(
        attributes=encode({**action.context, **told, **ours}).decode(),
        workflow_sid=account.workflow,
        task_channel=CHANNEL,
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

    Twilio completes only a task that has been assigned; one that nobody took is canceled. TaskRouter ends tasks by
    itself as well, so a refusal is no failure where the task is already as wanted.
    """
    task = _task(account, action.task_sid)
    try:
        _, answer = await asked(
            "tasks.update", task.update_async(assignment_status=action.status.value, reason=action.reason)
        )
    except RequestFailedError as error:
        _require_wrong_state(error)
        found, answer = await asked("tasks.fetch", task.fetch_async())
        if str(found.assignment_status) not in _REACHED[action.status]:
            raise
    return Effect(answer=answer, task_sid=action.task_sid)


async def annotate_task(account: TwilioAccount, action: AnnotateTask) -> Effect:
    """Read the task, merge our words into its attributes, and write them back over the version that was read.

    An update replaces all attributes, and others write them too: TaskRouter, the worker's desktop. With `If-Match`
    Twilio refuses a version that is no more (412), which `outcome.judge` lets us try again, from the reading on.
    Raises `RequestFailedError`.
    """
    task = _task(account, action.task_sid)
    found, read = await asked("tasks.fetch", task.fetch_async())
    known = _attributes(found.attributes, read)
    wanted = {**known, **_words(action)}
    if wanted == known:
        return Effect(answer=read, task_sid=action.task_sid)
    if read.etag is None:  # without a version nothing keeps us from writing over somebody else's words
        raise RequestFailedError("tasks.fetch", msgspec.structs.replace(read, readable=False))
    _, answer = await asked("tasks.update", task.update_async(attributes=encode(wanted).decode(), if_match=read.etag))
    return Effect(answer=answer, task_sid=action.task_sid)


async def update_reservation(account: TwilioAccount, action: UpdateReservation) -> Effect:
    """`POST …/Reservations/{sid}`: accepted or rejected. Raises `RequestFailedError`.

    A refusal is no failure where the reservation is already as wanted: the answer to an earlier request was lost, or
    TaskRouter has taken it back by itself.
    """
    reservation = _task(account, action.task_sid).reservations(action.reservation_sid)
    try:
        _, answer = await asked("reservations.update", reservation.update_async(reservation_status=action.status.value))
    except RequestFailedError as error:
        _require_wrong_state(error)
        found, answer = await asked("reservations.fetch", reservation.fetch_async())
        if str(found.reservation_status) not in _ANSWERED[action.status]:
            raise
    return Effect(answer=answer, task_sid=action.task_sid)


def _task(account: TwilioAccount, sid: str) -> TaskContext:
    return account.client.taskrouter.v1.workspaces(account.workspace).tasks(sid)


def _require_wrong_state(error: RequestFailedError) -> None:
    """Only a refusal of what was asked is worth a look; everything else is judged as it is."""
    if not isinstance(error.heard, Answer) or error.heard.status != _WRONG_STATE:
        raise error


def _words(action: AnnotateTask) -> dict[str, object]:
    """Our words, `conference` as TaskRouter's own conference instruction writes it (twilio-facts.md 5.2)."""
    told = action.conference
    if told is None:
        return {"call_id": action.call_id}
    people = {"worker": told.worker, "customer": told.customer}
    return {
        "call_id": action.call_id,
        "conference": {"room_name": told.room_name, "sid": told.sid, "participants": people},
    }


def _attributes(text: str | None, read: Answer) -> dict[str, object]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise RequestFailedError("tasks.fetch", msgspec.structs.replace(read, readable=False)) from error
