"""The Task resource (twilio-facts.md 5.4)."""

from datetime import datetime

from aiohttp import web

from emulator.errors import RestError
from emulator.rest.answer import WORLD, filters
from emulator.rest.form import Form, Parameters, read_form
from emulator.rest.taskrouter.answer import (
    V1,
    attributes,
    bad,
    base,
    check_version,
    dates,
    expression,
    iso,
    page,
    pick,
    tagged,
    workspace_of,
)
from emulator.taskrouter import expressions, intake, tasks, told
from emulator.taskrouter.entities import WAITING_TASK, Target, Task, TaskChannel, TaskStatus, Workflow, Workspace
from emulator.world import World

MAX_TIMEOUT_S = 1_209_600
DEFAULT_CHANNEL = "default"
CREATE = Parameters(
    frozenset(
        {
            "Attributes",
            "WorkflowSid",
            "TaskChannel",
            "Priority",
            "Timeout",
            "TaskQueueSid",
            "RoutingTarget",
            "IgnoreCapacity",
            "VirtualStartTime",
        }
    )
)
UPDATE = Parameters(
    frozenset({"Attributes", "AssignmentStatus", "Reason", "Priority", "TaskChannel", "VirtualStartTime"})
)
LIST = frozenset(
    {
        "Priority",
        "AssignmentStatus",
        "WorkflowSid",
        "WorkflowName",
        "TaskQueueSid",
        "TaskQueueName",
        "EvaluateTaskAttributes",
        "RoutingTarget",
        "Ordering",
        "HasAddons",
    }
)
STATUSES = frozenset(status.value for status in TaskStatus)
ORDERINGS = frozenset({"DateCreated:asc", "DateCreated:desc", "Priority:asc", "Priority:desc"})
NEEDS = {
    "canceled": (WAITING_TASK, "pending or reserved"),
    "wrapping": (frozenset({TaskStatus.ASSIGNED}), "assigned"),
    "completed": (frozenset({TaskStatus.ASSIGNED, TaskStatus.WRAPPING}), "assigned or wrapping"),
}
"""What a task must be for each status that REST can give it."""


def resource(request: web.Request, task: Task) -> V1:
    """Return a task as JSON."""
    world, workspace = request.app[WORLD], task.workspace
    home = base(request, workspace.sid)
    url = f"{home}/Tasks/{task.sid}"
    queue, workflow = task.queue, task.workflow
    begun = task.created_at if task.virtual_start_at is None else task.virtual_start_at
    return {
        "account_sid": workspace.account_sid,
        "age": int(world.clock.now() - task.created_at),
        "assignment_status": task.status.value,
        "attributes": told.json_text(task.attributes),
        "addons": "{}",
        **dates(task),
        "task_queue_entered_date": None if task.entered_queue_at is None else iso(task.entered_queue_at),
        "priority": task.priority,
        "reason": task.reason or None,
        "sid": task.sid,
        "task_queue_sid": queue.sid if queue else None,
        "task_queue_friendly_name": queue.friendly_name if queue else None,
        "task_channel_sid": task.channel.sid,
        "task_channel_unique_name": task.channel.unique_name,
        "timeout": int(task.timeout_s),
        "workflow_sid": workflow.sid if workflow else None,
        "workflow_friendly_name": workflow.friendly_name if workflow else None,
        "workspace_sid": workspace.sid,
        "url": url,
        "links": {
            "task_queue": f"{home}/TaskQueues/{queue.sid}" if queue else None,
            "workflow": f"{home}/Workflows/{workflow.sid}" if workflow else None,
            "workspace": home,
            "reservations": f"{url}/Reservations",
        },
        "virtual_start_time": iso(begun),
        "ignore_capacity": task.ignore_capacity,
        "routing_target": task.routing_target or None,
    }


# -- create -----------------------------------------------------------------------------------------------------------


async def create(request: web.Request) -> web.Response:
    """``POST …/Tasks``."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    form.check(CREATE, "Tasks create")
    target = _target(workspace, form)
    wish = intake.Wish(
        attributes=attributes(form),
        channel=_channel(workspace, form),
        workflow=_workflow(workspace, form, needed=target is None),
        timeout_s=form.seconds("Timeout", int(intake.DEFAULT_TIMEOUT_S), 1, MAX_TIMEOUT_S, 20001),
        priority=_priority(form, 0),
        virtual_start_at=_virtual_start(form),
        ignore_capacity=form.flag("IgnoreCapacity", default=False),
        routing_target=form.text("RoutingTarget"),
        target=target,
    )
    task = intake.create(world, workspace, wish)
    return tagged(resource(request, task), task.version, 201)


def _priority(form: Form, default: int) -> int:
    value = form.text("Priority", str(default))
    if not value.removeprefix("-").isdigit():
        raise bad(f"Invalid Priority '{value}': expected a number")
    return int(value)


def _virtual_start(form: Form) -> float | None:
    value = form.text("VirtualStartTime")
    if not value:
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise bad(f"Invalid VirtualStartTime '{value}': expected an ISO time") from None


def _channel(workspace: Workspace, form: Form) -> TaskChannel:
    key = form.text("TaskChannel") or DEFAULT_CHANNEL
    found = intake.channel_named(workspace, key)
    if found is None:
        raise bad(f"TaskChannel {key} does not exist")
    return found


def _workflow(workspace: Workspace, form: Form, *, needed: bool) -> Workflow | None:
    """Return the workflow that is named, or the only one; a task with a target of its own needs none."""
    sid = form.text("WorkflowSid")
    if form.text("RoutingTarget").startswith("WW"):
        sid = form.text("RoutingTarget")
    if sid and sid not in workspace.workflows:
        raise bad(f"WorkflowSid {sid} does not exist in the workspace")
    found = workspace.workflows.get(sid)
    if found is None and len(workspace.workflows) == 1:
        return next(iter(workspace.workflows.values()))
    if found is None and needed:
        raise bad("WorkflowSid is required: the workspace has not exactly one workflow")
    return found


def _target(workspace: Workspace, form: Form) -> Target | None:
    """Return the queue or worker that the task goes straight to, None for the workflow's filters."""
    goal, queue_sid = form.text("RoutingTarget"), form.text("TaskQueueSid")
    if goal.startswith("WK"):
        if goal not in workspace.workers:
            raise bad(f"RoutingTarget {goal} is not a worker of the workspace")
        queue_sid = queue_sid or next(iter(workspace.queues), "")
        return Target(queue_sid, worker_sid=goal)
    queue_sid = goal if goal.startswith("WQ") else queue_sid
    if queue_sid and queue_sid not in workspace.queues:
        raise bad(f"TaskQueueSid {queue_sid} is not a task queue of the workspace")
    if goal and goal[:2] not in {"WW", "WQ"}:
        raise bad(f"RoutingTarget {goal}: expected the SID of a worker, queue or workflow")
    return Target(queue_sid) if queue_sid else None


# -- instance ---------------------------------------------------------------------------------------------------------


async def fetch(request: web.Request) -> web.Response:
    """``GET …/Tasks/{WT}``."""
    task = pick(request, workspace_of(request).tasks)
    return tagged(resource(request, task), task.version)


async def update(request: web.Request) -> web.Response:
    """``POST …/Tasks/{WT}``: attributes or status, never both; ``If-Match`` guards it."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    task = pick(request, workspace.tasks)
    form.check(UPDATE, "Tasks update")
    check_version(request, task.version)
    status = form.choice("AssignmentStatus", STATUSES)
    if status and "Attributes" in form:
        raise bad("AssignmentStatus and Attributes cannot be changed in one request")
    changed = _settings(workspace, task, form)
    if "Attributes" in form:
        tasks.set_attributes(world, task, attributes(form))
    elif changed:
        tasks.touch(world, task)
    if status:
        _enter(world, task, status, form.text("Reason"))
    return tagged(resource(request, task), task.version)


def _settings(workspace: Workspace, task: Task, form: Form) -> bool:
    """Apply priority, channel and start; return whether any was given."""
    priority, start = _priority(form, task.priority), _virtual_start(form)
    if "TaskChannel" in form:
        task.channel = _channel(workspace, form)
    task.priority = priority
    task.virtual_start_at = task.virtual_start_at if start is None else start
    return any(name in form for name in ("Priority", "TaskChannel", "VirtualStartTime"))


def _enter(world: World, task: Task, status: str, reason: str) -> None:
    if status not in NEEDS:
        raise bad(f"AssignmentStatus {status} is TaskRouter's own to give; expected one of {sorted(NEEDS)}")
    allowed, words = NEEDS[status]
    if task.status not in allowed:
        message = f"Cannot move task {task.sid} to {status} because it is {task.status.value}, not {words}"
        raise RestError(world.switches.taskrouter_state_status, 20001, message)
    deeds = {"canceled": tasks.cancel, "wrapping": tasks.wrap, "completed": tasks.complete}
    deeds[status](world, task, reason)


async def delete(request: web.Request) -> web.Response:
    """``DELETE …/Tasks/{WT}``."""
    task = pick(request, workspace_of(request).tasks)
    check_version(request, task.version)
    tasks.delete(request.app[WORLD], task)
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET …/Tasks`` with its filters."""
    workspace, wanted = workspace_of(request), filters(request, LIST)
    expression(wanted.get("EvaluateTaskAttributes", ""), "task", "EvaluateTaskAttributes")
    found = [task for task in workspace.tasks.values() if _matches(request, task, wanted)]
    ordering = wanted.get("Ordering", "DateCreated:asc")
    if ordering not in ORDERINGS:
        raise bad(f"Invalid Ordering '{ordering}': expected one of {sorted(ORDERINGS)}")
    key, _, way = ordering.partition(":")
    found.sort(key=lambda task: task.priority if key == "Priority" else task.created_at, reverse=way == "desc")
    return page(request, "tasks", found, lambda task: task.sid, lambda task: resource(request, task))


def _matches(request: web.Request, task: Task, wanted: dict[str, str]) -> bool:
    workflow, queue = task.workflow, task.queue
    exact = {
        "Priority": str(task.priority),
        "WorkflowSid": workflow.sid if workflow else "",
        "WorkflowName": workflow.friendly_name if workflow else "",
        "TaskQueueSid": queue.sid if queue else "",
        "TaskQueueName": queue.friendly_name if queue else "",
        "RoutingTarget": task.routing_target,
        "HasAddons": "false",
    }
    if any(name in wanted and wanted[name] != value for name, value in exact.items()):
        return False
    statuses = [status for value in request.query.getall("AssignmentStatus", []) for status in value.split(",")]
    if statuses and task.status.value not in statuses:
        return False
    return expressions.holds(wanted.get("EvaluateTaskAttributes", ""), "task", {"task": task.attributes})
