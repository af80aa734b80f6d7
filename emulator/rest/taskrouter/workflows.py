"""The TaskQueue and Workflow resources."""

from aiohttp import web

from emulator.rest.answer import WORLD, filters, reply
from emulator.rest.form import Form, Parameters, read_form
from emulator.rest.taskrouter.answer import V1, bad, base, dates, expression, page, pick, workspace_of
from emulator.rest.taskrouter.workspaces import activity
from emulator.taskrouter import told, workers, workspaces
from emulator.taskrouter.configuration import ConfigurationError, parse
from emulator.taskrouter.entities import OPEN_TASK, TaskQueue, Workflow, Workspace
from emulator.world import World

MAX_RESERVED = 50
MAX_RESERVATION_TIMEOUT_S = 86_400
QUEUE = Parameters(
    frozenset(
        {
            "FriendlyName",
            "TargetWorkers",
            "MaxReservedWorkers",
            "TaskOrder",
            "ReservationActivitySid",
            "AssignmentActivitySid",
        }
    )
)
WORKFLOW_NAMES = frozenset(
    {
        "FriendlyName",
        "Configuration",
        "AssignmentCallbackUrl",
        "FallbackAssignmentCallbackUrl",
        "TaskReservationTimeout",
    }
)
WORKFLOW = Parameters(WORKFLOW_NAMES)
WORKFLOW_UPDATE = Parameters(WORKFLOW_NAMES)
STATISTICS = {
    "statistics": "Statistics",
    "real_time_statistics": "RealTimeStatistics",
    "cumulative_statistics": "CumulativeStatistics",
}


# -- task queues ------------------------------------------------------------------------------------------------------


def queue_resource(request: web.Request, workspace: Workspace, queue: TaskQueue) -> V1:
    """Return a task queue as JSON."""
    home = base(request, workspace.sid)
    url = f"{home}/TaskQueues/{queue.sid}"
    reserved, assigned = queue.reservation_activity, queue.assignment_activity
    links: dict[str, str | None] = {
        "workspace": home,
        **{name: f"{url}/{path}" for name, path in STATISTICS.items()},
        "list_statistics": f"{home}/TaskQueues/Statistics",
        "bulk_real_time_statistics": f"{home}/TaskQueues/RealTimeStatistics",
    }
    for name, one in (("assignment_activity", assigned), ("reservation_activity", reserved)):
        if one is not None:
            links[name] = f"{home}/Activities/{one.sid}"
    return {
        "account_sid": workspace.account_sid,
        "assignment_activity_sid": assigned.sid if assigned else None,
        "assignment_activity_name": assigned.friendly_name if assigned else None,
        **dates(queue),
        "friendly_name": queue.friendly_name,
        "max_reserved_workers": queue.max_reserved_workers,
        "reservation_activity_sid": reserved.sid if reserved else None,
        "reservation_activity_name": reserved.friendly_name if reserved else None,
        "sid": queue.sid,
        "target_workers": queue.target_workers,
        "task_order": queue.task_order,
        "url": url,
        "workspace_sid": workspace.sid,
        "links": links,
    }


async def create_queue(request: web.Request) -> web.Response:
    """``POST …/TaskQueues``."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    form.check(QUEUE, "TaskQueues create")
    name = form.required("FriendlyName", 20001)
    expression(form.text("TargetWorkers"), "worker", "TargetWorkers")
    queue = workspaces.add_queue(world, workspace, name)
    _apply_queue(world, workspace, queue, form)
    return reply(queue_resource(request, workspace, queue), 201)


def _apply_queue(world: World, workspace: Workspace, queue: TaskQueue, form: Form) -> None:
    target = expression(form.text("TargetWorkers"), "worker", "TargetWorkers")
    size = form.seconds("MaxReservedWorkers", queue.max_reserved_workers, 1, MAX_RESERVED, 20001)
    order = form.choice("TaskOrder", frozenset({"FIFO", "LIFO"}), queue.task_order)
    reserved = activity(workspace, form, "ReservationActivitySid") or queue.reservation_activity
    assigned = activity(workspace, form, "AssignmentActivitySid") or queue.assignment_activity
    if target and target != queue.target_workers:
        queue.target_workers = target
        told.event(world, workspace, "task-queue.expression.updated", queue.sid, told.queue_fields(queue))
    queue.friendly_name = form.text("FriendlyName") or queue.friendly_name
    queue.max_reserved_workers, queue.task_order = size, order
    queue.reservation_activity, queue.assignment_activity = reserved, assigned
    queue.updated_at = world.clock.now()
    workspace.changed.set()


async def fetch_queue(request: web.Request) -> web.Response:
    """``GET …/TaskQueues/{WQ}``."""
    workspace = workspace_of(request)
    return reply(queue_resource(request, workspace, pick(request, workspace.queues)))


async def update_queue(request: web.Request) -> web.Response:
    """``POST …/TaskQueues/{WQ}``."""
    workspace, form = workspace_of(request), await read_form(request)
    queue = pick(request, workspace.queues)
    form.check(QUEUE, "TaskQueues update")
    _apply_queue(request.app[WORLD], workspace, queue, form)
    return reply(queue_resource(request, workspace, queue))


async def delete_queue(request: web.Request) -> web.Response:
    """``DELETE …/TaskQueues/{WQ}``, unless tasks wait in it."""
    workspace = workspace_of(request)
    queue = pick(request, workspace.queues)
    if any(task.queue is queue and task.status in OPEN_TASK for task in workspace.tasks.values()):
        raise bad(f"The task queue {queue.friendly_name} still has tasks")
    del workspace.queues[queue.sid]
    told.event(request.app[WORLD], workspace, "task-queue.deleted", queue.sid, told.queue_fields(queue))
    return web.Response(status=204)


async def list_queues(request: web.Request) -> web.Response:
    """``GET …/TaskQueues``."""
    workspace, wanted = workspace_of(request), filters(request, frozenset({"FriendlyName", "WorkerSid"}))
    worker = workspace.workers.get(wanted.get("WorkerSid", ""))
    found = [
        queue
        for queue in workspace.queues.values()
        if wanted.get("FriendlyName") in {None, queue.friendly_name}
        and ("WorkerSid" not in wanted or (worker is not None and workers.selects(queue.target_workers, worker)))
    ]
    return page(
        request, "task_queues", found, lambda queue: queue.sid, lambda queue: queue_resource(request, workspace, queue)
    )


# -- workflows --------------------------------------------------------------------------------------------------------


def workflow_resource(request: web.Request, workspace: Workspace, workflow: Workflow) -> V1:
    """Return a workflow as JSON."""
    url = base(request, workspace.sid, "Workflows", workflow.sid)
    return {
        "account_sid": workspace.account_sid,
        "assignment_callback_url": workflow.assignment_callback_url or None,
        "configuration": workflow.configuration,
        **dates(workflow),
        "document_content_type": "application/json",
        "fallback_assignment_callback_url": workflow.fallback_assignment_callback_url or None,
        "friendly_name": workflow.friendly_name,
        "sid": workflow.sid,
        "task_reservation_timeout": workflow.task_reservation_timeout_s,
        "workspace_sid": workspace.sid,
        "url": url,
        "links": {name: f"{url}/{path}" for name, path in STATISTICS.items()},
    }


def _configuration(workspace: Workspace, form: Form) -> str:
    """Return the configuration that the form gives, whose queues must exist; nothing if it gives none."""
    text = form.text("Configuration")
    if not text:
        return ""
    try:
        routing = parse(text)
    except ConfigurationError as error:
        raise bad(f"Configuration: {error}") from error
    steps = [target for one in routing.filters for target in one.targets]
    for step in [*steps, *([routing.default_filter] if routing.default_filter else [])]:
        if step.queue not in workspace.queues:
            raise bad(f"Configuration: {step.queue!r} is not the SID of a task queue of the workspace")
    return text


async def create_workflow(request: web.Request) -> web.Response:
    """``POST …/Workflows``."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    form.check(WORKFLOW, "Workflows create")
    name = form.required("FriendlyName", 20001)
    form.required("Configuration", 20001)
    _check_workflow(form)
    workflow = workspaces.add_workflow(world, workspace, name, _configuration(workspace, form))
    _apply_workflow(world, workspace, workflow, form)
    return reply(workflow_resource(request, workspace, workflow), 201)


def _check_workflow(form: Form) -> None:
    form.url("AssignmentCallbackUrl", 20001)
    form.url("FallbackAssignmentCallbackUrl", 20001)
    form.seconds("TaskReservationTimeout", 120, 1, MAX_RESERVATION_TIMEOUT_S, 20001)


def _apply_workflow(world: World, workspace: Workspace, workflow: Workflow, form: Form) -> None:
    workflow.configuration = _configuration(workspace, form) or workflow.configuration
    workflow.friendly_name = form.text("FriendlyName") or workflow.friendly_name
    if "AssignmentCallbackUrl" in form:
        workflow.assignment_callback_url = form.url("AssignmentCallbackUrl", 20001)
    if "FallbackAssignmentCallbackUrl" in form:
        workflow.fallback_assignment_callback_url = form.url("FallbackAssignmentCallbackUrl", 20001)
    before = workflow.task_reservation_timeout_s
    limit_s = form.seconds("TaskReservationTimeout", before, 1, MAX_RESERVATION_TIMEOUT_S, 20001)
    workflow.task_reservation_timeout_s = limit_s
    workflow.updated_at = world.clock.now()


async def fetch_workflow(request: web.Request) -> web.Response:
    """``GET …/Workflows/{WW}``."""
    workspace = workspace_of(request)
    return reply(workflow_resource(request, workspace, pick(request, workspace.workflows)))


async def update_workflow(request: web.Request) -> web.Response:
    """``POST …/Workflows/{WW}``; tasks that are on their way already go on as they began."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    workflow = pick(request, workspace.workflows)
    form.check(WORKFLOW_UPDATE, "Workflows update")
    _check_workflow(form)
    _apply_workflow(world, workspace, workflow, form)
    told.event(world, workspace, "workflow.updated", workflow.sid, told.workflow_fields(workflow))
    return reply(workflow_resource(request, workspace, workflow))


async def delete_workflow(request: web.Request) -> web.Response:
    """``DELETE …/Workflows/{WW}``, unless tasks are in it."""
    workspace = workspace_of(request)
    workflow = pick(request, workspace.workflows)
    if any(task.workflow is workflow and task.status in OPEN_TASK for task in workspace.tasks.values()):
        raise bad(f"The workflow {workflow.friendly_name} still has tasks")
    del workspace.workflows[workflow.sid]
    told.event(request.app[WORLD], workspace, "workflow.deleted", workflow.sid, told.workflow_fields(workflow))
    return web.Response(status=204)


async def list_workflows(request: web.Request) -> web.Response:
    """``GET …/Workflows``."""
    workspace, wanted = workspace_of(request), filters(request, frozenset({"FriendlyName"}))
    found = [one for one in workspace.workflows.values() if wanted.get("FriendlyName") in {None, one.friendly_name}]
    return page(
        request, "workflows", found, lambda one: one.sid, lambda one: workflow_resource(request, workspace, one)
    )
