"""The Worker resource and its channels."""

from aiohttp import web

from emulator.errors import RestError
from emulator.rest.answer import WORLD, filters, reply
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
    missing,
    page,
    pick,
    tagged,
    workspace_of,
)
from emulator.rest.taskrouter.workspaces import activity
from emulator.taskrouter import reservations, routing, told, workers
from emulator.taskrouter.entities import Worker, WorkerChannel, Workspace

CREATE = Parameters(frozenset({"FriendlyName", "ActivitySid", "Attributes"}))
UPDATE = Parameters(CREATE.emulated | {"RejectPendingReservations"})
LIST = frozenset(
    {
        "ActivityName",
        "ActivitySid",
        "Available",
        "FriendlyName",
        "TargetWorkersExpression",
        "TaskQueueName",
        "TaskQueueSid",
    }
)
LINKS = {
    "channels": "Channels",
    "worker_statistics": "Statistics",
    "worker_channels": "Channels",
    "reservations": "Reservations",
}
LIST_LINKS = {
    "statistics": "Statistics",
    "real_time_statistics": "RealTimeStatistics",
    "cumulative_statistics": "CumulativeStatistics",
}


def resource(request: web.Request, workspace: Workspace, worker: Worker) -> V1:
    """Return a worker as JSON."""
    home = base(request, workspace.sid)
    url = f"{home}/Workers/{worker.sid}"
    links: dict[str, str | None] = {
        **{name: f"{url}/{path}" for name, path in LINKS.items()},
        **{name: f"{home}/Workers/{path}" for name, path in LIST_LINKS.items()},
        "activity": f"{home}/Activities/{worker.activity.sid}",
        "workspace": home,
    }
    return {
        "account_sid": workspace.account_sid,
        "activity_name": worker.activity.friendly_name,
        "activity_sid": worker.activity.sid,
        "attributes": told.json_text(worker.attributes),
        "available": worker.activity.available,
        **dates(worker),
        "date_status_changed": iso(worker.status_changed_at),
        "friendly_name": worker.friendly_name,
        "sid": worker.sid,
        "workspace_sid": workspace.sid,
        "url": url,
        "links": links,
    }


async def create(request: web.Request) -> web.Response:
    """``POST …/Workers``."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    form.check(CREATE, "Workers create")
    name = form.required("FriendlyName", 20001)
    _check_name(workspace, name)
    begins = activity(workspace, form, "ActivitySid") or workspace.default_activity
    worker = workers.add(world, workspace, name, attributes(form), begins)
    return tagged(resource(request, workspace, worker), worker.version, 201)


def _check_name(workspace: Workspace, name: str) -> None:
    if any(worker.friendly_name == name for worker in workspace.workers.values()):
        raise bad(f"There is a worker {name} already")


async def fetch(request: web.Request) -> web.Response:
    """``GET …/Workers/{WK}``."""
    workspace = workspace_of(request)
    worker = pick(request, workspace.workers)
    return tagged(resource(request, workspace, worker), worker.version)


async def update(request: web.Request) -> web.Response:
    """``POST …/Workers/{WK}``: activity, attributes, name; ``If-Match`` guards it."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    worker = pick(request, workspace.workers)
    form.check(UPDATE, "Workers update")
    check_version(request, worker.version)
    wanted = activity(workspace, form, "ActivitySid")
    if "Attributes" in form:
        workers.set_attributes(world, workspace, worker, attributes(form))
    name = form.text("FriendlyName")
    if name and name != worker.friendly_name:
        _check_name(workspace, name)
        worker.friendly_name, worker.updated_at = name, world.clock.now()
    if wanted is not None:
        workers.set_activity(world, workspace, worker, wanted)
    if form.flag("RejectPendingReservations", default=False):
        for reservation in workers.pending(worker):
            reservations.reject(world, reservation)
    return tagged(resource(request, workspace, worker), worker.version)


async def delete(request: web.Request) -> web.Response:
    """``DELETE …/Workers/{WK}``: only one who is not available and has nothing in hand."""
    world, workspace = request.app[WORLD], workspace_of(request)
    worker = pick(request, workspace.workers)
    check_version(request, worker.version)
    if worker.activity.available:
        raise bad(f"The worker {worker.friendly_name} is available: let them go offline first")
    if worker.bound:
        raise bad(f"The worker {worker.friendly_name} has tasks in hand")
    del workspace.workers[worker.sid]
    told.of_worker(world, workspace, worker, "worker.deleted")
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET …/Workers`` with its filters."""
    workspace, wanted = workspace_of(request), filters(request, LIST)
    expression(wanted.get("TargetWorkersExpression", ""), "worker", "TargetWorkersExpression")
    found = [worker for worker in workspace.workers.values() if _matches(workspace, worker, wanted)]
    return page(request, "workers", found, lambda one: one.sid, lambda one: resource(request, workspace, one))


def _matches(workspace: Workspace, worker: Worker, wanted: dict[str, str]) -> bool:
    exact = {
        "ActivityName": worker.activity.friendly_name,
        "ActivitySid": worker.activity.sid,
        "FriendlyName": worker.friendly_name,
    }
    if any(name in wanted and wanted[name] != value for name, value in exact.items()):
        return False
    if wanted.get("Available", "").lower() not in {"", "1" if worker.activity.available else "0"} | {
        str(worker.activity.available).lower()
    }:
        return False
    key = wanted.get("TaskQueueSid") or wanted.get("TaskQueueName")
    queue = routing.find_queue(workspace, key) if key else None
    if key and (queue is None or not workers.selects(queue.target_workers, worker)):
        return False
    return workers.selects(wanted.get("TargetWorkersExpression", ""), worker)


# -- channels ---------------------------------------------------------------------------------------------------------


def channel_resource(request: web.Request, workspace: Workspace, worker: Worker, one: WorkerChannel) -> V1:
    """Return a worker channel as JSON."""
    load = workers.load(worker, one.channel)
    free = max(one.capacity - load, 0)
    return {
        "account_sid": workspace.account_sid,
        "assigned_tasks": load,
        "available": one.available,
        "available_capacity_percentage": round(100 * free / one.capacity) if one.capacity else 0,
        "configured_capacity": one.capacity,
        **dates(one),
        "sid": one.sid,
        "task_channel_sid": one.channel.sid,
        "task_channel_unique_name": one.channel.unique_name,
        "worker_sid": worker.sid,
        "workspace_sid": workspace.sid,
        "url": base(request, workspace.sid, "Workers", worker.sid, "Channels", one.sid),
    }


def _worker(request: web.Request) -> tuple[Workspace, Worker]:
    workspace = workspace_of(request)
    return workspace, pick(request, workspace.workers, "worker")


def _channel(request: web.Request, worker: Worker) -> WorkerChannel:
    """Return the channel in the path, by its SID, its task channel's SID or unique name."""
    key = request.match_info["sid"]
    for one in worker.channels.values():
        if key in {one.sid, one.channel.sid, one.channel.unique_name}:
            return one
    raise missing(request)


async def list_channels(request: web.Request) -> web.Response:
    """``GET …/Workers/{WK}/Channels``."""
    workspace, worker = _worker(request)
    filters(request, frozenset())
    found = [*worker.channels.values()]
    return page(
        request, "channels", found, lambda one: one.sid, lambda one: channel_resource(request, workspace, worker, one)
    )


async def fetch_channel(request: web.Request) -> web.Response:
    """``GET …/Workers/{WK}/Channels/{WC}``."""
    workspace, worker = _worker(request)
    return reply(channel_resource(request, workspace, worker, _channel(request, worker)))


async def update_channel(request: web.Request) -> web.Response:
    """``POST …/Workers/{WK}/Channels/{WC}``: capacity and availability."""
    world, form = request.app[WORLD], await read_form(request)
    workspace, worker = _worker(request)
    one = _channel(request, worker)
    form.check(Parameters(frozenset({"Capacity", "Available"})), "worker Channels update")
    capacity = _capacity(form, one)
    available = form.flag("Available", default=one.available)
    extra = {"WorkerChannelSid": one.sid, "TaskChannelSid": one.channel.sid}
    if capacity != one.capacity:
        one.capacity = capacity
        told.of_worker(world, workspace, worker, "worker.capacity.update", extra)
    if available is not one.available:
        one.available = available
        told.of_worker(world, workspace, worker, "worker.channel.availability.update", extra)
    one.updated_at = world.clock.now()
    workspace.changed.set()
    return reply(channel_resource(request, workspace, worker, one))


def _capacity(form: Form, one: WorkerChannel) -> int:
    value = form.text("Capacity", str(one.capacity))
    if not value.isdigit():
        raise RestError(400, 20001, f"Invalid Capacity '{value}': expected a number")
    return int(value)
