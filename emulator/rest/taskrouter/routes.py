"""Every emulated route of TaskRouter, and 501 for its statistics."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from emulator.errors import not_emulated
from emulator.rest.taskrouter import channels, events, reservations, tasks, workers, workflows, workspaces
from emulator.rest.taskrouter.answer import PREFIX, missing, workspace_of

ONE = PREFIX + "/{workspace}"
STATISTICS = frozenset({"Statistics", "RealTimeStatistics", "CumulativeStatistics"})
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Resource:
    """The five operations of a resource, and the prefix of its SIDs."""

    prefix: str
    create: Handler
    listing: Handler
    fetch: Handler
    update: Handler
    delete: Handler


COLLECTIONS = {
    "Activities": Resource(
        "WA",
        workspaces.create_activity,
        workspaces.list_activities,
        workspaces.fetch_activity,
        workspaces.update_activity,
        workspaces.delete_activity,
    ),
    "TaskQueues": Resource(
        "WQ",
        workflows.create_queue,
        workflows.list_queues,
        workflows.fetch_queue,
        workflows.update_queue,
        workflows.delete_queue,
    ),
    "Workflows": Resource(
        "WW",
        workflows.create_workflow,
        workflows.list_workflows,
        workflows.fetch_workflow,
        workflows.update_workflow,
        workflows.delete_workflow,
    ),
    "Workers": Resource("WK", workers.create, workers.listing, workers.fetch, workers.update, workers.delete),
    "Tasks": Resource("WT", tasks.create, tasks.listing, tasks.fetch, tasks.update, tasks.delete),
}


async def elsewhere(request: web.Request) -> web.Response:
    """Answer for what is not emulated: 501 for statistics, else 404."""
    workspace_of(request)
    last = request.match_info["rest"].rpartition("/")[2]
    if last in STATISTICS:
        raise not_emulated(f"TaskRouter's {request.match_info['rest']}")
    raise missing(request)


def add(app: web.Application) -> None:
    """Put TaskRouter's routes into the application."""
    router = app.router
    router.add_post(PREFIX, workspaces.create)
    router.add_get(PREFIX, workspaces.listing)
    router.add_get(ONE, workspaces.fetch)
    router.add_post(ONE, workspaces.update)
    router.add_delete(ONE, workspaces.delete)
    router.add_get(ONE + "/TaskChannels", channels.listing)
    router.add_post(ONE + "/TaskChannels", channels.create)
    router.add_get(ONE + "/TaskChannels/{sid}", channels.fetch)
    router.add_post(ONE + "/TaskChannels/{sid}", channels.update)
    router.add_delete(ONE + "/TaskChannels/{sid}", channels.delete)
    router.add_get(ONE + "/Events", events.listing)
    router.add_get(ONE + "/Events/{sid:EV.+}", events.fetch)
    for path, resource in COLLECTIONS.items():
        router.add_post(f"{ONE}/{path}", resource.create)
        router.add_get(f"{ONE}/{path}", resource.listing)
        router.add_get(f"{ONE}/{path}/{{sid:{resource.prefix}[0-9a-fA-F]+}}", resource.fetch)
        router.add_post(f"{ONE}/{path}/{{sid:{resource.prefix}[0-9a-fA-F]+}}", resource.update)
        router.add_delete(f"{ONE}/{path}/{{sid:{resource.prefix}[0-9a-fA-F]+}}", resource.delete)
    for owner in ("/Tasks/{task}", "/Workers/{worker}"):
        router.add_get(ONE + owner + "/Reservations", reservations.listing)
        router.add_get(ONE + owner + "/Reservations/{sid}", reservations.fetch)
        router.add_post(ONE + owner + "/Reservations/{sid}", reservations.update)
    router.add_get(ONE + "/Workers/{worker}/Channels", workers.list_channels)
    router.add_get(ONE + "/Workers/{worker}/Channels/{sid}", workers.fetch_channel)
    router.add_post(ONE + "/Workers/{worker}/Channels/{sid}", workers.update_channel)
    router.add_route("*", ONE + "/{rest:.+}", elsewhere)
