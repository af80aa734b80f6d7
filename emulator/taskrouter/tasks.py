"""A task's life after it was made: wrapped up, completed, canceled, deleted. Who gets it is ``routing.py``."""

from emulator.taskrouter import reservations, told
from emulator.taskrouter.entities import WAITING_TASK, Attributes, Task, TaskStatus
from emulator.world import World

KEPT_S = 300.0
"""A task that is over is deleted five minutes later (https://www.twilio.com/docs/taskrouter/lifecycle-task-state)."""
TTL_EXCEEDED = "Task TTL Exceeded"


def set_attributes(world: World, task: Task, attributes: Attributes) -> None:
    """Replace a task's attributes as a whole."""
    task.attributes = attributes
    touch(world, task)


def touch(world: World, task: Task) -> None:
    """Finish an update of a task that leaves its status as it is."""
    task.version += 1
    task.updated_at = world.clock.now()
    told.of_task(world, task, "task.updated")
    task.workspace.changed.set()


def wrap(world: World, task: Task, reason: str = "") -> None:
    """Begin to wrap up an assigned task."""
    if task.status is not TaskStatus.ASSIGNED:
        return
    task.reason = reason or task.reason
    reservations.set_status(world, task, TaskStatus.WRAPPING)
    for reservation in task.reservations:
        reservations.wrap(world, reservation)
    told.of_task(world, task, "task.wrapup")


def complete(world: World, task: Task, reason: str = "") -> None:
    """Complete a task that was assigned."""
    if task.status not in {TaskStatus.ASSIGNED, TaskStatus.WRAPPING}:
        return
    task.reason = reason or task.reason
    reservations.set_status(world, task, TaskStatus.COMPLETED)
    for reservation in task.reservations:
        reservations.complete(world, reservation)
    told.of_task(world, task, "task.completed")
    _over(world, task)


def cancel(world: World, task: Task, reason: str = "") -> None:
    """Cancel a task that nobody has accepted."""
    if task.status not in WAITING_TASK or task.deleted:
        return
    task.reason = reason or task.reason
    reservations.set_status(world, task, TaskStatus.CANCELED)
    for reservation in task.reservations:
        reservations.cancel(world, reservation)
    told.of_task(world, task, "task.canceled")
    _over(world, task)


def delete(world: World, task: Task, event_type: str = "task.deleted") -> None:
    """Remove a task, whatever its state."""
    if task.deleted:
        return
    task.deleted = True
    for reservation in task.reservations:
        reservations.cancel(world, reservation)
    _stop(task)
    workspace = task.workspace
    workspace.tasks.pop(task.sid, None)
    for reservation in task.reservations:
        workspace.reservations.pop(reservation.sid, None)
    told.of_task(world, task, event_type)
    workspace.changed.set()


def _over(world: World, task: Task) -> None:
    _stop(task)
    task.timers["delete"] = world.clock.call_later(KEPT_S, lambda: delete(world, task, "task.system-deleted"))
    task.workspace.changed.set()


def _stop(task: Task) -> None:
    for timer in task.timers.values():
        timer.cancel()
    task.timers.clear()
