"""Random work in the contact centre never breaks its rules: capacity, one holder a task, statuses that fit."""

import asyncio
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
    deed = dice.choice(["task", "task", "activity", "worker", "status", "status", "status", "delete", "breathe"])
    status = 200
    if deed == "task":
        await center.task({"Priority": str(dice.randrange(3))}, queue=dice.choice(QUEUES))
    elif deed == "activity":
        wish = {"activity": dice.choice(["Available", "Available", "Offline"])}
        status, _ = await center.control("PUT", f"/workers/{worker}", wish)
    elif deed == "worker":
        status, _ = await center.control("POST", f"/workers/{worker}/{dice.choice(['accept', 'reject', 'time-out'])}")
    elif tasks and deed in {"status", "delete"}:
        status = await _change(center, dice.choice(tasks), deed, dice)
    else:
        await asyncio.sleep(0)
    assert status < 500, deed


async def _change(center: Center, task: Task, deed: str, dice: random.Random) -> int:
    if deed == "delete":
        return (await center.rest("DELETE", f"/Tasks/{task.sid}"))[0]
    form = {"AssignmentStatus": dice.choice(["wrapping", "completed", "canceled"])}
    return (await center.rest("POST", f"/Tasks/{task.sid}", form))[0]


@pytest.mark.parametrize("seed", range(5))
async def test_random_work(center: Center, seed: int) -> None:
    """After every step the rules hold, whatever is done in whatever order; nothing crashes."""
    dice = random.Random(seed)  # noqa: S311 - repeatable chance
    for _ in range(ROUNDS):
        await act(center, dice)
        check(center)
    happened = {event.event_type for event in center.workspace.events}
    assert {"reservation.accepted", "reservation.rejected", "task.completed", "task.canceled"} <= happened
