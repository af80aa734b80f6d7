"""The real thing for whole-flow tests: services as processes, the local Twilio as one more, calls told as a story.

Every process is the installed `cordboard` command with nothing but environment variables. A test speaks to the ops
port as another service would, and to the local Twilio as the people in the call would.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import aiohttp

from free_ports import free_port
from schemas.commands import type_of
from service_process import PATIENCE_S, Service

ACCOUNT, TOKEN = "AC00000000000000000000000000000001", "local-auth-token"
NUMBER, CALLER, AGENT, OTHER = "+15550100", "+15550111", "phone:+15550122", "phone:+15550133"
POLL_S = 0.02

Json = dict[str, Any]


async def until(what: str, happens: Callable[[], Awaitable[Any]], patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition; gives its first true value. Fails with `what` was waited for."""
    deadline = time.monotonic() + patience_s
    while not (value := await happens()):
        assert time.monotonic() < deadline, f"waited {patience_s} s for {what}"
        await asyncio.sleep(POLL_S)
    return value


class Stack:
    """Running services and how a test speaks to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: dict[str, Service] = {}
        self.emulator = f"http://127.0.0.1:{free_port()}"
        self.ingress = f"http://127.0.0.1:{free_port()}"
        self.commands = self.reads = ""
        self._session: aiohttp.ClientSession | None = None

    def journal(self, policy: str = "") -> Self:
        """Everything in one process on the journal, the local Twilio beside it; `policy` is the file's text."""
        run = self._service("run", ("run",), f"sqlite:{self.folder / 'journal.db'}")
        self._follows(run, policy)
        self.commands = self.reads = run.ops
        self._service("emulator", ("emulator", "--bind", self.emulator.removeprefix("http://")), "sqlite:none.db")
        return self

    def kafka(self, bootstrap: str, prefix: str, policy: str = "") -> Self:
        """Each service a process of its own, on Kafka; `policy` as for the journal."""
        log = f"kafka:{bootstrap}"
        services = {
            name: self._service(name, (name,), log, prefix) for name in ("ingress", "engine", "actions", "observe")
        }
        for service in services.values():
            self._follows(service, policy)
        self.commands, self.reads = services["ingress"].ops, services["observe"].ops
        self._service("emulator", ("emulator", "--bind", self.emulator.removeprefix("http://")), log, prefix)
        self._service("topics", ("topics", "ensure"), log, prefix)
        return self

    def _follows(self, service: Service, policy: str) -> None:
        if policy:
            (self.folder / "policy.toml").write_text(policy)
            service.set("CORDBOARD_POLICY_FILE", str(self.folder / "policy.toml"))

    def _service(self, name: str, arguments: tuple[str, ...], log: str, prefix: str = "") -> Service:
        env = {
            "CORDBOARD_LOG": log,
            "CORDBOARD_TOPIC_PREFIX": prefix,
            "CORDBOARD_PUBLIC_URL": self.ingress,
            "CORDBOARD_INGRESS_BIND": self.ingress.removeprefix("http://"),
            "CORDBOARD_OPS_BIND": f"127.0.0.1:{free_port()}",
            "CORDBOARD_TWILIO_ACCOUNT_SID": ACCOUNT,
            "CORDBOARD_TWILIO_AUTH_TOKEN": TOKEN,
            "CORDBOARD_TWILIO_API_URL": self.emulator,
            "CORDBOARD_TWILIO_NUMBER": NUMBER,
            "CORDBOARD_TWILIO_CALLS_PER_SECOND": "0",
            "CORDBOARD_TASKROUTER_WORKSPACE": "WS" + "0" * 31 + "1",
            "CORDBOARD_TASKROUTER_WORKFLOW": "WW" + "0" * 31 + "1",
        }
        self.services[name] = Service(name, arguments, env, self.folder)
        return self.services[name]

    async def __aenter__(self) -> Self:
        """Start everything, in the order a person would, and wait until it is ready."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90))
        topics = self.services.pop("topics", None)
        if topics is not None:
            assert topics.start().ends_with() == 0, topics.tail()
        for service in self.services.values():
            service.start()
        await until("the local Twilio", self._emulator_answers)
        for service in self.services.values():
            if service.name != "emulator":
                await self.ready(service)
        await self.twilio("PUT", "/people/default", {"ring_s": 0.05})
        for target in (AGENT, OTHER):
            await self.person(target, ring_s=0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        for service in self.services.values():
            service.kill()
        if self._session is not None:
            await self._session.close()

    async def ready(self, service: Service) -> None:
        """Wait until a service says that it is ready."""

        async def answers() -> bool:
            assert not service.dead, f"{service.name} has ended:\n{service.tail()}"
            status, _ = await self.request("GET", f"{service.ops}/readyz")
            return status == 200

        await until(f"{service.name} to be ready", answers)

    async def _emulator_answers(self) -> bool:
        status, _ = await self.request("GET", f"{self.emulator}/_emulator/health")
        return status == 200

    async def request(self, method: str, url: str, body: Json | None = None) -> tuple[int, Json]:
        """One HTTP request; status 0 when nobody listens."""
        assert self._session is not None
        headers = {"content-type": "application/cloudevents+json"} if "/v1/commands" in url else {}
        data = json.dumps(body) if body is not None else None
        try:
            async with self._session.request(method, url, data=data, headers=headers) as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if text[:1] in {"{", "["} else {}
        except aiohttp.ClientConnectionError:
            return 0, {}

    async def twilio(self, method: str, path: str, body: Json | None = None) -> Json:
        """A control request to the local Twilio."""
        status, answer = await self.request(method, f"{self.emulator}/_emulator{path}", body)
        assert 200 <= status < 300, (status, answer)
        return answer

    async def person(self, target: str, **behaviour: Any) -> None:
        """How somebody behaves when called."""
        await self.twilio("PUT", f"/people/{target.removeprefix('phone:')}", behaviour)

    async def caller_dials(self) -> "Call":
        """Somebody calls our number."""
        answer = await self.twilio("POST", "/calls", {"from": CALLER, "to": NUMBER})
        return Call(self, answer["call_sid"])

    async def browser_dials(self, agent: str, number: str) -> "Call":
        """An agent's browser calls a number through the TwiML application that leads to us."""
        application = "AP" + "0" * 32
        await self.twilio("PUT", f"/applications/{application}", {"voice_url": f"{self.ingress}/v1/voice/twiml"})
        wanted = {"from": agent, "to": number, "application_sid": application, "parameters": {"To": number}}
        return Call(self, (await self.twilio("POST", "/calls", wanted))["call_sid"])

    async def hangs_up(self, call_sid: str) -> None:
        """Somebody puts the phone down."""
        await self.twilio("POST", f"/calls/{call_sid}/hangup")

    async def hangs_up_if_there(self, call_sid: str) -> None:
        """The same of somebody whose call may be over by now."""
        await self.request("POST", f"{self.emulator}/_emulator/calls/{call_sid}/hangup")

    async def answers_if_it_rings(self, call_sid: str) -> None:
        """Somebody picks up whose phone may have stopped ringing."""
        await self.request("POST", f"{self.emulator}/_emulator/calls/{call_sid}/answer")

    async def loses_the_room(self, call_id: str) -> None:
        """The conference of a call ends although nobody in it wants it to."""
        rooms = (await self.twilio("GET", "/conferences"))["conferences"]
        [sid] = [room["conference_sid"] for room in rooms if call_id in room["name"] and room["status"] != "completed"]
        await self.twilio("POST", f"/conferences/{sid}/end")

    async def rest(self, method: str, path: str, **form: str) -> list[Json]:
        """The REST requests of a kind that the local Twilio has taken."""
        ledger = (await self.twilio("GET", "/rest"))["rest"]
        return [
            entry
            for entry in ledger
            if entry["method"] == method
            and path in entry["path"]
            and all(value in _values(entry["form"], name) for name, value in form.items())
        ]


def _values(form: Any, name: str) -> list[str]:
    if isinstance(form, dict):
        value = form.get(name, [])
        return value if isinstance(value, list) else [value]
    return [value for key, value in form if key == name]


class Call:
    """One call, as another service sees it."""

    def __init__(self, stack: Stack, call_id: str) -> None:
        self.stack = stack
        self.call_id = call_id
        self._commands = 0

    async def view(self) -> Json:
        """The state as the engine holds it; empty while it is not known."""
        status, view = await self.stack.request("GET", f"{self.stack.reads}/v1/calls/{self.call_id}")
        return view if status == 200 else {}

    async def reaches(self, state: str) -> Json:
        """Wait until the call is in a state."""

        async def there() -> Json | None:
            view = await self.view()
            return view if view.get("state") == state else None

        found: Json = await until(f"{self.call_id} to be {state}", there)
        return found

    async def transfer_reaches(self, *states: str) -> None:
        """Wait until the transfer is in one of these states."""

        async def there() -> bool:
            return ((await self.view()).get("transfer") or {}).get("state") in states

        await until(f"the transfer to be {states}", there)

    async def sid_of(self, leg: str) -> str:
        """The CallSid of a leg."""
        return next(str(item["call_sid"]) for item in (await self.view())["legs"] if item["leg"] == leg)

    async def tells(self, name: str) -> Json:
        """Wait for an event of a name; gives its data."""

        async def told() -> Json | None:
            wanted = f"cordboard.event.{name}.v1"
            return next((event["data"] for event in await self.events() if event["type"] == wanted), None)

        found: Json = await until(f"{name} of {self.call_id}", told)
        return found

    async def leg_is(self, leg: str, *states: str) -> None:
        """Wait until a leg is in one of these states."""

        async def there() -> bool:
            return any(item["leg"] == leg and item["state"] in states for item in (await self.view()).get("legs", []))

        await until(f"{leg} to be {states}", there)

    async def events(self) -> list[Json]:
        """Everything told about the call so far."""
        status, answer = await self.stack.request("GET", f"{self.stack.reads}/v1/calls/{self.call_id}/events")
        events: list[Json] = answer["events"] if status == 200 else []
        return events

    async def send(self, name: str, **data: Any) -> str:
        """Send a command; gives its id."""
        self._commands += 1
        command_id = f"command-{self._commands}"
        event = self.event(name, command_id, data)
        status, answer = await self.stack.request("POST", f"{self.stack.commands}/v1/commands", event)
        assert status == 202, answer
        return command_id

    def event(self, name: str, command_id: str, data: Json) -> Json:
        """A command as a CloudEvent."""
        return {
            "specversion": "1.0", "id": command_id, "source": "/test", "type": type_of(name), "subject": self.call_id,
            "data": data,
        }  # fmt: skip

    async def result_of(self, command_id: str) -> tuple[str, str | None]:
        """Wait for the one result of a command: outcome and reason."""

        async def told() -> list[Json]:
            results = [event["data"] for event in await self.events() if event["type"] == "cordboard.result.v1"]
            return [result for result in results if result["command_id"] == command_id]

        results: list[Json] = await until(f"the result of {command_id}", told)
        assert len({(result["outcome"], result["reason"]) for result in results}) == 1
        return results[0]["outcome"], results[0]["reason"]

    async def command(self, name: str, **data: Any) -> tuple[str, str | None]:
        """Send a command and wait for its result."""
        return await self.result_of(await self.send(name, **data))
