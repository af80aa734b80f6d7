"""The Event resource: what has happened in a workspace, for those who missed a callback."""

from math import inf

from aiohttp import web

from emulator.rest.answer import WORLD, filters, reply
from emulator.rest.calls import moment
from emulator.rest.taskrouter.answer import V1, bad, base, iso, missing, page, workspace_of
from emulator.taskrouter.entities import Workspace, WorkspaceEvent

EXACT = frozenset({"EventType", "TaskSid", "WorkerSid", "WorkflowSid", "TaskQueueSid", "ReservationSid", "Sid"})
LIST = EXACT | {"StartDate", "EndDate", "Minutes", "TaskChannel"}
COLLECTIONS = {
    "task": "Tasks",
    "worker": "Workers",
    "workflow": "Workflows",
    "task-queue": "TaskQueues",
    "task-channel": "TaskChannels",
    "activity": "Activities",
}


def resource(request: web.Request, workspace: Workspace, event: WorkspaceEvent) -> V1:
    """Return an event as JSON."""
    return {
        "account_sid": workspace.account_sid,
        "actor_sid": workspace.sid,
        "actor_type": "workspace",
        "actor_url": base(request, workspace.sid),
        "description": event.description,
        "event_date": iso(event.at),
        "event_date_ms": int(event.at * 1000),
        "event_type": event.event_type,
        "resource_sid": event.resource_sid,
        "resource_type": event.resource_type,
        "resource_url": _url(request, workspace, event),
        "sid": event.sid,
        "source": "twilio",
        "source_ip_address": None,
        "url": base(request, workspace.sid, "Events", event.sid),
        "workspace_sid": workspace.sid,
        "event_data": event.data,
    }


def _url(request: web.Request, workspace: Workspace, event: WorkspaceEvent) -> str:
    if event.resource_type == "reservation":
        return base(request, workspace.sid, "Tasks", event.data["TaskSid"], "Reservations", event.resource_sid)
    return base(request, workspace.sid, COLLECTIONS[event.resource_type], event.resource_sid)


async def fetch(request: web.Request) -> web.Response:
    """``GET …/Events/{EV}``."""
    workspace = workspace_of(request)
    for event in workspace.events:
        if event.sid == request.match_info["sid"]:
            return reply(resource(request, workspace, event))
    raise missing(request)


async def listing(request: web.Request) -> web.Response:
    """``GET …/Events``, newest first."""
    workspace, wanted = workspace_of(request), filters(request, LIST)
    begin, end = _span(request.app[WORLD].clock.now(), wanted)
    found = [event for event in reversed(workspace.events) if begin <= event.at < end and _matches(event, wanted)]
    return page(request, "events", found, lambda one: one.sid, lambda one: resource(request, workspace, one))


def _matches(event: WorkspaceEvent, wanted: dict[str, str]) -> bool:
    known = {"EventType": event.event_type, "Sid": event.sid, **event.data}
    channel = wanted.get("TaskChannel")
    if channel not in {None, event.data.get("TaskChannelSid"), event.data.get("TaskChannelUniqueName")}:
        return False
    return all(known.get(name) == value for name, value in wanted.items() if name in EXACT)


def _span(now: float, wanted: dict[str, str]) -> tuple[float, float]:
    """Return the time that is asked for: the last ``Minutes``, or from ``StartDate`` to ``EndDate``."""
    minutes = wanted.get("Minutes", "")
    if minutes and not minutes.isdigit():
        raise bad(f"Invalid Minutes '{minutes}': expected a number")
    if minutes:
        return now - 60 * int(minutes), inf
    begin = moment(wanted["StartDate"], "StartDate").timestamp() if "StartDate" in wanted else 0.0
    end = moment(wanted["EndDate"], "EndDate").timestamp() if "EndDate" in wanted else inf
    return begin, end
