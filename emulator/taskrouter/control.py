"""Control routes of the contact centre: what workers do, and which tasks there are."""

import msgspec
from aiohttp import web

from emulator.rest.answer import WORLD
from emulator.taskrouter import reservations, workers, workspaces
from emulator.taskrouter.entities import Reservation, ReservationStatus, Task, Worker, Workspace
from emulator.views import as_json


class WorkerWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker is to do; the activity is a name."""

    activity: str


def _problem(status: int, detail: str) -> web.HTTPException:
    kinds = {404: web.HTTPNotFound, 409: web.HTTPConflict, 422: web.HTTPUnprocessableEntity}
    text = msgspec.json.encode({"status": status, "detail": detail}).decode()
    return kinds[status](text=text, content_type="application/json")


def _find(request: web.Request) -> tuple[Workspace, Worker]:
    name = request.match_info["name"]
    for workspace in request.app[WORLD].workspaces.values():
        worker = workers.named(workspace, name)
        if worker is not None:
            return workspace, worker
    raise _problem(404, f"no worker {name}; configured: {sorted(_names(request))}")


def _names(request: web.Request) -> list[str]:
    spaces = request.app[WORLD].workspaces.values()
    return [worker.friendly_name for workspace in spaces for worker in workspace.workers.values()]


def _worker(worker: Worker) -> dict[str, object]:
    return {
        "worker_sid": worker.sid,
        "name": worker.friendly_name,
        "activity": worker.activity.friendly_name,
        "available": worker.activity.available,
        "attributes": worker.attributes,
        "reservations": [_reservation(one) for one in worker.bound.values()],
    }


def _reservation(reservation: Reservation) -> dict[str, object]:
    return {
        "reservation_sid": reservation.sid,
        "task_sid": reservation.task.sid,
        "worker": reservation.worker.friendly_name,
        "status": reservation.status.value,
        "worker_call_sid": reservation.worker_call_sid or None,
    }


def _task(task: Task) -> dict[str, object]:
    return {
        "task_sid": task.sid,
        "workspace_sid": task.workspace.sid,
        "status": task.status.value,
        "reason": task.reason or None,
        "queue": task.queue.friendly_name if task.queue else None,
        "priority": task.priority,
        "attributes": task.attributes,
        "created_at": task.created_at,
        "reservations": [_reservation(reservation) for reservation in task.reservations],
    }


async def list_workers(request: web.Request) -> web.Response:
    """``GET /workers``."""
    spaces = request.app[WORLD].workspaces.values()
    found = [_worker(worker) for workspace in spaces for worker in workspace.workers.values()]
    return as_json({"workers": found})


async def show_worker(request: web.Request) -> web.Response:
    """``GET /workers/{name}``."""
    return as_json(_worker(_find(request)[1]))


async def put_worker(request: web.Request) -> web.Response:
    """``PUT /workers/{name}`` ``{"activity": "Available"}``."""
    workspace, worker = _find(request)
    try:
        wish = msgspec.json.decode(await request.read(), type=WorkerWish)
    except msgspec.DecodeError as error:
        raise _problem(422, str(error)) from error
    activity = workspaces.activity_named(workspace, wish.activity)
    if activity is None:
        known = sorted(one.friendly_name for one in workspace.activities.values())
        raise _problem(422, f"activity {wish.activity!r}: expected one of {known}")
    workers.set_activity(request.app[WORLD], workspace, worker, activity)
    return as_json(_worker(worker))


DEEDS = {"accept": reservations.accept, "reject": reservations.reject, "time-out": reservations.time_out}


async def act(request: web.Request) -> web.Response:
    """``POST /workers/{name}/accept``, ``/reject``, ``/time-out``: the oldest reservation that waits for the worker."""
    _, worker = _find(request)
    deed = request.match_info["deed"]
    if deed not in DEEDS:
        raise _problem(404, f"a worker cannot {deed}; expected one of {sorted(DEEDS)}")
    waiting = workers.pending(worker)
    if not waiting:
        raise _problem(409, f"no reservation waits for {worker.friendly_name}")
    DEEDS[deed](request.app[WORLD], waiting[0])
    return as_json(_reservation(waiting[0]))


async def list_tasks(request: web.Request) -> web.Response:
    """``GET /tasks``: all tasks, those that are over too until they are deleted."""
    spaces = request.app[WORLD].workspaces.values()
    found = [_task(task) for workspace in spaces for task in workspace.tasks.values()]
    return as_json({"tasks": found, "pending": sum(task["status"] == ReservationStatus.PENDING for task in found)})


def add(app: web.Application, base: str) -> None:
    """Put the routes into the application."""
    router = app.router
    router.add_get(base + "/workers", list_workers)
    router.add_get(base + "/workers/{name}", show_worker)
    router.add_put(base + "/workers/{name}", put_worker)
    router.add_post(base + "/workers/{name}/{deed}", act)
    router.add_get(base + "/tasks", list_tasks)
