"""Scenarios: a TOML file of people, calls and expectations, played over the control routes (``docs/emulator.md``).

The player is a person at a telephone with a list: it does a step, waits for what should be noticed, and goes on. The
command line around it belongs to ``cordboard.app``.
"""

import asyncio
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from emulator.config import NumberConfig
from emulator.errors import EmulatorError
from emulator.faults import Fault
from emulator.journal import Event
from emulator.people import Person

DEFAULT_WITHIN_S = 10.0
MAX_EVENTS = 20_000
_event = msgspec.json.Decoder(Event)
Form = dict[str, Any]
FoundT = TypeVar("FoundT")


class ScenarioError(EmulatorError):
    """The file is no scenario, or a step did not go as it says."""


class WorkerStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker does: goes into an ``activity``, or ``accept``, ``reject``, ``time-out`` of its reservation."""

    name: str
    activity: str = ""
    does: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: exactly one of the deeds, and what it needs."""

    call: dict[str, str] | None = None
    """Places a call: ``from``, ``to``, and ``application_sid`` for a browser."""
    name: str = ""
    """What later steps call this call."""
    expect: str | None = None
    """Waits for an event of this kind (``call.in-progress``, ``conference.participant-join``, ``hears``…)."""
    of: str = ""
    """Whose: a name, or a dialled address."""
    data: dict[str, Any] = {}
    """Parts of the event's data that must be so; a list must hold what is given."""
    within_s: float = DEFAULT_WITHIN_S
    answer: str | None = None
    hang_up: str | None = None
    press: str | None = None
    """Digits, pressed by ``of``."""
    post: str | None = None
    """A URL to post ``json`` to; ``{name}`` in both stands for that call's SID."""
    json: dict[str, Any] = {}
    status: int = 200
    fault: Fault | None = None
    pause_s: float | None = None
    worker: WorkerStep | None = None
    """A worker of the contact centre does something."""


DEEDS = ("call", "expect", "answer", "hang_up", "press", "post", "fault", "pause_s", "worker")


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file."""

    title: str
    step: list[Step]
    people: dict[str, Person] = {}
    numbers: dict[str, NumberConfig] = {}


def load(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ScenarioError: it cannot be read, or a step has not exactly one deed.

    """
    try:
        scenario = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Scenario)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    for number, step in enumerate(scenario.step, 1):
        if len(deeds(step)) != 1:
            raise ScenarioError(f"{path}: step {number} has {deeds(step) or 'no deed'}, expected one of {DEEDS}")
    return scenario


def deeds(step: Step) -> list[str]:
    """Return the deeds that a step names."""
    return [name for name in DEEDS if getattr(step, name) is not None]


async def play_scenario(base_url: str, path: Path, *, out: Callable[[str], None]) -> int:
    """Play the scenario against the emulator at ``base_url``; one line per step goes to ``out``.

    Returns an exit code: 0 when every step went as written, 1 otherwise.
    """
    try:
        scenario = load(path)
        out(scenario.title)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            player = Player(session, base_url.rstrip("/"))
            await player.play(scenario, out)
    except (ScenarioError, aiohttp.ClientError) as error:
        out(f"failed: {type(error).__name__}: {error}")
        return 1
    return 0


@dataclass
class Player:
    """Plays steps one after the other and remembers calls by name and events as they come."""

    session: aiohttp.ClientSession
    base: str
    calls: dict[str, str] = field(default_factory=dict)
    dialled: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    seen: int = 0
    """How many events earlier expectations have used up."""

    async def play(self, scenario: Scenario, out: Callable[[str], None]) -> None:
        """Set the people up, then do the steps.

        Raises:
            ScenarioError: a step did not go as written.

        """
        for address, person in scenario.people.items():
            await self._control("PUT", f"/people/{address}", person)
        for number, config in scenario.numbers.items():
            await self._control("PUT", f"/numbers/{number}", config)
        async with self.session.get(f"{self.base}/_emulator/events") as stream:
            listening = asyncio.create_task(self._listen(stream))
            try:
                for count, step in enumerate(scenario.step, 1):
                    (deed,) = deeds(step)
                    await self._do(deed, step)
                    out(f"{count}. {deed} {getattr(step, deed)} {step.of}".rstrip())
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError, aiohttp.ClientError):
                    await listening

    async def _do(self, deed: str, step: Step) -> None:
        match deed:
            case "call":
                body = await self._control("POST", "/calls", step.call)
                self.calls[step.name or "caller"] = str(body["call_sid"])
            case "expect":
                await self._expect(step)
            case "answer" | "hang_up":
                whom, verb = str(getattr(step, deed)), deed.replace("_", "")
                await self._control("POST", f"/calls/{await self._sid(whom, step)}/{verb}")
            case "press":
                await self._control("POST", f"/calls/{await self._sid(step.of, step)}/digits", {"digits": step.press})
            case "post":
                await self._post(step)
            case "worker":
                await self._work(step.worker or WorkerStep(name=""))
            case "fault":
                await self._control("POST", "/faults", step.fault)
            case _:
                await asyncio.sleep(step.pause_s or 0)

    async def _work(self, step: WorkerStep) -> None:
        if step.activity:
            await self._control("PUT", f"/workers/{step.name}", {"activity": step.activity})
        if step.does:
            await self._control("POST", f"/workers/{step.name}/{step.does}")

    async def _listen(self, stream: aiohttp.ClientResponse) -> None:
        async for raw in stream.content:
            if raw.startswith(b"data: {"):
                event = _event.decode(raw.removeprefix(b"data: "))
                if event.kind == "call.queued":
                    self.dialled[str(event.data["to"])] = event.call_sid
                if len(self.events) < MAX_EVENTS:
                    self.events.append(event)
                self.news.set()

    async def _sid(self, whom: str, step: Step) -> str:
        """Return a call's SID by its name, or by its address once that has been dialled."""
        failure = f"no call {whom!r}; named: {sorted(self.calls)}"
        return await self._when(lambda: self.calls.get(whom) or self.dialled.get(whom), step.within_s, failure)

    async def _expect(self, step: Step) -> None:
        sid = await self._sid(step.of, step) if step.of else ""
        failure = f"{step.expect} {step.of} {step.data or ''} did not come within {step.within_s} s"
        self.seen = 1 + await self._when(lambda: self._next(step, sid), step.within_s, failure)

    def _next(self, step: Step, sid: str) -> int | None:
        """Return where the expected event is among those that no earlier expectation has used up."""
        return next((at for at in range(self.seen, len(self.events)) if _fits(self.events[at], step, sid)), None)

    async def _when(self, found: Callable[[], FoundT | None], within_s: float, failure: str) -> FoundT:
        """Look again at every piece of news until something is found.

        Raises:
            ScenarioError: nothing was, within the time.

        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (result := found()) is None:
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), max(deadline - loop.time(), 0))
            except TimeoutError:
                raise ScenarioError(failure) from None
        return result

    async def _control(self, method: str, path: str, body: object = None) -> Form:
        data = None if body is None else msgspec.json.encode(body)
        async with self.session.request(method, f"{self.base}/_emulator{path}", data=data) as answer:
            content = await answer.read()
            if answer.status >= 400:  # noqa: PLR2004 - HTTP's error classes
                raise ScenarioError(f"{method} {path}: {answer.status} {content.decode(errors='replace')[:300]}")
            return msgspec.json.decode(content, type=dict[str, Any]) if content else {}

    async def _post(self, step: Step) -> None:
        url, body = str(self._filled(step.post)), msgspec.json.encode(self._filled(step.json))
        headers = {"Content-Type": "application/json"}
        if "specversion" in step.json:
            headers["Content-Type"] = "application/cloudevents+json"
        async with self.session.post(url, data=body, headers=headers) as answer:
            if answer.status != step.status:
                text = (await answer.text())[:300]
                raise ScenarioError(f"{url} answered {answer.status}, expected {step.status}: {text}")

    def _filled(self, value: object) -> object:
        if isinstance(value, str):
            for name, sid in self.calls.items():
                value = value.replace("{" + name + "}", sid)
            return value
        if isinstance(value, dict):
            return {key: self._filled(part) for key, part in value.items()}
        return [self._filled(part) for part in value] if isinstance(value, list) else value


def _fits(event: Event, step: Step, sid: str) -> bool:
    if event.kind != step.expect or (sid and event.call_sid != sid):
        return False
    return all(_holds(event.data.get(key), wanted) for key, wanted in step.data.items())


def _holds(value: object, wanted: object) -> bool:
    if isinstance(value, list):
        return set(wanted if isinstance(wanted, list) else [wanted]) <= set(value)
    return value == wanted
