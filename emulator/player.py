"""Plays a scenario's steps over the control routes, in real or in virtual time.

The player is a person at a telephone with a list: it does a step, waits for what should be noticed, and goes on. In
virtual time it acts only when everything has come to rest, so that the same file gives the same events every time.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec

from emulator.config import EmulatorConfig
from emulator.desk import Desk, RefusedError
from emulator.journal import Event
from emulator.rest.edge import OWN
from emulator.scenario import RestStep, Scenario, ScenarioError, Step, WorkerStep, deeds, load

MAX_EVENTS = 20_000
STREAM_S = 10.0
"""How long the event stream may lag behind, real seconds."""
_event = msgspec.json.Decoder(Event)
FoundT = TypeVar("FoundT")


async def play_scenario(
    base_url: str, file: Path | Scenario, *, out: Callable[[str], None], log: Callable[[bytes], object] = lambda _: None
) -> int:
    """Play the scenario against the emulator at ``base_url``; one line per step goes to ``out``.

    ``log`` takes every event as a line of JSON. Returns an exit code: 0 when every step went as written, 1 otherwise.
    """
    try:
        scenario = load(file) if isinstance(file, Path) else file
        out(scenario.title)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            desk = Desk(session, base_url)
            await desk.open()
            player = Player(desk, log, scenario.emulator or EmulatorConfig())
            await player.play(scenario, out)
    except (ScenarioError, RefusedError) as error:
        out(f"failed: {error}")
        return 1
    except aiohttp.ClientError as error:
        out(f"failed: {type(error).__name__}: {error}")
        return 1
    return 0


async def set_up(desk: Desk, scenario: Scenario) -> None:
    """Put a scenario's documents, people and numbers into the emulator.

    Raises:
        RefusedError: one of them is no good.

    """
    for name, text in scenario.twiml.items():
        await desk.control("PUT", f"/twiml/{name}", text.encode())
    for address, person in scenario.people.items():
        await desk.control("PUT", f"/people/{address}", person)
    if scenario.crowd:
        await desk.control("PUT", "/crowd", {"crowd": scenario.crowd})
    for number, config in scenario.numbers.items():
        await desk.control("PUT", f"/numbers/{number}", config)


@dataclass
class Player:
    """Plays steps one after the other and remembers calls by name and events as they come."""

    desk: Desk
    log: Callable[[bytes], object]
    account: EmulatorConfig
    sids: dict[str, str] = field(default_factory=dict)
    """SIDs of calls by their name in the file, and of conferences by their FriendlyName."""
    dialled: dict[str, str] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    """Those that no expectation has used up."""
    heard: int = 0
    """The number of the last event."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, scenario: Scenario, out: Callable[[str], None]) -> None:
        """Set the people up, then do the steps.

        Raises:
            ScenarioError: a step did not go as written.

        """
        if not scenario.step:
            raise ScenarioError(f"{scenario.title!r} has no step to play")
        await set_up(self.desk, scenario)
        begun, began = time.perf_counter(), (await self.desk.control("GET", "/clock"))["now"]
        async with self.desk.session.get(f"{self.desk.base}/_emulator/events") as stream:
            listening = asyncio.create_task(self._listen(stream))
            try:
                for count, step in enumerate(scenario.step, 1):
                    (deed,) = deeds(step)
                    await self._rest()
                    await self._do(deed, step)
                    out(f"{count}. {deed} {_shown(getattr(step, deed))} {step.of}".rstrip())
                await self._rest()
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError, aiohttp.ClientError):
                    await listening
        if self.desk.virtual:
            passed_s = (await self.desk.control("GET", "/clock"))["now"] - began
            out(f"{passed_s:,.0f} s of virtual time in {time.perf_counter() - begun:.1f} s")

    async def _do(self, deed: str, step: Step) -> None:
        match deed:
            case "call":
                wish = {**(step.call or {}), **({"person": step.person} if step.person else {})}
                body = await self.desk.control("POST", "/calls", wish)
                self.sids[step.name or "caller"] = str(body["call_sid"])
            case "expect":
                await self._expect(step)
            case "answer" | "hang_up" | "end_session":
                verb = {"answer": "answer", "hang_up": "hangup", "end_session": "session-end"}[deed]
                await self.desk.control("POST", f"/calls/{await self._sid(str(getattr(step, deed)), step)}/{verb}")
            case "press":
                sid = await self._sid(step.of, step)
                await self.desk.control("POST", f"/calls/{sid}/digits", {"digits": step.press})
            case "rest":
                await self._ask(step.rest or RestStep(path=""), step.status)
            case "post":
                await self._post(step)
            case "worker":
                await self._work(step.worker or WorkerStep(name=""))
            case "fault":
                await self.desk.control("POST", "/faults", step.fault)
            case _:
                await self.desk.wait(step.pause_s or 0.0)

    async def _work(self, step: WorkerStep) -> None:
        if step.activity:
            await self.desk.control("PUT", f"/workers/{step.name}", {"activity": step.activity})
        if step.does:
            await self.desk.control("POST", f"/workers/{step.name}/{step.does}")

    # -- events -------------------------------------------------------------------------------------------------------

    async def _listen(self, stream: aiohttp.ClientResponse) -> None:
        async for raw in stream.content:
            if not raw.startswith(b"data: {"):
                continue
            self.log(raw.removeprefix(b"data: "))
            event = _event.decode(raw.removeprefix(b"data: "))
            self.heard = event.number
            if event.kind == "call.queued":
                self.dialled[str(event.data["to"])] = event.call_sid
            if event.kind.startswith("conference."):
                self.sids[str(event.data["name"])] = event.conference_sid
            self.events.append(event)
            self.news.set()

    async def _sid(self, whom: str, step: Step) -> str:
        """Return a call's SID by its name, or by its address once that has been dialled."""
        failure = f"no call {whom!r}; named: {sorted(self.sids)}"
        return await self._when(lambda: self.sids.get(whom) or self.dialled.get(whom), step.within_s, failure)

    async def _expect(self, step: Step) -> None:
        sid = await self._sid(step.of, step) if step.of else ""
        failure = f"{step.expect} {step.of} {step.data or ''} did not come within {step.within_s} s"
        found = await self._when(
            lambda: next((event for event in self.events if _fits(event, step, sid)), None), step.within_s, failure
        )
        while self.events.popleft() is not found:
            pass

    async def _when(self, found: Callable[[], FoundT | None], within_s: float, failure: str) -> FoundT:
        """Look again at every piece of news until something is found.

        Raises:
            ScenarioError: nothing was, within the time.

        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (result := found()) is None:
            if self.desk.virtual:
                within_s = await self._pass(within_s, failure)
                continue
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), max(deadline - loop.time(), 0))
            except TimeoutError:
                raise ScenarioError(failure) from None
        return result

    # -- virtual time -------------------------------------------------------------------------------------------------

    async def _pass(self, seconds: float, failure: str) -> float:
        """Let virtual time pass until something happens; return what is left.

        Raises:
            ScenarioError: nothing happened.

        """
        mark = self.heard
        state = await self.desk.control("POST", "/clock", {"pass_s": seconds, "until_event": mark})
        if state["events"] <= mark:
            raise ScenarioError(failure)
        await self._hear(int(state["events"]))
        return max(seconds - float(state["passed_s"]), 0.0)

    async def _rest(self) -> None:
        """Let everything come to rest in virtual time, and hear of it; in real time nothing ever rests."""
        if self.desk.virtual:
            await self._hear(int((await self.desk.control("POST", "/clock", {}))["events"]))

    async def _hear(self, number: int) -> None:
        try:
            async with asyncio.timeout(STREAM_S):
                while self.heard < number:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise ScenarioError(f"the event stream stopped at event {self.heard} of {number}") from None

    # -- requests -----------------------------------------------------------------------------------------------------

    async def _ask(self, step: RestStep, status: int | None) -> None:
        """Ask the REST API as the account's application would."""
        path = str(self._filled(step.path))
        url = f"{self.desk.base}/2010-04-01/Accounts/{self.account.account_sid}{path}"
        auth = aiohttp.encode_basic_auth(self.account.account_sid, self.account.auth_token)
        headers = {"Authorization": auth, OWN: "scenario"}
        form = {name: str(self._filled(value)) for name, value in step.form.items()}
        async with self.desk.session.request(step.method, url, data=form or None, headers=headers) as answer:
            text = (await answer.text())[:300]
            if answer.status != status and (status is not None or not answer.ok):
                raise ScenarioError(f"{step.method} {path}: {answer.status}, expected {status or '2xx'}: {text}")

    async def _post(self, step: Step) -> None:
        url, body = str(self._filled(step.post)), msgspec.json.encode(self._filled(step.json))
        headers = {"Content-Type": "application/json"}
        if "specversion" in step.json:
            headers["Content-Type"] = "application/cloudevents+json"
        wanted = 200 if step.status is None else step.status
        async with self.desk.session.post(url, data=body, headers=headers) as answer:
            if answer.status != wanted:
                text = (await answer.text())[:300]
                raise ScenarioError(f"{url} answered {answer.status}, expected {wanted}: {text}")
        if self.desk.virtual:  # whoever was asked has its moment to act
            await self.desk.control("POST", "/clock", {"contacted": True})

    def _filled(self, value: object) -> object:
        if isinstance(value, str):
            for name, sid in self.sids.items():
                value = value.replace("{" + name + "}", sid)
            return value
        if isinstance(value, dict):
            return {key: self._filled(part) for key, part in value.items()}
        return [self._filled(part) for part in value] if isinstance(value, list) else value


def _shown(value: object) -> object:
    """Return a deed in the words of the file, without what was not said."""
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value


def _fits(event: Event, step: Step, sid: str) -> bool:
    if event.kind != step.expect or (sid and event.call_sid != sid):
        return False
    return all(_holds(event.data.get(key), wanted) for key, wanted in step.data.items())


def _holds(value: object, wanted: object) -> bool:
    if isinstance(value, list):
        return set(wanted if isinstance(wanted, list) else [wanted]) <= set(value)
    return value == wanted
