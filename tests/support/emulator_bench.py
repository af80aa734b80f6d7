"""A bench for the local Twilio: a customer's server that answers with given TwiML, and words to drive and to wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from emulator import Emulator, EmulatorConfig, NumberConfig, Person
from emulator.entities import Conference
from emulator.journal import Exchange

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "a-made-up-token"
NUMBER = "+15550100001"
CALLER = "+15550100002"
AGENT = "client:agent"
TARGET = "+15550100003"
EVENTS = "start end join leave mute hold modify announcement"
DEADLINE_S = 8.0
BenchFactory = Callable[[EmulatorConfig], Awaitable["Bench"]]


@dataclass(frozen=True, slots=True)
class Hit:
    """One request that the customer's server got."""

    path: str
    method: str
    params: dict[str, str]
    headers: dict[str, str]
    raw_path: str


Page = str | int | web.Response


@dataclass
class Site:
    """The customer's server. ``pages`` maps a path to TwiML, a status, an answer, or a function of the fields."""

    pages: "dict[str, Page | Callable[[dict[str, str]], Page]]" = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """Answers to these paths wait until the gate opens."""
    hits: list[Hit] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Site"]:
        """Serve on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        posted = {name: str(value) for name, value in (await request.post()).items()}
        params = posted if request.method == "POST" else dict(request.query)
        self.hits.append(Hit(request.path, request.method, params, dict(request.headers), request.raw_path))
        if request.path in self.gates:
            await self.gates[request.path].wait()
        page = self.pages.get(request.path, 204)
        answer = page(params) if callable(page) else page
        if isinstance(answer, web.StreamResponse):
            return answer
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.Response(text=answer, content_type="text/xml")

    def got(self, path: str, **params: str) -> list[Hit]:
        """Return the requests to a path whose fields have these values."""
        wanted = params.items()
        return [hit for hit in self.hits if hit.path == path and wanted <= hit.params.items()]


class _LocalHttpClient(AsyncTwilioHttpClient):
    """Sends twilio-python's requests to the local Twilio."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    async def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        auth: tuple[str, str],
        **rest: Any,
    ) -> Response:
        # aiohttp deprecates the BasicAuth object that twilio-python makes of ``auth`` (twilio-facts.md 8.2).
        signed = {**headers, "Authorization": aiohttp.encode_basic_auth(*auth)}
        for product in ("api", "taskrouter"):
            url = url.replace(f"https://{product}.twilio.com", self._base_url)
        return await super().request(method, url, headers=signed, **rest)


@dataclass
class Bench:
    """A local Twilio, a customer's server, and the person who drives both."""

    emulator: Emulator
    site: Site
    session: aiohttp.ClientSession

    @staticmethod
    def config(**changes: object) -> EmulatorConfig:
        """Return a configuration with quick people and short sounds."""
        config = EmulatorConfig(
            port=0,
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            numbers={NUMBER: NumberConfig()},
            default_person=Person(ring_s=0.02),
            seed=7,
            play_s=0.03,
            say_s=0.02,
        )
        return msgspec.structs.replace(config, **changes)

    @asynccontextmanager
    async def twilio(self) -> AsyncIterator[Client]:
        """Give twilio-python's asynchronous client."""
        async with _LocalHttpClient(self.emulator.url) as http:
            yield Client(ACCOUNT, TOKEN, http_client=http, environment={"_": ""})

    def url(self, path: str) -> str:
        """Return a URL of the customer's server."""
        return self.site.url + path

    async def control(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        """Call a control route; return status and JSON."""
        data = None if body is None else msgspec.json.encode(body)
        async with self.session.request(method, f"{self.emulator.url}/_emulator{path}", data=data) as answer:
            content = await answer.read()
            return answer.status, msgspec.json.decode(content) if content else {}

    async def rest(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, dict[str, object]]:
        """Call the REST API as the account; return status and JSON."""
        url = f"{self.emulator.url}/2010-04-01/Accounts/{ACCOUNT}{path}"
        headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
        async with self.session.request(method, url, data=form, headers=headers) as answer:
            content = await answer.read()
            return answer.status, msgspec.json.decode(content) if content else {}

    async def v1(
        self, method: str, path: str, form: dict[str, str] | None = None, account: tuple[str, str] = (ACCOUNT, TOKEN)
    ) -> tuple[int, dict[str, object]]:
        """Call the REST API of another product, by its whole path; return status and JSON."""
        headers = {"Authorization": aiohttp.encode_basic_auth(*account)}
        async with self.session.request(method, self.emulator.url + path, data=form, headers=headers) as answer:
            content = await answer.read()
            return answer.status, msgspec.json.decode(content) if content else {}

    async def person(self, address: str, **behaviour: object) -> None:
        """Say who answers at an address."""
        status, _ = await self.control("PUT", f"/people/{address}", behaviour)
        assert status == 200

    async def caller(self, twiml: str, *, from_: str = CALLER) -> str:
        """Let somebody call the number, which answers with this TwiML; return the CallSid."""
        self.site.pages["/voice"] = twiml
        await self.control("PUT", f"/numbers/{NUMBER}", {"voice_url": self.url("/voice")})
        status, body = await self.control("POST", "/calls", {"from": from_, "to": NUMBER})
        assert status == 201, body
        return str(body["call_sid"])

    async def caller_in(self, room: str, *, label: str = "customer", **attributes: str) -> str:
        """Let a caller join a conference that tells all its events to ``/conf``; return the CallSid."""
        given = {"statusCallback": self.url("/conf"), "statusCallbackEvent": EVENTS, "waitUrl": "", **attributes}
        written = " ".join(f'{name}="{value}"' for name, value in given.items())
        noun = f'<Conference participantLabel="{label}" {written}>{room}</Conference>'
        sid = await self.caller(f'<Response><Dial action="/after">{noun}</Dial><Hangup/></Response>')
        await self.until(lambda: self.joined(room, sid), f"{label} in {room}")
        return sid

    async def agent_in(self, room: str, to: str = AGENT, **form: str) -> str:
        """Dial somebody into a conference and wait until they are there; return the CallSid."""
        fields = {"From": NUMBER, "To": to, **form}
        status, body = await self.rest("POST", f"/Conferences/{room}/Participants.json", fields)
        assert status == 201, body
        sid = str(body["call_sid"])
        await self.until(lambda: self.joined(room, sid), f"{to} in {room}")
        return sid

    def room(self, name: str) -> Conference:
        """Return the latest conference of that name."""
        rooms = [room for room in self.emulator.world.conferences.values() if room.name == name]
        assert rooms, f"there is no conference {name}"
        return rooms[-1]

    def joined(self, name: str, call_sid: str) -> bool:
        """Tell whether a call is in the conference."""
        room = self.emulator.world.active_room(ACCOUNT, name)
        return room is not None and any(member.call.sid == call_sid for member in room.joined())

    def status(self, call_sid: str) -> str:
        """Return a call's status."""
        return self.emulator.world.calls[call_sid].status.value

    def sent(self, kind: str, **params: str) -> list[Exchange]:
        """Return the requests of a kind that the local Twilio made, with these fields."""
        entries = self.emulator.world.exchanges.entries
        return [entry for entry in entries if entry.kind == kind and params.items() <= entry.params.items()]

    def conference_events(self, name: str = "") -> list[str]:
        """Return the conference events sent, in order."""
        return [entry.event for entry in self.sent("conference") if name in {"", entry.params["FriendlyName"]}]

    async def until(self, condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: it did not, within the deadline.

        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s} s: {what}")
            await asyncio.sleep(0.002)

    async def settled(self) -> None:
        """Wait until all callbacks are delivered."""
        assert await self.emulator.world.callbacks.settled(DEADLINE_S), "callbacks are still waiting"
