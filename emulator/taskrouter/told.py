"""What TaskRouter tells: the workspace's event callbacks with their fields (twilio-facts.md 5.5)."""

from datetime import UTC, datetime

import msgspec

from emulator.taskrouter.entities import (
    Attributes,
    Reservation,
    Task,
    TaskQueue,
    TaskStatus,
    Worker,
    Workflow,
    Workspace,
    WorkspaceEvent,
)
from emulator.world import World

EVENT_KIND = "taskrouter"
EVENTS = {
    "activity": "created updated deleted",
    "reservation": "created accepted rejected timeout canceled rescinded completed failed wrapup",
    "task": "created updated canceled wrapup completed deleted system-deleted",
    "task-channel": "created updated deleted",
    "task-queue": "created deleted entered timeout moved expression.updated",
    "workflow": "created updated deleted target-matched entered timeout skipped",
    "worker": "created activity.update attributes.update capacity.update channel.availability.update deleted",
}
TYPES = frozenset(f"{resource}.{what}" for resource, words in EVENTS.items() for what in words.split())
"""The event types of section 5.5 that occur here; native transfers do not."""


def json_text(attributes: Attributes) -> str:
    """Return attributes as JSON text."""
    return msgspec.json.encode(attributes).decode()


def timestamp(world: World, at: float) -> str:
    """Return a Timestamp field: epoch seconds, or ISO by switch (section 5.5, unconfirmed)."""
    if world.switches.taskrouter_iso_timestamps:
        return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
    return str(int(at))


def task_fields(world: World, task: Task) -> dict[str, str]:
    """Return the fields of a task, its channel, queue and workflow."""
    fields = {
        "TaskSid": task.sid,
        "TaskAttributes": json_text(task.attributes),
        "TaskAge": str(int(world.clock.now() - task.created_at)),
        "TaskPriority": str(task.priority),
        "TaskAssignmentStatus": task.status.value,
        "TaskVersion": str(task.version),
        "TaskDateCreated": timestamp(world, task.created_at),
        "TaskChannelSid": task.channel.sid,
        "TaskChannelUniqueName": task.channel.unique_name,
    }
    if task.reason and task.status is TaskStatus.CANCELED:
        fields["TaskCanceledReason"] = task.reason
    if task.reason and task.status is TaskStatus.COMPLETED:
        fields["TaskCompletedReason"] = task.reason
    fields.update(queue_fields(task.queue))
    if task.entered_queue_at is not None:
        fields["TaskQueueEnteredDate"] = timestamp(world, task.entered_queue_at)
    fields.update(workflow_fields(task.workflow))
    return fields


def queue_fields(queue: TaskQueue | None) -> dict[str, str]:
    """Return the fields of a task queue; of none, none."""
    if queue is None:
        return {}
    return {
        "TaskQueueSid": queue.sid,
        "TaskQueueName": queue.friendly_name,
        "TaskQueueTargetExpression": queue.target_workers,
    }


def workflow_fields(workflow: Workflow | None) -> dict[str, str]:
    """Return the fields of a workflow; of none, none."""
    return {} if workflow is None else {"WorkflowSid": workflow.sid, "WorkflowName": workflow.friendly_name}


def worker_fields(worker: Worker) -> dict[str, str]:
    """Return the fields of a worker."""
    return {
        "WorkerSid": worker.sid,
        "WorkerName": worker.friendly_name,
        "WorkerAttributes": json_text(worker.attributes),
        "WorkerActivitySid": worker.activity.sid,
        "WorkerActivityName": worker.activity.friendly_name,
        "WorkerVersion": str(worker.version),
    }


def event(
    world: World, workspace: Workspace, event_type: str, resource_sid: str, fields: dict[str, str], call_sid: str = ""
) -> None:
    """Keep an event, show it to the event stream, and send it if the workspace wants its type."""
    now = world.clock.now()
    resource_type, _, what = event_type.partition(".")
    happened = WorkspaceEvent(
        sid=world.sids.new("EV"),
        event_type=event_type,
        description=f"{resource_type.capitalize()} {resource_sid} {what.replace('.', ' ')}",
        resource_type=resource_type,
        resource_sid=resource_sid,
        at=now,
        data=fields,
    )
    workspace.events.append(happened)
    shown = {"task": fields.get("TaskSid"), "worker": fields.get("WorkerName"), "queue": fields.get("TaskQueueName")}
    world.tell(event_type, world.calls.get(call_sid), None, resource=resource_sid, **shown)
    if not workspace.event_callback_url or (workspace.events_filter and event_type not in workspace.events_filter):
        return
    params = {
        "EventType": event_type,
        "Sid": happened.sid,
        "AccountSid": workspace.account_sid,
        "WorkspaceSid": workspace.sid,
        "WorkspaceName": workspace.friendly_name,
        "EventDescription": happened.description,
        "ResourceType": resource_type,
        "ResourceSid": resource_sid,
        "Timestamp": timestamp(world, now),
        "TimestampMs": str(int(now * 1000)),
        **fields,
    }
    url = workspace.event_callback_url
    world.callbacks.send(EVENT_KIND, workspace.sid, url, "POST", params, workspace.account_sid, event_type)


def of_task(world: World, task: Task, event_type: str, extra: dict[str, str] | None = None) -> None:
    """Tell an event of a task, or of its way through workflow and queue."""
    resource = task.sid
    if event_type.startswith("workflow.") and task.workflow is not None:
        resource = task.workflow.sid
    elif event_type.startswith("task-queue.") and task.queue is not None:
        resource = task.queue.sid
    fields = {**task_fields(world, task), **(extra or {})}
    event(world, task.workspace, event_type, resource, fields, call_of(task))


def of_reservation(world: World, reservation: Reservation, event_type: str) -> None:
    """Tell an event of a reservation."""
    task = reservation.task
    fields = {
        **task_fields(world, task),
        **worker_fields(reservation.worker),
        "ReservationSid": reservation.sid,
        "ReservationVersion": str(reservation.version),
    }
    event(world, task.workspace, event_type, reservation.sid, fields, call_of(task))


def of_worker(
    world: World, workspace: Workspace, worker: Worker, event_type: str, extra: dict[str, str] | None = None
) -> None:
    """Tell an event of a worker."""
    event(world, workspace, event_type, worker.sid, {**worker_fields(worker), **(extra or {})})


def call_of(task: Task) -> str:
    """Return the CallSid in a task's attributes, or nothing."""
    sid = task.attributes.get("call_sid")
    return sid if isinstance(sid, str) else ""
