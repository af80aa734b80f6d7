"""A reservation's life, and what it does to its task and worker (twilio-facts.md 5.1, 5.4)."""

import asyncio

from emulator.taskrouter import told, workers
from emulator.taskrouter.entities import Activity, Reservation, ReservationStatus, Task, TaskStatus, Worker
from emulator.world import World

MAX_REJECTIONS = 1_000
"""A task is canceled after so many (section 5.1)."""
TOLD = {
    ReservationStatus.ACCEPTED: "reservation.accepted",
    ReservationStatus.REJECTED: "reservation.rejected",
    ReservationStatus.TIMEOUT: "reservation.timeout",
    ReservationStatus.CANCELED: "reservation.canceled",
    ReservationStatus.RESCINDED: "reservation.rescinded",
    ReservationStatus.WRAPPING: "reservation.wrapup",
    ReservationStatus.COMPLETED: "reservation.completed",
}


def make(world: World, task: Task, worker: Worker) -> Reservation:
    """Reserve a task for a worker; the workflow's TaskReservationTimeout begins to run."""
    now = world.clock.now()
    if task.queue is None:
        message = f"{task.sid} is in no queue and cannot be reserved"
        raise RuntimeError(message)
    reservation = Reservation(
        sid=world.sids.new("WR"),
        task=task,
        worker=worker,
        queue=task.queue,
        created_at=now,
        updated_at=now,
        ended=asyncio.get_running_loop().create_future(),
    )
    task.workspace.reservations[reservation.sid] = reservation
    task.reservations.append(reservation)
    worker.bound[reservation.sid] = reservation
    worker.free_since = now
    set_status(world, task, TaskStatus.RESERVED)
    limit_s = task.workflow.task_reservation_timeout_s if task.workflow else 120
    reservation.timer = world.clock.call_later(limit_s, lambda: time_out(world, reservation))
    told.of_reservation(world, reservation, "reservation.created")
    return reservation


def set_status(world: World, task: Task, status: TaskStatus) -> None:
    """Enter a task's status; who calls tells it."""
    task.status = status
    task.version += 1
    task.updated_at = world.clock.now()


def _enter(world: World, reservation: Reservation, status: ReservationStatus) -> None:
    reservation.status = status
    reservation.version += 1
    reservation.updated_at = world.clock.now()
    if reservation.timer is not None:
        reservation.timer.cancel()
        reservation.timer = None
    if not reservation.live:
        reservation.worker.bound.pop(reservation.sid, None)
        reservation.worker.free_since = reservation.updated_at
        if not reservation.ended.done():
            reservation.ended.set_result(status)
    told.of_reservation(world, reservation, TOLD[status])
    reservation.task.workspace.changed.set()


def accept(world: World, reservation: Reservation) -> None:
    """Assign the task to the reservation's worker; the task's other reservations are rescinded."""
    if reservation.status is not ReservationStatus.PENDING:
        return
    task = reservation.task
    for name in ("workflow", "ttl"):
        if name in task.timers:
            task.timers.pop(name).cancel()
    set_status(world, task, TaskStatus.ASSIGNED)
    _enter(world, reservation, ReservationStatus.ACCEPTED)
    for other in task.reservations:
        if other.status is ReservationStatus.PENDING:
            _enter(world, other, ReservationStatus.RESCINDED)


def reject(world: World, reservation: Reservation, activity: Activity | None = None) -> None:
    """The worker does not take it: the task goes on, the worker to the given activity."""
    if reservation.status is not ReservationStatus.PENDING:
        return
    reservation.task.rejections += 1
    _give_back(world, reservation, ReservationStatus.REJECTED, activity)


def time_out(world: World, reservation: Reservation) -> None:
    """Nobody acted in time: the task goes on, the worker to the workspace's timeout activity."""
    if reservation.status is not ReservationStatus.PENDING:
        return
    workspace = reservation.task.workspace
    _give_back(world, reservation, ReservationStatus.TIMEOUT, workspace.timeout_activity)


def fail(world: World, reservation: Reservation, detail: str) -> None:
    """An instruction could not be carried out: told as failed, then given back as rejected, worker unavailable."""
    if reservation.status is not ReservationStatus.PENDING:
        return
    told.of_reservation(world, reservation, "reservation.failed")
    world.tell("instruction.failed", None, resource=reservation.sid, why=detail)
    reservation.task.rejections += 1
    _give_back(world, reservation, ReservationStatus.REJECTED, reservation.task.workspace.timeout_activity)


def _give_back(world: World, reservation: Reservation, status: ReservationStatus, activity: Activity | None) -> None:
    task = reservation.task
    if all(other is reservation or not other.live for other in task.reservations):
        set_status(world, task, TaskStatus.PENDING)
    if activity is not None:
        workers.set_activity(world, task.workspace, reservation.worker, activity)
    _enter(world, reservation, status)


def cancel(world: World, reservation: Reservation) -> None:
    """The task is gone; so is what was reserved of it."""
    if reservation.live:
        _enter(world, reservation, ReservationStatus.CANCELED)


def wrap(world: World, reservation: Reservation) -> None:
    """The talk is over, the worker writes it up."""
    if reservation.status is ReservationStatus.ACCEPTED:
        _enter(world, reservation, ReservationStatus.WRAPPING)


def complete(world: World, reservation: Reservation) -> None:
    """The worker is through with it."""
    if reservation.status in {ReservationStatus.ACCEPTED, ReservationStatus.WRAPPING}:
        _enter(world, reservation, ReservationStatus.COMPLETED)
