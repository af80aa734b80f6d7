"""Random work in the contact centre never breaks its rules: capacity, one holder a task, statuses that fit."""

import random

import pytest

from emulator.taskrouter.entities import ReservationStatus, Task, TaskStatus
from emulator_center import Center

ROUNDS = 150
QUEUES = ("sales", "billing", "nowhere")
FITS = {
    TaskStatus.PENDING: set(),
    TaskStatus.RESERVED: {ReservationStatus.PENDING},
    TaskStatus.ASSIGNED: {ReservationStatus.ACCEPTED},
    TaskStatus.WRAPPING: {ReservationStatus.WRAPPING},
    TaskStatus.COMPLETED: set(),
    TaskStatus.CANCELED: set(),
}
"""The live reservations that a task of each status has."""


def check(center: Center) -> None:
    """Assert the rules."""
    space = center.workspace
    for task in space.tasks.values():
        live = [one for one in task.reservations if one.live]
        assert {one.status for one in live} == FITS[task.status], (task.status, [one.status for one in live])
        assert len(live) <= 1
    for worker in space.workers.values():
        held = [one for one in space.reservations.values() if one.live and one.worker is worker]
        assert len(held) <= 1, worker.friendly_name


async def act(center: Center, dice: random.Random) -> None:
    """Do something at random; refusals are allowed, server errors are not."""
    space = center.workspace
    worker, tasks = dice.choice(["alice", "bob"]), [*space.tasks.values()]
    deed = dice.choice(["task", "task", "activity", "worker", "status", "status", "delete"])
    status = 200
    if deed == "task":
        await center.task({"Priority": str(dice.randrange(3))}, queue=dice.choice(QUEUES))
    elif deed == "activity":
        wish = {"activity": dice.choice(["Available", "Available", "Offline"])}
        status, _ = await center.control("PUT", f"/workers/{worker}", wish)
    elif deed == "worker":
        status, _ = await center.control("POST", f"/workers/{worker}/{dice.choice(['accept', 'reject', 'time-out'])}")
    elif tasks and deed in {"status", "delete"}:
        held = [task for task in tasks if task.status in {TaskStatus.ASSIGNED, TaskStatus.WRAPPING}]
        status = await _change(center, dice.choice(tasks + held * 10), deed, dice)
    assert status < 500, deed
    if dice.random() < 0.3:  # now and then the router gets its turn before anything else happens
        await center.until(lambda: not space.changed.is_set(), "the router")


async def _change(center: Center, task: Task, deed: str, dice: random.Random) -> int:
    if deed == "delete":
        return (await center.rest("DELETE", f"/Tasks/{task.sid}"))[0]
    form = {"AssignmentStatus": dice.choice(["wrapping", "completed", "canceled"])}
    return (await center.rest("POST", f"/Tasks/{task.sid}", form))[0]


@pytest.mark.parametrize("seed", range(5))
async def test_random_work(center: Center, seed: int) -> None:
    """After every step the rules hold; afterwards all tasks can be ended and the workers get new ones."""
    dice = random.Random(seed)  # noqa: S311 - repeatable chance
    for _ in range(ROUNDS):
        await act(center, dice)
        check(center)
    await _clear_away(center)
    for worker in ("alice", "bob"):
        await center.control("PUT", f"/workers/{worker}", {"activity": "Available"})
    fresh = [await center.task(queue=queue) for queue in ("sales", "billing")]
    for task in fresh:
        await center.until_status(task, "reserved")


async def _clear_away(center: Center) -> None:
    """End every task, as its status allows; nobody holds anything afterwards."""
    for task in [*center.workspace.tasks.values()]:
        if task.open:
            end = "canceled" if task.status in {TaskStatus.PENDING, TaskStatus.RESERVED} else "completed"
            status, body = await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": end})
            assert status == 200, body
        assert task.status in {TaskStatus.COMPLETED, TaskStatus.CANCELED}
    assert not [one for one in center.workspace.reservations.values() if one.live]
