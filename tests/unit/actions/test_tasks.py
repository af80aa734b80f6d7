"""TaskRouter on the wire: tasks that carry our call, made once, and what is said to their reservations."""

import json

import pytest
from msgspec.structs import replace

from action_bench import bench, config_for
from actions.config import ActionsConfig
from cordboard.clock import system_clock
from fake_twilio import ACCOUNT, CALL_1, FakeTwilio, Reply, refusal
from schemas.actions import CreateTask, ReservationAnswer, TaskEnd, UpdateReservation, UpdateTask
from schemas.records import ActionOutcome

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
