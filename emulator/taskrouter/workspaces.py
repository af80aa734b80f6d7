"""Workspaces: made with Twilio's default activities and channels, or seeded from the configuration."""

import msgspec

from emulator.taskrouter import routing, told, workers
from emulator.taskrouter.config import ACTIVITIES, EVERYBODY, OFFLINE, TaskRouterConfig
from emulator.taskrouter.configuration import parse
from emulator.taskrouter.entities import Activity, TaskChannel, TaskQueue, WorkerChannel, Workflow, Workspace
from emulator.world import World

CHANNELS = {"default": "Default", "voice": "Voice", "chat": "Programmable Chat", "sms": "SMS", "video": "Video"}


def make(
    world: World, account_sid: str, name: str, activities: dict[str, bool] | None = None, sid: str = ""
) -> Workspace:
    """Make a workspace with its activities and task channels and start its router."""
    now = world.clock.now()
    made = [
        Activity(sid=world.sids.new("WA"), friendly_name=title, available=available, created_at=now, updated_at=now)
        for title, available in (activities or ACTIVITIES).items()
    ]
    channels = [
        TaskChannel(sid=world.sids.new("TC"), unique_name=key, friendly_name=title, created_at=now, updated_at=now)
        for key, title in CHANNELS.items()
    ]
    default = next((activity for activity in made if activity.friendly_name == OFFLINE), made[0])
    workspace = Workspace(
        sid=sid or world.sids.new("WS"),
        account_sid=account_sid,
        friendly_name=name,
        created_at=now,
        updated_at=now,
        default_activity=default,
        timeout_activity=default,
        activities={activity.sid: activity for activity in made},
        channels={channel.sid: channel for channel in channels},
    )
    world.workspaces[workspace.sid] = workspace
    routing.start(world, workspace)
    return workspace


def add_channel(world: World, workspace: Workspace, key: str, name: str) -> TaskChannel:
    """Add a task channel; every worker can take one task of it."""
    now = world.clock.now()
    one = TaskChannel(sid=world.sids.new("TC"), unique_name=key, friendly_name=name, created_at=now, updated_at=now)
    workspace.channels[one.sid] = one
    for worker in workspace.workers.values():
        worker.channels[one.sid] = WorkerChannel(sid=world.sids.new("WC"), channel=one, created_at=now, updated_at=now)
    return one


def remove_channel(workspace: Workspace, one: TaskChannel) -> None:
    """Take a task channel from the workspace and its workers."""
    del workspace.channels[one.sid]
    for worker in workspace.workers.values():
        worker.channels.pop(one.sid, None)


def add_queue(world: World, workspace: Workspace, name: str, target_workers: str = EVERYBODY) -> TaskQueue:
    """Add a task queue."""
    now = world.clock.now()
    queue = TaskQueue(
        sid=world.sids.new("WQ"), friendly_name=name, target_workers=target_workers, created_at=now, updated_at=now
    )
    workspace.queues[queue.sid] = queue
    told.event(world, workspace, "task-queue.created", queue.sid, told.queue_fields(queue))
    return queue


def add_workflow(world: World, workspace: Workspace, name: str, configuration: str, sid: str = "") -> Workflow:
    """Add a workflow."""
    now = world.clock.now()
    workflow = Workflow(
        sid=sid or world.sids.new("WW"), friendly_name=name, configuration=configuration, created_at=now, updated_at=now
    )
    workspace.workflows[workflow.sid] = workflow
    told.event(world, workspace, "workflow.created", workflow.sid, told.workflow_fields(workflow))
    return workflow


def activity_named(workspace: Workspace, key: str) -> Activity | None:
    """Return the activity with this SID or name."""
    found = workspace.activities.get(key)
    return found or next((one for one in workspace.activities.values() if one.friendly_name == key), None)


def delete(world: World, workspace: Workspace) -> None:
    """Remove a workspace with everything in it."""
    workspace.stop_timers()
    if workspace.router is not None:
        workspace.router.cancel()
    del world.workspaces[workspace.sid]


# -- the configured one -----------------------------------------------------------------------------------------------


def seed(world: World, config: TaskRouterConfig) -> Workspace:
    """Set up the contact centre of the configuration.

    Raises:
        ValueError: an activity that is named is not among ``activities``.

    """
    account_sid = config.account_sid or world.config.account_sid
    workspace = make(world, account_sid, config.friendly_name, config.activities, config.workspace_sid)
    workspace.default_activity = _activity(workspace, config.default_activity)
    workspace.timeout_activity = _activity(workspace, config.timeout_activity)
    for name, target_workers in config.queues.items():
        add_queue(world, workspace, name, target_workers)
    text = msgspec.json.encode(config.configuration or _by_attribute(workspace)).decode()
    parse(text)
    workflow = add_workflow(world, workspace, "Local workflow", text, config.workflow_sid)
    workflow.assignment_callback_url = config.assignment_callback_url
    workflow.fallback_assignment_callback_url = config.fallback_assignment_callback_url
    workflow.task_reservation_timeout_s = config.task_reservation_timeout_s
    for name, worker in config.workers.items():
        attributes = {**({"contact_uri": worker.contact_uri} if worker.contact_uri else {}), **worker.attributes}
        workers.add(world, workspace, name, attributes, _activity(workspace, worker.activity), worker.channels)
    workspace.event_callback_url = config.event_callback_url
    workspace.events_filter = config.events_filter
    return workspace


def _activity(workspace: Workspace, name: str) -> Activity:
    found = activity_named(workspace, name)
    if found is None:
        known = sorted(activity.friendly_name for activity in workspace.activities.values())
        raise ValueError(f"taskrouter: the activity {name!r} is not configured; expected one of {known}")
    return found


def _by_attribute(workspace: Workspace) -> dict[str, object]:
    """Return a configuration in which a task goes to the queue that its attribute ``queue`` names, or to the first."""
    queues = [*workspace.queues.values()]
    filters = [
        {
            "filter_friendly_name": queue.friendly_name,
            "expression": f"queue == {msgspec.json.encode(queue.friendly_name).decode()}",
            "targets": [{"queue": queue.sid}],
        }
        for queue in queues
    ]
    return {"task_routing": {"filters": filters, "default_filter": {"queue": queues[0].sid}}}
