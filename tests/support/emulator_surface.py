"""Every parameter that Twilio's OpenAPI files know, sent one by one to the local Twilio, with a value that is wrong."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from emulator import ApplicationConfig
from emulator_bench import ACCOUNT, AGENT, NUMBER
from emulator_center import Center
from emulator_openapi import Judge

FORM_TYPE = "application/x-www-form-urlencoded"
PAUSE = "<Response><Pause length='600'/></Response>"
PAGING = {"Page", "PageSize", "PageToken"}
WRONG = "nonsense"
ANY_TEXT = ("boolean", "string", "object", "any")
"""Types of which any text is a value: anything but true is false, and a text is a text."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of one operation; ``checked``: the files say what a value looks like."""

    name: str
    place: str
    checked: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the files, such as ``POST /2010-04-01/Accounts/{AccountSid}/Calls.json``."""

    method: str
    path: str
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        """Name it as the files do."""
        return f"{self.method} {self.path}"


def operations(judge: Judge) -> Iterator[Operation]:
    """Yield the files' operations with their parameters."""
    for method, path, spec in judge.specified():
        yield Operation(method, path, tuple(_parameters(spec, judge)))


def _parameters(spec: dict[str, Any], judge: Judge) -> Iterator[Parameter]:
    for one in spec.get("parameters", ()):
        if one["in"] == "query" and one["name"] not in PAGING:
            yield Parameter(one["name"], "query", _checked(one["schema"], judge))
    body = spec.get("requestBody", {}).get("content", {}).get(FORM_TYPE, {}).get("schema", {})
    for name, schema in body.get("properties", {}).items():
        yield Parameter(name, "form", _checked(schema, judge))


def _checked(schema: dict[str, Any], judge: Judge) -> bool:
    inner = judge.resolved(judge.resolved(schema).get("items", schema))
    exact = {"enum", "pattern"} & inner.keys() or inner.get("format") in {"uri", "http-method", "date", "date-time"}
    return bool(exact) or inner.get("type", "any") not in ANY_TEXT


@dataclass
class Surface:
    """A local Twilio with one of everything, whose every parameter is tried."""

    center: Center
    refused: dict[str, set[str]] = field(default_factory=dict)
    """What got 501, by operation."""
    swallowed: list[str] = field(default_factory=list)
    """What was taken although its value is wrong."""
    sids: dict[str, str] = field(default_factory=dict)
    _fresh: Iterator[int] = field(default_factory=lambda: count(100))

    async def prepare(self) -> None:
        """Make one of everything."""
        bench, space = self.center.bench, self.center.workspace
        caller = await bench.caller_in("surface", record="record-from-start")
        await bench.agent_in("surface", AGENT, Label="agent")
        room = bench.room("surface").sid
        (conference_recording,) = bench.emulator.world.recordings_of[room]
        _, recording = await bench.rest("POST", f"/Calls/{caller}/Recordings.json", {})
        waiting = await bench.caller("<Response><Enqueue>surface</Enqueue></Response>")
        await bench.until(lambda: bench.emulator.world.queues.member(waiting), "the caller in the queue")
        member = bench.emulator.world.queues.member(waiting)
        assert member is not None
        _, made = await self.center.rest("POST", "/Tasks", {"Attributes": '{"queue": "billing"}'})
        task = space.tasks[str(made["sid"])]
        await self.center.until_status(task, "reserved")
        (reservation,) = space.reservations.values()
        self.sids = {
            "AccountSid": ACCOUNT,
            "Calls": caller,
            "Conferences": room,
            "Participants": caller,
            "Recordings": str(recording["sid"]),
            "Conferences/Recordings": conference_recording.sid,
            "IncomingPhoneNumbers": bench.emulator.world.numbers[NUMBER].sid,
            "Queues": member.queue.sid,
            "Members": waiting,
            "Workspaces": self.center.sid,
            "Activities": next(iter(space.activities)),
            "TaskQueues": next(iter(space.queues)),
            "Workflows": next(iter(space.workflows)),
            "Workers": reservation.worker.sid,
            "Channels": next(iter(reservation.worker.channels.values())).sid,
            "TaskChannels": next(iter(space.channels)),
            "Tasks": task.sid,
            "Reservations": reservation.sid,
            "Accounts": ACCOUNT,
            "Applications": bench.emulator.world.put_application("AP" + "1" * 32, ApplicationConfig()).sid,
            "Keys": bench.emulator.world.add_key("SK" + "1" * 32, "key-secret", ACCOUNT).sid,
        }

    def base(self, operation: Operation) -> dict[str, str]:
        """Return a form with which the operation works."""
        forms = {
            "/Calls.json": {"To": AGENT, "From": NUMBER, "Twiml": PAUSE},
            "/Participants.json": {"To": AGENT, "From": NUMBER},
            "/Recordings/{Sid}.json": {"Status": "paused"},
            "/IncomingPhoneNumbers.json": {"PhoneNumber": f"+15550200{next(self._fresh)}"},
            "/Queues.json": {"FriendlyName": f"surface-{next(self._fresh)}"},
            "/Workspaces": {"FriendlyName": f"surface-{next(self._fresh)}"},
            "/Activities": {"FriendlyName": f"surface-{next(self._fresh)}"},
            "/TaskQueues": {"FriendlyName": f"surface-{next(self._fresh)}"},
            "/TaskChannels": {"FriendlyName": "s", "UniqueName": f"surface-{next(self._fresh)}"},
            "/Workers": {"FriendlyName": f"surface-{next(self._fresh)}"},
            "/Workflows": {
                "FriendlyName": "surface",
                "Configuration": json.dumps(
                    {"task_routing": {"filters": [], "default_filter": {"queue": self.sids["TaskQueues"]}}}
                ),
            },
            "/Applications.json": {"FriendlyName": "surface"},
            "/Members/{CallSid}.json": {"Url": self.center.bench.url("/dequeued")},
        }
        return next((form for tail, form in forms.items() if operation.path.endswith(tail)), {})

    def filled(self, path: str) -> str:
        """Return the path with real SIDs in it."""
        parts = path.removesuffix(".json").split("/")
        for place, part in enumerate(parts):
            if part.startswith("{"):
                owner = f"{parts[place - 3]}/{parts[place - 1]}" if place > 3 else ""
                parts[place] = self.sids.get(owner) or self.sids[parts[place - 1]]
        return "/".join(parts) + (".json" if path.endswith(".json") else "")

    async def try_one(self, operation: Operation, parameter: Parameter) -> None:
        """Send a wrong value, or any where all are right, and note what becomes of it."""
        status, body = await self.send(operation, parameter)
        if status == 501:
            assert parameter.name in str(body["message"]), body
            self.refused.setdefault(_called(str(body["message"])), set()).add(parameter.name)
        elif parameter.checked and status < 400 and _found(body):
            self.swallowed.append(f"{operation}: {parameter.name}={WRONG} got {status}")
        assert status < 500 or status == 501, f"{operation}: {parameter.name}: {body}"

    async def send(self, operation: Operation, parameter: Parameter) -> tuple[int, dict[str, object]]:
        """Make the operation's request with the parameter in it."""
        path, form = self.filled(operation.path), None
        if operation.method == "POST":
            form = self.base(operation)
        if parameter.place == "query":
            path += f"?{parameter.name.replace('<', '%3C').replace('>', '%3E')}={WRONG}"
        else:
            form = {**(form or {}), parameter.name: WRONG}
        return await self.center.bench.v1(operation.method, path, form)


def _called(message: str) -> str:
    """Return what a 501 calls the operation: ``… the parameter Byoc of Calls create``, ``… the filter … of Events``."""
    kind, _, operation = message.partition(" of ")
    if "the filter" not in kind:
        return operation
    return f"the filter of {'a recording' if operation.startswith('RE') else operation}"


def _found(body: dict[str, object]) -> bool:
    """Tell whether an answer is more than an empty list: a filter that finds nothing has had its effect."""
    lists = [value for value in body.values() if isinstance(value, list)]
    return not lists or any(lists)


def shape(path: str) -> str:
    """Return a path with its parameters' names taken out, to compare with a route's."""
    return re.sub(r"\{[^}]+\}", "{}", path)
