"""The contact centre: tasks find their workers, reservations run, and everything is told (twilio-facts.md 5)."""

import json

import msgspec
import pytest
from aiohttp import web

from emulator import TaskRouterConfig, WorkerConfig, serve
from emulator.taskrouter.config import WORKFLOW_SID, WORKSPACE_SID
from emulator_bench import ACCOUNT, Bench, BenchFactory
from emulator_center import Center

ASKED = """Timestamp AccountSid WorkspaceSid WorkflowSid TaskQueueSid WorkerSid WorkerName WorkerAttributes TaskSid
TaskAttributes TaskAge TaskPriority ReservationSid"""
META = "key page page_size first_page_url previous_page_url url next_page_url"
GUARDED: list[tuple[str, dict[str, str] | None]] = [
    ("POST", {"Attributes": "{}"}),
    ("POST", {"Attributes": "{}"}),
    ("DELETE", None),
]


async def test_five_lines_make_a_centre(center: Center) -> None:
    """A seeded centre leads a task by its attribute ``queue`` to a worker whom the queue selects."""
    task = await center.task(queue="billing")
    await center.until_status(task, "reserved")
    assert [one.worker.friendly_name for one in task.reservations] == ["bob"]
    assert task.queue is not None
    assert task.queue.friendly_name == "billing"


async def test_a_task_without_a_known_queue_goes_to_the_first(center: Center) -> None:
    """What no filter takes goes to the default filter's queue."""
    task = await center.task(queue="nowhere")
    await center.until_status(task, "reserved")
    assert [one.worker.friendly_name for one in task.reservations] == ["alice"]


async def test_the_assignment_callback(center: Center) -> None:
    """A reservation is put to the workflow's URL, signed, with the documented fields."""
    task = await center.task(queue="sales", call_id="c-1")
    hit = await center.asked()
    assert set(hit.params) == set(ASKED.split())
    assert (hit.params["AccountSid"], hit.params["WorkspaceSid"]) == (ACCOUNT, WORKSPACE_SID)
    assert (hit.params["WorkflowSid"], hit.params["TaskSid"], hit.params["WorkerName"]) == (
        WORKFLOW_SID,
        task.sid,
        "alice",
    )
    assert json.loads(hit.params["TaskAttributes"]) == {"queue": "sales", "call_id": "c-1"}
    assert json.loads(hit.params["WorkerAttributes"])["contact_uri"] == "client:alice"
    assert "X-Twilio-Signature" in hit.headers


async def test_an_empty_answer_leaves_it_to_rest(center: Center) -> None:
    """After an empty 200 the reservation waits; REST accepts it, completes the task, and both are over."""
    task = await center.task(queue="sales")
    await center.asked()
    reservation = task.reservations[0]
    path = f"/Tasks/{task.sid}/Reservations/{reservation.sid}"
    status, body = await center.rest("POST", path, {"ReservationStatus": "accepted"})
    assert (status, body["reservation_status"], task.status) == (200, "accepted", "assigned")
    status, body = await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": "wrapping"})
    assert (status, body["assignment_status"], reservation.status) == (200, "wrapping", "wrapping")
    status, body = await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": "completed", "Reason": "sold"})
    assert (status, body["assignment_status"], body["reason"]) == (200, "completed", "sold")
    assert reservation.status == "completed"
    await center.told("task.completed", TaskCompletedReason="sold")


async def test_the_instruction_accept(center: Center) -> None:
    """``{"instruction": "accept"}`` assigns the task."""
    center.answers({"instruction": "accept"})
    task = await center.task(queue="sales")
    await center.until_status(task, "assigned")


async def test_a_rejected_task_goes_to_the_next_worker(center: Center) -> None:
    """A rejection sends the worker to the activity it names and the task to somebody else."""
    offline = center.activity("Offline")
    center.answers(
        lambda params: {"instruction": "reject", "activity_sid": offline.sid} if params["WorkerName"] == "alice" else {}
    )
    task = await center.task(queue="nowhere")
    await center.until(lambda: len(task.reservations) == 2, "a second reservation")
    first, second = task.reservations
    assert (first.status, first.worker.friendly_name, first.worker.activity) == ("rejected", "alice", offline)
    assert (second.status, second.worker.friendly_name) == ("pending", "bob")


async def test_a_reservation_that_nobody_answers(start: BenchFactory) -> None:
    """After TaskReservationTimeout the worker is in the timeout activity and the task pending again."""
    center = Center(await start(Center.config(task_reservation_timeout_s=1)))
    task = await center.task(queue="billing")
    await center.until(lambda: task.reservations and task.reservations[0].status == "timeout", "the timeout")
    assert task.status == "pending"
    assert task.reservations[0].worker.activity.friendly_name == "Offline"
    await center.told("reservation.timeout", WorkerName="bob")


async def test_a_callback_that_fails_goes_to_the_fallback(start: BenchFactory, center: Center) -> None:
    """Anything but 200 in time is put to the fallback URL."""
    bench = await start(Center.config())
    own = Center(bench)
    workflow = own.workspace.workflows[WORKFLOW_SID]
    workflow.assignment_callback_url = bench.url("/broken")
    workflow.fallback_assignment_callback_url = bench.url("/fallback")
    bench.site.pages["/broken"] = 500
    bench.site.pages["/fallback"] = lambda _: web.json_response({"instruction": "accept"})
    task = await own.task(queue="sales")
    await own.until_status(task, "assigned")
    assert [alert.code for alert in bench.emulator.world.alerts.entries] == [40001]
    assert not center.workspace.tasks


async def test_an_answer_that_is_no_instruction(center: Center) -> None:
    """An unknown instruction is 55555 in the debugger, JSON without one 40005; the reservation waits on."""
    center.answers(lambda params: {"instruction": "dance"} if params["WorkerName"] == "alice" else {"x": 1})
    first, second = await center.task(queue="sales"), await center.task(queue="billing")
    codes = center.bench.emulator.world.alerts.entries
    await center.until(lambda: {alert.code for alert in codes} == {55555, 40005}, "both alerts")
    assert first.reservations[0].status == second.reservations[0].status == "pending"


async def test_canceling_takes_the_reservation_back(center: Center) -> None:
    """A canceled task cancels its pending reservation, and the worker is free for the next task."""
    task = await center.task(queue="billing")
    await center.until_status(task, "reserved")
    status, _ = await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": "canceled", "Reason": "gone"})
    assert (status, task.reservations[0].status) == (200, "canceled")
    await center.told("task.canceled", TaskCanceledReason="gone")
    following = await center.task(queue="billing")
    await center.until_status(following, "reserved")


async def test_statuses_that_do_not_fit(center: Center) -> None:
    """Completing what nobody has, canceling what somebody has, status with attributes: 400, 20001."""
    task = await center.task(queue="billing")
    await center.until_status(task, "reserved")
    for form in (
        {"AssignmentStatus": "completed"},
        {"AssignmentStatus": "wrapping"},
        {"AssignmentStatus": "reserved"},
        {"AssignmentStatus": "canceled", "Attributes": "{}"},
        {"Attributes": "no json"},
    ):
        status, body = await center.rest("POST", f"/Tasks/{task.sid}", form)
        assert (status, body["code"]) == (400, 20001), form
    await center.control("POST", "/workers/bob/accept")
    status, body = await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": "canceled"})
    assert (status, body["code"], task.status) == (400, 20001, "assigned")
    reservation = f"/Workers/{task.reservations[0].worker.sid}/Reservations/{task.reservations[0].sid}"
    status, body = await center.rest("POST", reservation, {"ReservationStatus": "rejected"})
    assert (status, body["code"]) == (400, 20001)


async def test_if_match(center: Center) -> None:
    """An update that was decided on an older version is refused with 412."""
    task = await center.task(queue="billing")
    await center.until_status(task, "reserved")
    status, headers = await center.headers("GET", f"/Tasks/{task.sid}")
    tag = headers["ETag"]
    assert (status, bool(tag)) == (200, True)
    answers = [await center.headers(method, f"/Tasks/{task.sid}", form, tag) for method, form in GUARDED]
    assert [status for status, _ in answers] == [200, 412, 412]


async def test_what_is_not_there(center: Center) -> None:
    """Unknown SIDs are 404, 20404; statistics are 501."""
    for path in ("/Tasks/WT" + "0" * 32, "/Workers/WK" + "0" * 32, "/Workflows/nonsense", "/Queues"):
        status, body = await center.rest("GET", path)
        assert (status, body["code"]) == (404, 20404), path
    assert (await center.rest("GET", "/Statistics"))[0] == 501
    status, body = await center.bench.v1("GET", "/v1/Workspaces/WS" + "f" * 32)
    assert (status, body["code"]) == (404, 20404)


async def test_time_to_live(center: Center) -> None:
    """A task whose Timeout is over is canceled."""
    await center.control("PUT", "/workers/bob", {"activity": "Offline"})
    task = await center.task({"Timeout": "1"}, queue="billing")
    await center.until_status(task, "canceled")
    assert task.reason == "Task TTL Exceeded"


async def test_priority_goes_first(center: Center) -> None:
    """When a worker becomes free the most urgent task is offered, and of equals the oldest."""
    await center.control("PUT", "/workers/bob", {"activity": "Offline"})
    made = [await center.task({"Priority": priority}, queue="billing") for priority in ("0", "5", "5")]
    await center.control("PUT", "/workers/bob", {"activity": "Available"})
    await center.until(lambda: any(task.reservations for task in made), "a reservation")
    assert [bool(task.reservations) for task in made] == [False, True, False]


async def test_steps_of_a_workflow(start: BenchFactory) -> None:
    """A target's timeout moves the task to the next queue; the worker of that one gets it."""
    targets = [{"queue": "sales", "timeout": 1, "expression": 'worker.level == "high"'}, {"queue": "billing"}]
    routing = {"task_routing": {"filters": [{"expression": "1==1", "targets": targets}]}}
    center = Center(await start(Center.config(configuration=routing)))
    task = await center.task(queue="sales")
    await center.until_status(task, "reserved")
    assert task.reservations[0].worker.friendly_name == "bob"
    await center.told("task-queue.timeout", TaskQueueName="sales")
    await center.told("task-queue.moved", TaskQueueName="billing")


async def test_several_workers_at_once(center: Center) -> None:
    """MaxReservedWorkers offers a task to several; when one accepts, the others are rescinded."""
    center.queue("sales").target_workers = "1==1"
    center.queue("sales").max_reserved_workers = 2
    task = await center.task(queue="sales")
    await center.until(lambda: len(task.reservations) == 2, "two reservations")
    await center.control("POST", "/workers/bob/accept")
    assert sorted(one.status.value for one in task.reservations) == ["accepted", "rescinded"]
    await center.told("reservation.rescinded", WorkerName="alice")


async def test_capacity(center: Center) -> None:
    """A worker with room for two on the channel gets two tasks, not three."""
    bob = next(one for one in center.workspace.workers.values() if one.friendly_name == "bob")
    path = f"/Workers/{bob.sid}/Channels/default"
    status, body = await center.rest("POST", path, {"Capacity": "2"})
    assert (status, body["configured_capacity"], body["available_capacity_percentage"]) == (200, 2, 100)
    made = [await center.task(queue="billing") for _ in range(3)]
    await center.until(lambda: sum(task.status == "reserved" for task in made) == 2, "two reservations")
    _, body = await center.rest("GET", path)
    assert (body["assigned_tasks"], body["available_capacity_percentage"]) == (2, 0)
    assert made[2].status == "pending"


async def test_events(center: Center) -> None:
    """The workspace's events tell a task's whole life, each with the common fields and those of its group."""
    center.answers({"instruction": "accept"})
    task = await center.task(queue="billing")
    await center.until_status(task, "assigned")
    await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": "completed"})
    await center.told("task.completed")
    await center.bench.settled()
    hits = center.bench.site.got("/events", TaskSid=task.sid)
    assert [hit.params["EventType"] for hit in hits] == [
        "task.created",
        "workflow.entered",
        "workflow.target-matched",
        "task-queue.entered",
        "reservation.created",
        "reservation.accepted",
        "reservation.completed",
        "task.completed",
    ]
    common = "EventType Sid AccountSid WorkspaceSid WorkspaceName EventDescription ResourceType ResourceSid Timestamp"
    for hit in hits:
        assert set(common.split()) <= set(hit.params)
        assert hit.params["ResourceType"] == hit.params["EventType"].partition(".")[0]
    accepted = hits[5].params
    assert (accepted["ReservationSid"], accepted["ResourceSid"]) == (task.reservations[0].sid,) * 2
    assert (accepted["WorkerName"], accepted["TaskQueueName"], accepted["WorkflowSid"]) == (
        "bob",
        "billing",
        WORKFLOW_SID,
    )
    _, listed = await center.rest("GET", f"/Events?TaskSid={task.sid}")
    kept = msgspec.convert(listed["events"], list[dict[str, object]])
    assert [one["event_type"] for one in kept][::-1] == [hit.params["EventType"] for hit in hits]


async def test_events_filter(center: Center) -> None:
    """EventsFilter names the event types that are sent."""
    status, body = await center.rest("POST", "", {"EventsFilter": "task.created,task.canceled"})
    assert (status, body["events_filter"]) == (200, "task.canceled,task.created")
    task = await center.task(queue="billing")
    await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": "canceled"})
    await center.bench.settled()
    told = [hit.params["EventType"] for hit in center.bench.site.got("/events", TaskSid=task.sid)]
    assert told == ["task.created", "task.canceled"]
    assert (await center.rest("POST", "", {"EventsFilter": "task.danced"}))[0] == 400


async def test_a_workspace_built_by_rest(bench: Bench) -> None:
    """A centre can be built by REST alone: workspace, queue, workflow, worker; then it works."""
    _, space = await bench.v1("POST", "/v1/Workspaces", {"FriendlyName": "Built", "Template": "FIFO"})
    center = Center(bench, str(space["sid"]))
    available = center.activity("Available")
    queue = next(iter(center.workspace.queues.values()))
    form = {"FriendlyName": "carol", "ActivitySid": available.sid, "Attributes": '{"contact_uri": "client:carol"}'}
    status, worker = await center.rest("POST", "/Workers", form)
    assert (status, worker["available"], worker["activity_name"]) == (201, True, "Available")
    routing = {"task_routing": {"filters": [], "default_filter": {"queue": queue.sid}}}
    form = {"FriendlyName": "flow", "Configuration": json.dumps(routing)}
    status, workflow = await center.rest("POST", "/Workflows", form)
    assert status == 201
    task = await center.task({"WorkflowSid": str(workflow["sid"])})
    await center.until_status(task, "reserved")
    broken = {"task_routing": {"filters": [{"expression": "a-b == 1"}]}}
    form = {"FriendlyName": "x", "Configuration": json.dumps(broken)}
    assert (await center.rest("POST", "/Workflows", form))[0] == 400
    assert (await center.rest("DELETE", ""))[0] == 204
    assert not bench.emulator.world.workspaces


async def test_a_named_activity_must_exist() -> None:
    """A worker configured with an unknown activity is refused at the start, not ignored."""
    config = Bench.config(taskrouter=TaskRouterConfig(workers={"a": WorkerConfig(activity="Nowhere")}))
    with pytest.raises(ValueError, match="'Nowhere' is not configured"):
        async with serve(config):
            pass
