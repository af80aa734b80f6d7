"""Workers: what they are doing, how much they can take, whom a queue would choose."""

from emulator.taskrouter import expressions, told
from emulator.taskrouter.entities import (
    Activity,
    Attributes,
    Reservation,
    ReservationStatus,
    Target,
    Task,
    TaskChannel,
    Worker,
    WorkerChannel,
    Workspace,
)
from emulator.world import World


def add(
    world: World,
    workspace: Workspace,
    name: str,
    attributes: Attributes,
    activity: Activity,
    capacities: dict[str, int] | None = None,
) -> Worker:
    """Take in a worker, with a capacity of one for each task channel unless said otherwise."""
    now = world.clock.now()
    given = capacities or {}
    worker = Worker(
        sid=world.sids.new("WK"),
        friendly_name=name,
        attributes=attributes,
        activity=activity,
        channels={
            channel.sid: WorkerChannel(
                sid=world.sids.new("WC"),
                channel=channel,
                created_at=now,
                updated_at=now,
                capacity=given.get(channel.unique_name, 1),
            )
            for channel in workspace.channels.values()
        },
        created_at=now,
        updated_at=now,
        status_changed_at=now,
        free_since=now,
    )
    workspace.workers[worker.sid] = worker
    told.of_worker(world, workspace, worker, "worker.created")
    workspace.changed.set()
    return worker


def named(workspace: Workspace, name: str) -> Worker | None:
    """Return the worker with this name or SID."""
    found = workspace.workers.get(name)
    return found or next((worker for worker in workspace.workers.values() if worker.friendly_name == name), None)


def set_activity(world: World, workspace: Workspace, worker: Worker, activity: Activity) -> None:
    """Let a worker do something else; nothing is told when it is what it does already."""
    if worker.activity is activity:
        return
    before, now = worker.activity, world.clock.now()
    extra = {
        "WorkerPreviousActivitySid": before.sid,
        "WorkerPreviousActivityName": before.friendly_name,
        "WorkerTimeInPreviousActivity": str(int(now - worker.status_changed_at)),
    }
    worker.activity = activity
    worker.status_changed_at = worker.updated_at = now
    worker.version += 1
    told.of_worker(world, workspace, worker, "worker.activity.update", extra)
    workspace.changed.set()


def set_attributes(world: World, workspace: Workspace, worker: Worker, attributes: Attributes) -> None:
    """Replace a worker's attributes."""
    worker.attributes = attributes
    worker.updated_at = world.clock.now()
    worker.version += 1
    told.of_worker(world, workspace, worker, "worker.attributes.update")
    workspace.changed.set()


def scope(worker: Worker) -> Attributes:
    """Return what expressions see of a worker: its attributes, and what TaskRouter knows."""
    return {
        **worker.attributes,
        "sid": worker.sid,
        "friendly_name": worker.friendly_name,
        "activity_name": worker.activity.friendly_name,
        "activity_sid": worker.activity.sid,
    }


def load(worker: Worker, channel: TaskChannel) -> int:
    """Return how many live reservations a worker has on a channel."""
    return sum(reservation.task.channel is channel for reservation in worker.bound.values())


def pending(worker: Worker) -> list[Reservation]:
    """Return the reservations that wait for the worker's word, oldest first."""
    return [one for one in worker.bound.values() if one.status is ReservationStatus.PENDING]


def selects(target_workers: str, worker: Worker) -> bool:
    """Tell whether a TargetWorkers expression selects a worker."""
    return expressions.holds(target_workers, "worker", {"worker": scope(worker)})


def eligible(workspace: Workspace, task: Task, target: Target) -> list[Worker]:
    """Return who could take the task now, longest idle first."""
    queue = workspace.queues.get(target.queue_sid)
    if queue is None:
        return []
    chosen = [
        worker
        for worker in workspace.workers.values()
        if _free(task, worker)
        and target.worker_sid in {"", worker.sid}
        and selects(queue.target_workers, worker)
        and expressions.holds(target.expression, "task", {"task": task.attributes, "worker": scope(worker)})
    ]
    return sorted(chosen, key=lambda worker: worker.free_since)


def _free(task: Task, worker: Worker) -> bool:
    if not worker.activity.available:
        return False
    if any(reservation.live and reservation.worker is worker for reservation in task.reservations):
        return False
    channel = worker.channels.get(task.channel.sid)
    if channel is None or not channel.available:
        return False
    return task.ignore_capacity or load(worker, task.channel) < channel.capacity
