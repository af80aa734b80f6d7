"""The TaskChannel resource: kinds of tasks, for each of which a worker has a capacity."""

from aiohttp import web

from emulator.rest.answer import WORLD, filters, reply
from emulator.rest.form import Parameters, read_form
from emulator.rest.taskrouter.answer import V1, bad, base, dates, missing, page, workspace_of
from emulator.taskrouter import intake, told, workspaces
from emulator.taskrouter.entities import TaskChannel, Workspace
from emulator.world import World

UPDATE = Parameters(frozenset({"FriendlyName", "ChannelOptimizedRouting"}))
CREATE = Parameters(UPDATE.emulated | {"UniqueName"})


def resource(request: web.Request, workspace: Workspace, one: TaskChannel) -> V1:
    """Return a task channel as JSON."""
    return {
        "account_sid": workspace.account_sid,
        **dates(one),
        "friendly_name": one.friendly_name,
        "sid": one.sid,
        "unique_name": one.unique_name,
        "workspace_sid": workspace.sid,
        "channel_optimized_routing": one.channel_optimized_routing,
        "url": base(request, workspace.sid, "TaskChannels", one.sid),
        "links": {"workspace": base(request, workspace.sid)},
    }


def _tell(world: World, workspace: Workspace, one: TaskChannel, event: str) -> None:
    fields = {"TaskChannelSid": one.sid, "TaskChannelUniqueName": one.unique_name}
    told.event(world, workspace, event, one.sid, fields)


async def create(request: web.Request) -> web.Response:
    """``POST …/TaskChannels``: every worker gets a capacity of one for it."""
    world, workspace, form = request.app[WORLD], workspace_of(request), await read_form(request)
    form.check(CREATE, "TaskChannels create")
    name, key = form.required("FriendlyName", 20001), form.required("UniqueName", 20001)
    if intake.channel_named(workspace, key) is not None:
        raise bad(f"There is a task channel {key} already")
    one = workspaces.add_channel(world, workspace, key, name)
    one.channel_optimized_routing = form.flag("ChannelOptimizedRouting", default=False)
    _tell(world, workspace, one, "task-channel.created")
    return reply(resource(request, workspace, one), 201)


def _found(request: web.Request) -> tuple[Workspace, TaskChannel]:
    """Return the channel in the path, by SID or unique name.

    Raises:
        RestError: 404.

    """
    workspace = workspace_of(request)
    one = intake.channel_named(workspace, request.match_info["sid"])
    if one is None:
        raise missing(request)
    return workspace, one


async def fetch(request: web.Request) -> web.Response:
    """``GET …/TaskChannels/{TC or unique name}``."""
    workspace, one = _found(request)
    return reply(resource(request, workspace, one))


async def update(request: web.Request) -> web.Response:
    """``POST …/TaskChannels/{TC or unique name}``."""
    world, form = request.app[WORLD], await read_form(request)
    workspace, one = _found(request)
    form.check(UPDATE, "TaskChannels update")
    one.friendly_name = form.text("FriendlyName") or one.friendly_name
    one.channel_optimized_routing = form.flag("ChannelOptimizedRouting", default=one.channel_optimized_routing)
    one.updated_at = world.clock.now()
    _tell(world, workspace, one, "task-channel.updated")
    return reply(resource(request, workspace, one))


async def delete(request: web.Request) -> web.Response:
    """``DELETE …/TaskChannels/{TC or unique name}``, unless a task has it, or it is ``default``."""
    workspace, one = _found(request)
    if one.unique_name == "default" or any(task.channel is one for task in workspace.tasks.values()):
        raise bad(f"The task channel {one.unique_name} is in use")
    workspaces.remove_channel(workspace, one)
    _tell(request.app[WORLD], workspace, one, "task-channel.deleted")
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET …/TaskChannels``."""
    workspace = workspace_of(request)
    filters(request)
    found = [*workspace.channels.values()]
    return page(request, "channels", found, lambda one: one.sid, lambda one: resource(request, workspace, one))
