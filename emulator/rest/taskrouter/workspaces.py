"""The Workspace and Activity resources."""

from aiohttp import web

from emulator.rest.answer import WORLD, account_of, filters, reply
from emulator.rest.form import Form, Parameters, read_form
from emulator.rest.taskrouter.answer import V1, bad, base, dates, page, pick, workspace_of
from emulator.taskrouter import told, workspaces
from emulator.taskrouter.entities import Activity, Workspace
from emulator.world import World

SETTINGS = frozenset({"FriendlyName", "EventCallbackUrl", "EventsFilter", "PrioritizeQueueOrder", "MultiTaskEnabled"})
CREATE = Parameters(SETTINGS | {"Template"})
UPDATE = Parameters(SETTINGS | {"DefaultActivitySid", "TimeoutActivitySid"})
FIFO = "FIFO"
LINKS = {
    "activities": "Activities",
    "statistics": "Statistics",
    "real_time_statistics": "RealTimeStatistics",
    "cumulative_statistics": "CumulativeStatistics",
    "task_queues": "TaskQueues",
    "tasks": "Tasks",
    "workers": "Workers",
    "workflows": "Workflows",
    "task_channels": "TaskChannels",
    "events": "Events",
}


def resource(request: web.Request, workspace: Workspace) -> V1:
    """Return a workspace as JSON."""
    url = base(request, workspace.sid)
    return {
        "account_sid": workspace.account_sid,
        **dates(workspace),
        "default_activity_name": workspace.default_activity.friendly_name,
        "default_activity_sid": workspace.default_activity.sid,
        "event_callback_url": workspace.event_callback_url,
        "events_filter": ",".join(sorted(workspace.events_filter)) or None,
        "friendly_name": workspace.friendly_name,
        "multi_task_enabled": workspace.multi_task_enabled,
        "sid": workspace.sid,
        "timeout_activity_name": workspace.timeout_activity.friendly_name,
        "timeout_activity_sid": workspace.timeout_activity.sid,
        "prioritize_queue_order": workspace.prioritize_queue_order,
        "url": url,
        "links": {name: f"{url}/{path}" for name, path in LINKS.items()},
    }


async def create(request: web.Request) -> web.Response:
    """``POST /v1/Workspaces``."""
    world, form = request.app[WORLD], await read_form(request)
    form.check(CREATE, "Workspaces create")
    name = form.required("FriendlyName", 20001)
    template = form.choice("Template", frozenset({"NONE", "none", FIFO, "fifo"})).upper()
    workspace = workspaces.make(world, account_of(request), name)
    _apply(world, workspace, form)
    if template == FIFO:
        queue = workspaces.add_queue(world, workspace, "Default Fifo Queue")
        text = f'{{"task_routing":{{"filters":[],"default_filter":{{"queue":"{queue.sid}"}}}}}}'
        workspaces.add_workflow(world, workspace, "Default Fifo Workflow", text)
    else:
        workspaces.add_queue(world, workspace, "Sample Queue")
    return reply(resource(request, workspace), 201)


def _apply(world: World, workspace: Workspace, form: Form) -> None:
    url = form.url("EventCallbackUrl", 20001)
    wanted = frozenset(word.strip() for word in form.text("EventsFilter").split(",") if word.strip())
    if wanted - told.TYPES:
        raise bad(
            f"EventsFilter: {sorted(wanted - told.TYPES)} are no event types; expected some of {sorted(told.TYPES)}"
        )
    order = form.choice("PrioritizeQueueOrder", frozenset({FIFO, "LIFO"}))
    if "MultiTaskEnabled" in form and not form.flag("MultiTaskEnabled", default=True):
        raise bad("Multitasking cannot be switched off")
    workspace.friendly_name = form.text("FriendlyName") or workspace.friendly_name
    workspace.event_callback_url = url if "EventCallbackUrl" in form else workspace.event_callback_url
    workspace.events_filter = wanted if "EventsFilter" in form else workspace.events_filter
    workspace.prioritize_queue_order = order or workspace.prioritize_queue_order
    workspace.updated_at = world.clock.now()


async def fetch(request: web.Request) -> web.Response:
    """``GET /v1/Workspaces/{WS}``."""
    return reply(resource(request, workspace_of(request)))


async def update(request: web.Request) -> web.Response:
    """``POST /v1/Workspaces/{WS}``."""
    workspace, form = workspace_of(request), await read_form(request)
    form.check(UPDATE, "Workspaces update")
    default = activity(workspace, form, "DefaultActivitySid") or workspace.default_activity
    timeout = activity(workspace, form, "TimeoutActivitySid") or workspace.timeout_activity
    _apply(request.app[WORLD], workspace, form)
    workspace.default_activity, workspace.timeout_activity = default, timeout
    return reply(resource(request, workspace))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /v1/Workspaces/{WS}``."""
    workspaces.delete(request.app[WORLD], workspace_of(request))
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET /v1/Workspaces``."""
    wanted = filters(request, frozenset({"FriendlyName"})).get("FriendlyName")
    found = [
        workspace
        for workspace in request.app[WORLD].workspaces.values()
        if workspace.account_sid == account_of(request) and wanted in {None, workspace.friendly_name}
    ]
    return page(request, "workspaces", found, lambda one: one.sid, lambda one: resource(request, one))


def activity(workspace: Workspace, form: Form, name: str) -> Activity | None:
    """Return the activity that a parameter names by its SID, None when it is not given.

    Raises:
        RestError: 400, 20001.

    """
    sid = form.text(name)
    if sid and sid not in workspace.activities:
        raise bad(f"{name} {sid} is not an activity of the workspace")
    return workspace.activities.get(sid)


# -- activities -------------------------------------------------------------------------------------------------------


def activity_resource(request: web.Request, workspace: Workspace, one: Activity) -> V1:
    """Return an activity as JSON."""
    return {
        "account_sid": workspace.account_sid,
        "available": one.available,
        **dates(one),
        "friendly_name": one.friendly_name,
        "sid": one.sid,
        "workspace_sid": workspace.sid,
        "url": base(request, workspace.sid, "Activities", one.sid),
        "links": {"workspace": base(request, workspace.sid)},
    }


async def create_activity(request: web.Request) -> web.Response:
    """``POST …/Activities``."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    form.check(Parameters(frozenset({"FriendlyName", "Available"})), "Activities create")
    name, now = form.required("FriendlyName", 20001), world.clock.now()
    if workspaces.activity_named(workspace, name) is not None:
        raise bad(f"There is an activity {name} already")
    one = Activity(
        sid=world.sids.new("WA"),
        friendly_name=name,
        available=form.flag("Available", default=False),
        created_at=now,
        updated_at=now,
    )
    workspace.activities[one.sid] = one
    _tell(world, workspace, one, "activity.created")
    return reply(activity_resource(request, workspace, one), 201)


def _tell(world: World, workspace: Workspace, one: Activity, event: str) -> None:
    fields = {"ActivitySid": one.sid, "ActivityName": one.friendly_name}
    told.event(world, workspace, event, one.sid, fields)


async def fetch_activity(request: web.Request) -> web.Response:
    """``GET …/Activities/{WA}``."""
    workspace = workspace_of(request)
    return reply(activity_resource(request, workspace, pick(request, workspace.activities)))


async def update_activity(request: web.Request) -> web.Response:
    """``POST …/Activities/{WA}``: its name; whether it is available cannot be changed."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    one = pick(request, workspace.activities)
    form.check(Parameters(frozenset({"FriendlyName"})), "Activities update")
    one.friendly_name = form.text("FriendlyName") or one.friendly_name
    one.updated_at = world.clock.now()
    _tell(world, workspace, one, "activity.updated")
    return reply(activity_resource(request, workspace, one))


async def delete_activity(request: web.Request) -> web.Response:
    """``DELETE …/Activities/{WA}``, unless it is in use."""
    world, workspace = request.app[WORLD], workspace_of(request)
    one = pick(request, workspace.activities)
    used = one in {workspace.default_activity, workspace.timeout_activity}
    if used or any(worker.activity is one for worker in workspace.workers.values()):
        raise bad(f"The activity {one.friendly_name} is in use")
    del workspace.activities[one.sid]
    _tell(world, workspace, one, "activity.deleted")
    return web.Response(status=204)


async def list_activities(request: web.Request) -> web.Response:
    """``GET …/Activities``."""
    workspace, wanted = workspace_of(request), filters(request, frozenset({"FriendlyName", "Available"}))
    found = [
        one
        for one in workspace.activities.values()
        if wanted.get("FriendlyName") in {None, one.friendly_name}
        and wanted.get("Available", str(one.available)).lower() == str(one.available).lower()
    ]
    return page(
        request, "activities", found, lambda one: one.sid, lambda one: activity_resource(request, workspace, one)
    )
