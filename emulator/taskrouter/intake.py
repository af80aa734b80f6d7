"""Making tasks, for REST and for ``<Enqueue>``."""

from dataclasses import dataclass

from emulator.taskrouter import routing, tasks, told
from emulator.taskrouter.entities import Attributes, Target, Task, TaskChannel, Workflow, Workspace
from emulator.world import World

DEFAULT_TIMEOUT_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a new task is to be. ``target`` leads it past the workflow's filters."""

    attributes: Attributes
    channel: TaskChannel
    workflow: Workflow | None
    timeout_s: float = DEFAULT_TIMEOUT_S
    priority: int = 0
    virtual_start_at: float | None = None
    ignore_capacity: bool = False
    routing_target: str = ""
    target: Target | None = None


def create(world: World, workspace: Workspace, wish: Wish) -> Task:
    """Make a task, lead it to its queue, and let its time to live run."""
    now = world.clock.now()
    task = Task(
        sid=world.sids.new("WT"),
        workspace=workspace,
        attributes=wish.attributes,
        channel=wish.channel,
        workflow=wish.workflow,
        created_at=now,
        updated_at=now,
        timeout_s=wish.timeout_s,
        priority=wish.priority,
        virtual_start_at=wish.virtual_start_at,
        ignore_capacity=wish.ignore_capacity,
        routing_target=wish.routing_target,
        targets=[wish.target] if wish.target else [],
    )
    workspace.tasks[task.sid] = task
    told.of_task(world, task, "task.created")
    task.timers["ttl"] = world.clock.call_later(wish.timeout_s, lambda: tasks.cancel(world, task, tasks.TTL_EXCEEDED))
    routing.enter(world, task)
    return task


def channel_named(workspace: Workspace, key: str) -> TaskChannel | None:
    """Return the task channel with this SID or unique name."""
    found = workspace.channels.get(key)
    return found or next((channel for channel in workspace.channels.values() if channel.unique_name == key), None)
