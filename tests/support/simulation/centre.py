"""TaskRouter as far as Cordboard can tell: tasks, reservations, callers in its queue, its conference (section 5).

Workers are the agents of the plan's calls, offered one after the other, busy or not. A task that nobody takes is
canceled after a few offers. Like `phones.py` it shares no code with the local Twilio, nor with what it tests.
"""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec

from simulation.phones import ACCOUNT, OUTBOUND, Line, Place, Refused

if TYPE_CHECKING:
    from simulation.world import World

WORKSPACE, WORKFLOW = "WS" + "7" * 32, "WW" + "7" * 32
PREFIX = f"/v1/Workspaces/{WORKSPACE}/"
_HOOKS = "https://cordboard.example/v1/taskrouter"
_OFFERS = 5
_OFFER_S, _RESERVED_S, _STEP_S, _WRITES_UP_S = 0.3, 14.0, 0.05, 3.0
_OURS = re.compile(r"call_id == '([^']*)' AND task == '([^']*)'")
_ENDS = {
    "canceled": frozenset({"pending", "reserved"}),
    "wrapping": frozenset({"assigned"}),
    "completed": frozenset({"assigned", "wrapping"}),
}
OVER = frozenset({"completed", "canceled"})

Body = dict[str, object]


class Task:
    """A task. `version` is its ETag."""

    def __init__(self, sid: str, attributes: dict[str, Any]) -> None:
        self.sid = sid
        self.attributes = attributes
        self.status = "pending"
        self.version = 0
        self.offers = 0
        self.reservation = ""
        self.worker = ""


class Centre:
    """One workspace with one queue."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.tasks: dict[str, Task] = {}
        self._queued: dict[str, tuple[Task, str]] = {}
        """By CallSid: who is in the queue, and the URL of the action."""
        self._told = 0

    # REST

    def answer(self, method: str, path: str, fields: dict[str, str], action: str) -> tuple[int, Body]:
        """Carry out a request, or raise `Refused`."""
        parts = path.removeprefix(PREFIX).split("/")
        if len(parts) == 1:
            return self._create(fields, action) if method == "POST" else self._list(fields)
        task = self.tasks.get(parts[1])
        if task is None:
            raise Refused(404, 20404)
        if len(parts) > 2:
            return self._reservation(method, task, parts[3], fields, action)
        if method == "POST":
            self._update(task, fields, action)
        return 200, _body(task)

    def _create(self, fields: dict[str, str], action: str) -> tuple[int, Body]:
        task = self._new(msgspec.json.decode(fields["Attributes"]))
        self._world.phones.note(action, "task", task.sid)
        return 201, _body(task)

    def _new(self, attributes: dict[str, Any]) -> Task:
        task = Task(self._world.phones.new_sid("WT"), attributes)
        self.tasks[task.sid] = task
        self._tell(task, "task.created")
        self._world.later(_OFFER_S, lambda: self._offer(task))
        return task

    def _list(self, fields: dict[str, str]) -> tuple[int, Body]:
        wanted = _OURS.fullmatch(fields.get("EvaluateTaskAttributes", ""))
        named = ("", "") if wanted is None else (wanted[1], wanted[2])
        mine = [t for t in self.tasks.values() if (t.attributes.get("call_id"), t.attributes.get("task")) == named]
        return 200, {"tasks": [_body(task) for task in mine], "meta": {"key": "tasks", "page": 0, "page_size": 1}}

    def _update(self, task: Task, fields: dict[str, str], action: str) -> None:
        if fields.get("If-Match", f'"{task.version}"') != f'"{task.version}"':
            raise Refused(412, 20412)
        self._world.phones.note(action, "update_task", task.sid)
        status = fields.get("AssignmentStatus")
        if status is None:
            task.attributes = msgspec.json.decode(fields["Attributes"])
            task.version += 1
        elif task.status not in _ENDS[status]:
            raise Refused(400, 20001)
        else:
            self._enter(task, status)

    def _enter(self, task: Task, status: str) -> None:
        """A last status; who was reserved is not any more."""
        self._move(task, status)
        self._tell(task, {"wrapping": "task.wrapup"}.get(status, f"task.{status}"))
        if status == "wrapping" and len(self.tasks) % 2:  # every other worker says when it is done
            self._world.later(_WRITES_UP_S, lambda: self._finish(task))
        if status == "canceled" and task.reservation:
            self._tell(task, "reservation.canceled")

    def _finish(self, task: Task) -> None:
        if task.status == "wrapping":
            self._enter(task, "completed")

    def _move(self, task: Task, status: str) -> None:
        task.status = status
        task.version += 1

    def _reservation(self, method: str, task: Task, sid: str, fields: dict[str, str], action: str) -> tuple[int, Body]:
        pending = task.status == "reserved" and task.reservation == sid
        if method == "POST" and not pending:
            raise Refused(400, 20001)
        if method == "POST" and fields["ReservationStatus"] == "accepted":
            self._world.phones.note(action, "accept", task.sid)
            self._accept(task)
        elif method == "POST":
            self._world.phones.note(action, "reject", task.sid)
            self._give_back(task, sid, "rejected")
        taken = task.reservation == sid and task.status in {"assigned", "wrapping", "completed"}
        return 200, {"sid": sid, "reservation_status": "accepted" if taken else "rejected"}

    # Routing

    def _offer(self, task: Task) -> None:
        if task.status != "pending":
            return
        task.offers += 1
        if task.offers > _OFFERS:
            self._enter(task, "canceled")
            return
        agents = [person.address for call in self._world.plan.calls for person in call.people[::2]]
        task.worker = agents[(len(self.tasks) + task.offers) % len(agents)]
        sid = task.reservation = self._world.phones.new_sid("WR")
        self._move(task, "reserved")
        self._world.outside(self._assign(task, sid))
        self._world.later(_RESERVED_S, lambda: self._give_back(task, sid, "timeout"))

    def _accept(self, task: Task) -> None:
        self._move(task, "assigned")
        self._tell(task, "reservation.accepted")

    def _give_back(self, task: Task, sid: str, why: str) -> None:
        if task.status == "reserved" and task.reservation == sid:
            self._move(task, "pending")
            self._tell(task, f"reservation.{why}")
            task.reservation = ""
            self._world.later(_OFFER_S, lambda: self._offer(task))

    async def _assign(self, task: Task, sid: str) -> None:
        body = await self._world.network.ask(f"{_HOOKS}/assignment", self._form(task))
        instruction = msgspec.json.decode(body or b"{}", type=dict[str, Any])
        if instruction.get("instruction") == "conference" and task.reservation == sid:
            await self._confer(task, sid, instruction)

    def _tell(self, task: Task, event: str, **more: str) -> None:
        self._told += 1
        form = {"EventType": event, "Sid": f"EV{self._told:032x}", **more}
        self._world.network.tell(f"{_HOOKS}/events", {**self._form(task), **form})

    def _form(self, task: Task) -> dict[str, str]:
        form = {"AccountSid": ACCOUNT, "TaskSid": task.sid, "TaskAttributes": _text(task.attributes)}
        if task.reservation:
            form.update(ReservationSid=task.reservation, WorkerAttributes=_text({"contact_uri": task.worker}))
        return form

    # The queue and its conference

    def enqueue(self, line: Line, verb: ET.Element) -> None:
        """A caller waits."""
        known = {"call_sid": line.sid, "from": line.from_, "to": line.to}
        attributes = {**known, **msgspec.json.decode(verb[0].text or "")}
        self._queued[line.sid] = (self._new(attributes), verb.get("action", ""))

    def leave(self, line: Line, result: str) -> None:
        """A caller who was in the queue is not in it any more; the action is told."""
        task, action = self._queued.pop(line.sid, (None, ""))
        if task is None:
            return
        form = {"AccountSid": ACCOUNT, "CallSid": line.sid, "From": line.from_, "To": line.to, "QueueResult": result}
        self._world.network.tell(action, form)
        if task.status in _ENDS["canceled"]:
            task.attributes["left"] = result
            self._move(task, "canceled")
            self._tell(task, "task.canceled", TaskCanceledReason=result)

    async def _confer(self, task: Task, sid: str, instruction: dict[str, Any]) -> None:
        """Dial the worker into a room named after the task, move the caller there, accept."""
        phones = self._world.phones
        room = phones.room_of(task.sid, instruction["conference_status_callback"])
        room.untold = frozenset({"participant-modify"})
        line = Line(phones.new_sid("CA"), instruction["from"], task.worker, OUTBOUND, phones.now())
        line.status_url, line.via_api = instruction["status_callback"], True
        worker = phones.enter(line, room, "", end_on_exit=False)
        phones.dial(line, float(instruction["timeout"]))
        await _until(lambda: worker.joined or line.is_over or task.status != "reserved" or task.reservation != sid)
        caller = phones.lines[task.attributes["call_sid"]]
        if not worker.joined or task.status != "reserved" or task.reservation != sid or caller.is_over:
            phones.finish(line, "canceled" if line.status != "in-progress" else "completed")
            self._give_back(task, sid, "rejected")
            return
        self._bring(task, caller, worker)
        people = {"worker": line.sid, "customer": caller.sid}
        task.attributes["conference"] = {"room_name": room.name, "sid": room.sid, "participants": people}
        self._accept(task)
        await _until(lambda: not worker.joined or worker.room.places.get(line.sid) is not worker)
        if task.status == "assigned":
            self._enter(task, "wrapping")

    def _bring(self, task: Task, caller: Line, worker: Place) -> None:
        self._move(task, "moving")  # not to be canceled because its caller leaves the queue
        self.leave(caller, "redirected")
        caller.turn += 1
        customer = self._world.phones.enter(caller, worker.room, "", end_on_exit=False)
        self._world.phones.join(customer)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(_STEP_S)


def _body(task: Task) -> Body:
    return {
        "sid": task.sid, "workspace_sid": WORKSPACE, "assignment_status": task.status,
        "attributes": _text(task.attributes), "etag": f'"{task.version}"',
    }  # fmt: skip


def _text(attributes: dict[str, Any]) -> str:
    return msgspec.json.encode(attributes).decode()
