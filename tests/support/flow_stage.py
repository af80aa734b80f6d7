"""Where a call flow is played: Cordboard as a process on the journal, and a local Twilio that takes one step at a time.

Real callbacks may overtake one another. Here Twilio tells the next thing only when Cordboard has done everything about
the last one, so that two runs of a flow tell the same story. Other orders are the business of tests/simulation.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from emulator import EmulatorConfig, NumberConfig, Person, recording
from emulator.exchange import Exchanger, Reply
from emulator.journal import Exchange, RestRequest
from emulator.people import Answer
from emulator.rest.answer import WORLD
from emulator.server import create_app
from emulator.switches import Order, Switches
from emulator.taskrouter.config import TaskRouterConfig, WorkerConfig
from emulator.world import World
from stack import ACCOUNT, NUMBER, TOKEN, Json, Stack
from task_events import TOLD

Gate = Callable[[], Awaitable[None]]
PATIENCE_S = 30.0
POLL_S = 0.004
WORKER = "+15550144"


async def soon(what: str, happens: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what takes milliseconds, hundreds of times a page. Fails with `what` was waited for."""
    deadline = time.monotonic() + PATIENCE_S
    while not await happens():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        await asyncio.sleep(POLL_S)


class Record(msgspec.Struct, frozen=True):
    """An inbox record of the call, and the instant at which it was taken (epoch seconds)."""

    at_s: float
    body: Json

    @property
    def id(self) -> str:
        """Its id, which events name as their cause."""
        return str(self.body["id"])


class Told(msgspec.Struct, frozen=True):
    """A request of Twilio's to Cordboard, and when it began (epoch seconds)."""

    at_s: float
    exchange: Exchange


def instant(event: Json) -> float:
    """When an event was told, epoch seconds."""
    return datetime.fromisoformat(event["time"]).timestamp()


class OneByOne(Exchanger):
    """Twilio's requests, one after the other in the order in which they arose, each behind the gate."""

    def __init__(self, world: World, gate: Gate) -> None:
        super().__init__(world)
        self._gate = gate
        self._turn = asyncio.Condition()
        self._waiting: set[int] = set()
        self.told: list[Told] = []

    @property
    def busy(self) -> bool:
        """Whether a request waits or is under way."""
        return bool(self._waiting)

    async def run(self, entry: Exchange, account_sid: str, *, limit_s: float = 15.0) -> Reply:
        """Wait for the turn and for the gate, then make the request as Twilio does."""
        self._waiting.add(entry.number)
        try:
            async with self._turn:
                await self._turn.wait_for(lambda: entry.number == min(self._waiting))
            await self._gate()
            self.told.append(Told(time.time(), entry))
            return await super().run(entry, account_sid, limit_s=limit_s)
        finally:
            async with self._turn:
                self._waiting.discard(entry.number)
                self._turn.notify_all()


class Stage(Stack):
    """A `Stack` on the journal whose local Twilio lives in this process and goes step by step."""

    def __init__(self, folder: Path, policy: str = "") -> None:
        super().__init__(folder)
        self.journal(policy)
        del self.services["emulator"]
        self.call_id: str | None = None
        self.held_back = False
        """Whether Twilio has to wait until `call_id` is known: for a call that begins with a command."""
        self.twilio_tells: OneByOne
        self._world: World
        self._twilio = AsyncExitStack()
        self._reading: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Start Twilio, then Cordboard."""
        await self._serve()
        await super().__aenter__()
        await self.twilio("PUT", "/people/default", {"answer": "asks"})
        for target in ("+15550122", "+15550133"):
            await self.twilio("PUT", f"/people/{target}", {"answer": "asks"})
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop both."""
        if self._reading is not None:
            self._reading.close()
        await super().__aexit__(*error)
        await self._twilio.aclose()

    async def _serve(self) -> None:
        at = urlsplit(self.emulator)
        config = EmulatorConfig(
            host=str(at.hostname), port=at.port or 0, account_sid=ACCOUNT, auth_token=TOKEN, say_s=0.01, play_s=0.01,
            numbers={NUMBER: NumberConfig(voice_url=f"{self.ingress}/v1/voice/twiml")},
            default_person=Person(answer=Answer.ASKS), switches=Switches(u9_join_before_answered=Order.LAST),
            taskrouter=TaskRouterConfig(
                queues={"support": "1==1"}, workers={"carla": WorkerConfig(contact_uri=WORKER)}, events_filter=TOLD,
                assignment_callback_url=f"{self.ingress}/v1/taskrouter/assignment",
                event_callback_url=f"{self.ingress}/v1/taskrouter/events",
            ),
        )  # fmt: skip
        app = create_app(config)
        self._world = app[WORLD]
        self.twilio_tells = self._world.exchanger = OneByOne(self._world, self.quiet)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._twilio.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, config.host, config.port).start()

    def inbox(self) -> list[Record]:
        """What happened to the call so far, in the order in which it was applied. Empty before it is known."""
        rows = self._rows("SELECT at_ms, value FROM log WHERE topic = 'call.inbox' AND key = ? ORDER BY offset")
        return [Record(at_ms / 1000, msgspec.json.decode(value)) for at_ms, value in rows]

    def _asked(self) -> set[str]:
        rows = self._rows("SELECT value FROM log WHERE topic = 'call.actions' AND key = ?")
        return {msgspec.json.decode(value)["id"] for (value,) in rows}

    def newest_call(self, but: str = "") -> str | None:
        """The call that began last, unless it is the one named."""
        found = self._rows("SELECT key FROM log WHERE topic = 'call.inbox' ORDER BY at_ms DESC LIMIT 1", keyed=False)
        newest = str(found[0][0], "ascii") if found else None
        return None if newest == but else newest

    @property
    def rest_taken(self) -> list[RestRequest]:
        """The REST requests that the local Twilio has taken."""
        return list(self._world.rest.entries)

    def is_recorded(self, call_sid: str) -> bool:
        """Whether the local Twilio records a call."""
        return bool(recording.of(self._world, call_sid))

    def check(self) -> None:
        """Fail when the local Twilio itself has broken: what was recorded is then worth nothing."""
        assert self._world.crashes == 0, f"{self._world.crashes} tasks of the local Twilio broke; its log says why"

    def _rows(self, query: str, *, keyed: bool = True) -> list[Any]:
        if self._reading is None:
            self._reading = sqlite3.connect(f"file:{self.folder / 'journal.db'}?mode=ro", uri=True)
        return self._reading.execute(query, ((self.call_id or "").encode(),) if keyed else ()).fetchall()

    async def quiet(self) -> None:
        """Wait until Cordboard has applied everything about the call, and every action of it has been reported."""

        async def still() -> bool:
            if self.call_id is None:
                return not self.held_back
            records = self.inbox()
            known = len(records)  # each one makes a version, a repeated one too
            if self._asked() - {record.body.get("action") for record in records}:
                return False
            status, view = await self.request("GET", f"{self.reads}/v1/calls/{self.call_id}")
            return known == 0 or (status == 200 and view["version"] >= known and not view["pending_actions"])

        await soon("Cordboard to be done", still)

    async def settled(self) -> None:
        """Wait until nobody has anything more to say: neither Twilio nor Cordboard."""
        seen = 0

        async def still() -> bool:
            nonlocal seen
            before = len(self.twilio_tells.told), len(self.inbox())
            await self.quiet()
            after = len(self.twilio_tells.told), len(self.inbox())
            matching = any(centre.changed.is_set() for centre in self._world.workspaces.values())
            seen = seen + 1 if before == after and not self.twilio_tells.busy and not matching else 0
            return seen > 1

        await soon("everybody to be still", still)
