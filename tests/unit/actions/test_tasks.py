"""TaskRouter on the wire: tasks that carry our call, made once, and what is said to their reservations."""

import json

import pytest
from msgspec.structs import replace

from action_bench import bench, config_for
from actions.config import ActionsConfig
from cordboard.clock import system_clock
from fake_twilio import ACCOUNT, CALL_1, FakeTwilio, Reply, refusal
from schemas.actions import (
    Action,
    AnnotateTask,
    CreateTask,
    ReservationAnswer,
    TaskConference,
    TaskEnd,
    UpdateReservation,
    UpdateTask,
)
from schemas.records import ActionOutcome, ActionReport

WORKSPACE, WORKFLOW, TASK, RESERVATION = (f"{kind}{'0' * 31}1" for kind in ("WS", "WW", "WT", "WR"))
TASKS = f"/v1/Workspaces/{WORKSPACE}/Tasks"


def config(url: str) -> ActionsConfig:
    """An account with a workspace."""
    plain = config_for(url)
    account = replace(plain.accounts[0], taskrouter_workspace=WORKSPACE, taskrouter_workflow=WORKFLOW)
    return replace(plain, accounts=(account,))


def shown(status: str = "pending") -> dict[str, object]:
    """A task as TaskRouter shows it."""
    return {"sid": TASK, "workspace_sid": WORKSPACE, "assignment_status": status, "attributes": "{}"}


def create(**context: str) -> CreateTask:
    """Ask for somebody of a queue."""
    now = system_clock()
    return CreateTask(
        id="call-1.1.0", call_id="call-1", account_sid=ACCOUNT, at=now, deadline=now + 8000, task="task-1",
        queue="sales", call_sid=CALL_1, context=context,
    )  # fmt: skip


async def test_a_task_carries_the_call_and_the_context(twilio: FakeTwilio) -> None:
    """Our own words win over the context's; the report names the task."""
    twilio.on("POST", TASKS, Reply(201, shown()))
    async with bench(config(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, create(order="7", queue="theirs"))
        (report,) = await at.reports(1)
        await worker.release()

    (request,) = twilio.requests
    form = dict(request.form)
    assert json.loads(form["Attributes"]) == {
        "order": "7", "queue": "sales", "call_id": "call-1", "call_sid": CALL_1, "task": "task-1",
    }  # fmt: skip
    assert (form["WorkflowSid"], form["TaskChannel"]) == (WORKFLOW, "voice")
    assert (report.outcome, report.task_sid) == (ActionOutcome.DONE, TASK)


async def test_a_task_in_doubt_is_looked_for_and_not_made_twice(twilio: FakeTwilio) -> None:
    """The answer was lost: the task with our id among its attributes is the one."""
    twilio.on("POST", TASKS, refusal(500, 20500))
    twilio.on("GET", TASKS, Reply(200, {"tasks": [shown()], "meta": {"key": "tasks", "page": 0, "page_size": 1}}))
    async with bench(config(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, create())
        (report,) = await at.reports(1)
        await worker.release()

    assert len([request for request in twilio.requests if request.method == "POST"]) == 1
    assert (report.outcome, report.task_sid) == (ActionOutcome.DONE, TASK)


@pytest.mark.parametrize("status", TaskEnd)
async def test_a_task_is_ended(twilio: FakeTwilio, status: TaskEnd) -> None:
    """Completed by who was there, or canceled."""
    twilio.on("POST", f"{TASKS}/{TASK}", Reply(200, shown(status.value)))
    now = system_clock()
    action = UpdateTask(id="call-1.2.0", call_id="call-1", account_sid=ACCOUNT, at=now, deadline=now + 8000,
                        task="task-1", task_sid=TASK, status=status, reason="done")  # fmt: skip
    async with bench(config(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action)
        await at.reports(1)
        await worker.release()

    (request,) = twilio.requests
    assert dict(request.form) == {"AssignmentStatus": status.value, "Reason": "done"}


@pytest.mark.parametrize("answer", ReservationAnswer)
async def test_a_reservation_is_answered(twilio: FakeTwilio, answer: ReservationAnswer) -> None:
    """Accepted when the worker is in the room, rejected when not."""
    path = f"{TASKS}/{TASK}/Reservations/{RESERVATION}"
    twilio.on("POST", path, Reply(200, {"sid": RESERVATION, "reservation_status": answer.value}))
    now = system_clock()
    action = UpdateReservation(id="call-1.3.0", call_id="call-1", account_sid=ACCOUNT, at=now, deadline=now + 8000,
                               task="task-1", task_sid=TASK, reservation_sid=RESERVATION, status=answer)  # fmt: skip
    async with bench(config(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action)
        await at.reports(1)
        await worker.release()

    (request,) = twilio.requests
    assert dict(request.form) == {"ReservationStatus": answer.value}


async def done(twilio: FakeTwilio, action: Action) -> ActionReport:
    """Carry an action out; gives its report."""
    async with bench(config(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, action)
        (report,) = await at.reports(1)
        await worker.release()
    return report


def end(status: TaskEnd) -> UpdateTask:
    """End the task."""
    now = system_clock()
    return UpdateTask(id="call-1.2.0", call_id="call-1", account_sid=ACCOUNT, at=now, deadline=now + 8000,
                      task="task-1", task_sid=TASK, status=status)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "found", "outcome"),
    [
        (TaskEnd.COMPLETED, "completed", ActionOutcome.DONE),
        (TaskEnd.CANCELED, "canceled", ActionOutcome.DONE),
        (TaskEnd.WRAPPING, "wrapping", ActionOutcome.DONE),
        (TaskEnd.WRAPPING, "completed", ActionOutcome.DONE),
        (TaskEnd.COMPLETED, "canceled", ActionOutcome.FAILED),
        (TaskEnd.CANCELED, "assigned", ActionOutcome.FAILED),
    ],
)
async def test_a_refused_end_is_a_failure_only_where_the_task_is_otherwise(
    twilio: FakeTwilio, wanted: TaskEnd, found: str, outcome: ActionOutcome
) -> None:
    """TaskRouter ends tasks by itself too, and an answer may have been lost: then there is nothing left to do."""
    twilio.on("POST", f"{TASKS}/{TASK}", refusal(400, 20001))
    twilio.on("GET", f"{TASKS}/{TASK}", Reply(200, shown(found)))

    assert (await done(twilio, end(wanted))).outcome is outcome


@pytest.mark.parametrize(("found", "outcome"), [("accepted", ActionOutcome.DONE), ("timeout", ActionOutcome.FAILED)])
async def test_a_refused_answer_is_a_failure_only_where_the_reservation_is_otherwise(
    twilio: FakeTwilio, found: str, outcome: ActionOutcome
) -> None:
    """An acceptance that was heard before its answer was lost is one."""
    path = f"{TASKS}/{TASK}/Reservations/{RESERVATION}"
    twilio.on("POST", path, refusal(400, 20001))
    twilio.on("GET", path, Reply(200, {"sid": RESERVATION, "reservation_status": found}))
    now = system_clock()
    action = UpdateReservation(
        id="call-1.3.0", call_id="call-1", account_sid=ACCOUNT, at=now, deadline=now + 8000, task="task-1",
        task_sid=TASK, reservation_sid=RESERVATION, status=ReservationAnswer.ACCEPTED,
    )  # fmt: skip

    assert (await done(twilio, action)).outcome is outcome


CONFERENCE = TaskConference(room_name="room-call-1", sid="CF1", worker="CA2", customer="CA1")
OURS = {
    "call_id": "call-1",
    "conference": {"room_name": "room-call-1", "sid": "CF1", "participants": {"worker": "CA2", "customer": "CA1"}},
}


def annotate() -> AnnotateTask:
    """Write down the call and its conference."""
    now = system_clock()
    return AnnotateTask(id="call-1.4.0", call_id="call-1", account_sid=ACCOUNT, at=now, deadline=now + 8000,
                        task="task-1", task_sid=TASK, conference=CONFERENCE)  # fmt: skip


def version(number: int, **attributes: object) -> Reply:
    """A version of the task."""
    return Reply(200, {**shown("assigned"), "attributes": json.dumps(attributes)}, {"ETag": f'"{number}"'})


async def test_attributes_are_merged_over_the_version_that_was_read(twilio: FakeTwilio) -> None:
    """An update replaces them all: what others wrote is written back with ours, over that version alone."""
    twilio.on("GET", f"{TASKS}/{TASK}", version(3, order="7", call_id="of another"))
    twilio.on("POST", f"{TASKS}/{TASK}", version(4))

    report = await done(twilio, annotate())

    (update,) = twilio.sent("POST", f"{TASKS}/{TASK}")
    assert json.loads(update.field("Attributes") or "") == {"order": "7", **OURS}
    assert {name.lower(): value for name, value in update.headers.items()}["if-match"] == '"3"'
    assert report.outcome is ActionOutcome.DONE


async def test_somebody_else_was_faster(twilio: FakeTwilio) -> None:
    """412: the task is read again, and what the other wrote meanwhile stays."""
    twilio.on("GET", f"{TASKS}/{TASK}", version(3), version(4, note="theirs"))
    twilio.on("POST", f"{TASKS}/{TASK}", refusal(412, 20412), version(5))

    report = await done(twilio, annotate())

    first, second = twilio.sent("POST", f"{TASKS}/{TASK}")
    assert json.loads(first.field("Attributes") or "") == OURS
    assert json.loads(second.field("Attributes") or "") == {"note": "theirs", **OURS}
    assert {name.lower(): value for name, value in second.headers.items()}["if-match"] == '"4"'
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)


async def test_attributes_that_say_so_already_are_left_alone(twilio: FakeTwilio) -> None:
    """Said again after a crash, it changes nothing."""
    twilio.on("GET", f"{TASKS}/{TASK}", version(3, **OURS))

    assert (await done(twilio, annotate())).outcome is ActionOutcome.DONE
    assert not twilio.sent("POST", f"{TASKS}/{TASK}")


@pytest.mark.parametrize("reply", [Reply(200, shown()), Reply(200, {**shown(), "attributes": "["}, {"ETag": '"1"'})])
async def test_nothing_is_written_over_what_was_not_read(twilio: FakeTwilio, reply: Reply) -> None:
    """No version, or attributes that are no JSON object: better no words of ours than theirs lost."""
    twilio.on("GET", f"{TASKS}/{TASK}", reply)

    report = await done(twilio, annotate())

    assert (report.outcome, report.reason) == (ActionOutcome.FAILED, "unreadable")
    assert not twilio.sent("POST", f"{TASKS}/{TASK}")
