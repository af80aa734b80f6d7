"""What lies between Twilio and us: callbacks with Twilio's retries, TwiML, and the workers' requests, all of it slow.

The ingress' handlers and the workers' whole client run as they are; only sockets and signatures are left out.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import aiohttp
import msgspec
from aiohttp import web
from twilio.http.response import Response

from ingress.handling import Ingress
from ingress.reading import Incoming, RefusedError
from schemas.routes import Route
from simulation.loop import KilledError
from simulation.phones import ACCOUNT, Line, Refused
from simulation.plan import Effect, Fault, Where
from simulation.process import Process
from simulation.rest import Fields

if TYPE_CHECKING:
    from simulation.world import World

PUBLIC_URL = "https://cordboard.example"
_RETRIES = 3
_BUDGET_S = 15.0
_CONNECT_S = 2.0
_ANSWER_S = 4.0
_CLIENT_TIMEOUT_S = 8.0
_CALLBACK_DELAYS_S = (0.005,) * 4 + (0.02,) * 4 + (0.05,) * 4 + (0.3,) * 3 + (4.0,)
"""Mostly quick; one in sixteen is overtaken by others."""
_MESSAGE_S = 2.0
_OK = 300


class UnsignedIngress(Ingress):
    """The ingress behind its signature check."""

    async def deliver(self, incoming: Incoming, route: Route) -> web.Response:
        """The answer to a request that was read and verified."""
        try:
            return await self._answer(incoming, route)
        except RefusedError as refused:
            return web.Response(status=refused.status)


class Attempt(msgspec.Struct):
    """One try of a request at one node; the moments are places in one order of all of them. `answered` 2xx, or None."""

    node: str
    began: int
    answered: int | None = None


class Callback(msgspec.Struct):
    """One request of Twilio's to us. `acked`: answered 2xx. `lost`: given up, or never sent."""

    number: int
    url: str
    form: Fields
    acked: bool = False
    lost: bool = False
    attempts: list[Attempt] = []

    @property
    def route(self) -> Route:
        """Where it goes."""
        return Route(urlsplit(self.url).path)


class Network:
    """Carries requests in both directions."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._moments = itertools.count()
        self.callbacks: list[Callback] = []

    # Twilio to us

    def tell(self, url: str, form: Fields) -> None:
        """Send a callback."""
        world = self._world
        callback = Callback(len(self.callbacks), url, form)
        self.callbacks.append(callback)
        fault = world.script.next(Where.CALLBACK)
        delay_s = world.rng.choice(_CALLBACK_DELAYS_S) * world.rng.random()
        event = form.get("StatusCallbackEvent") or form.get("EventType") or form.get("Result") or form.get("Status")
        event = event or form.get("CallStatus", "")
        about = form.get("ParticipantLabel") or form.get("CallSid", "")[-6:]
        world.trace(f"twilio tells {event} {about}{f' [{fault.effect.value}]' if fault else ''}")
        if fault is not None and fault.effect is Effect.LOST:
            callback.lost = True
            return
        if fault is not None and fault.effect is Effect.DELAY:
            delay_s += fault.seconds
        world.later(delay_s, lambda: world.outside(self._send(callback, url)))
        if fault is not None and fault.effect is Effect.TWICE:
            world.later(delay_s + fault.seconds, lambda: world.outside(self._send(callback, url)))

    async def _send(self, callback: Callback, url: str) -> None:
        if await self._post(url, callback) is None:
            callback.lost = callback.lost or not callback.acked
            self._world.trace("twilio gives up a callback")
        else:
            callback.acked = True

    async def _post(self, url: str, callback: Callback) -> bytes | None:
        """The body of the first good answer within Twilio's budget, None for none."""
        loop = self._world.loop
        until = loop.time() + _BUDGET_S
        for _ in range(1 + _RETRIES):
            began = loop.time()
            answer = await self._attempt(url, callback)
            if answer is not None and answer.status < _OK:
                return bytes(answer.body) if isinstance(answer.body, bytes) else b""
            if loop.time() > until:
                break
            await asyncio.sleep(max(0.05, 0.5 - (loop.time() - began)))
        return None

    async def _attempt(self, url: str, callback: Callback) -> web.Response | None:
        process, ingress = self._world.an_ingress()
        if process is None or ingress is None:
            await asyncio.sleep(_CONNECT_S)
            return None
        parts = urlsplit(url)
        incoming = Incoming("POST", f"{parts.path}?{parts.query}", urlencode(callback.form).encode(), is_form=True)
        attempt = Attempt(process.name.rpartition(".")[0], next(self._moments))
        callback.attempts.append(attempt)
        task = process.spawn(ingress.deliver(incoming, Route(parts.path)))
        await asyncio.wait({task}, timeout=_ANSWER_S)
        if not task.done() or task.cancelled() or task.exception() is not None:
            return None
        answer: web.Response = task.result()
        if answer.status < _OK and b"<Redirect" not in (answer.body if isinstance(answer.body, bytes) else b""):
            attempt.answered = next(self._moments)
        return answer

    # TwiML

    def fetch(self, line: Line, url: str) -> None:
        """Let a call run the document at `url` from now on."""
        self._world.centre.leave(line, "redirected")
        line.turn += 1
        self._world.outside(self._run(line, url, line.turn))

    async def ask(self, url: str, form: Fields) -> bytes | None:
        """A request whose answer matters; its body, None for none."""
        callback = Callback(len(self.callbacks), url, form)
        self.callbacks.append(callback)
        body = await self._post(url, callback)
        callback.acked = body is not None
        return body

    async def _connect(self, line: Line, connect: ET.Element, turn: int) -> None:
        """`<Connect><Conversation>`: the session, then the action, whose answer nobody hears who has hung up."""
        told = await self._world.service.serve(line, connect[0])
        url = connect.get("action", "")
        if line.is_over:
            self.tell(url, {"AccountSid": ACCOUNT, "CallSid": line.sid, "CallStatus": line.status, **told})
        else:
            await self._run(line, url, turn, told)

    async def _run(self, line: Line, url: str, turn: int, told: Fields | None = None) -> None:
        form = {
            "AccountSid": ACCOUNT, "CallSid": line.sid, "CallStatus": line.status, "From": line.from_, "To": line.to,
            "Direction": line.direction, "ApiVersion": "2010-04-01", **(told or {}),
        }  # fmt: skip
        callback = Callback(len(self.callbacks), url, form)
        self.callbacks.append(callback)
        body = await self._post(url, callback)
        callback.acked = body is not None and b"<Redirect" not in body
        if line.turn != turn or line.is_over:
            return
        if body is None:
            self._world.trace(f"no TwiML for {line.sid[-6:]}")
            self._world.phones.finish(line, "failed" if line.status == "ringing" else "completed")
            return
        await self._perform(line, ET.fromstring(body), turn)  # noqa: S314 - our own TwiML

    async def _perform(self, line: Line, document: ET.Element, turn: int) -> None:
        phones = self._world.phones
        for verb in document:
            if line.turn != turn or line.is_over:
                return
            phones.answer_inbound(line)
            if verb.tag in {"Pause", "Say", "Play"}:
                await asyncio.sleep(float(verb.get("length", "1")))
            elif verb.tag == "Record":
                await asyncio.sleep(_MESSAGE_S)
                self.fetch(line, verb.get("action", ""))
                return
            elif verb.tag == "Redirect":
                self.fetch(line, verb.text or "")
                return
            elif verb.tag == "Enqueue":
                self._world.centre.enqueue(line, verb)
                return
            elif verb.tag == "Connect":
                await self._connect(line, verb, turn)
                return
            elif verb.tag == "Dial":
                self._enter(line, verb[0])
                return
        if line.turn == turn:
            phones.finish(line, "completed")

    def _enter(self, line: Line, conference: ET.Element) -> None:
        phones = self._world.phones
        room = phones.room_of(conference.text or "", conference.get("statusCallback", ""))
        ends = conference.get("endConferenceOnExit") == "true"
        try:
            place = phones.enter(line, room, conference.get("participantLabel", ""), end_on_exit=ends)
        except Refused:  # 16025: the label is taken
            phones.finish(line, "completed")
            return
        phones.join(place)

    # Us to Twilio

    async def request(self, process: Process, method: str, path: str, fields: Fields, action: str) -> Response:
        """A REST request of a worker. Raises what aiohttp would."""
        world = self._world
        process.require_alive()
        fault = world.script.next(Where.REST)
        world.trace(f"{process.name} {method} {path.rpartition('5555/')[2]} {action[-12:]}{_named(fault)}")
        await asyncio.sleep(world.rng.choice((0.0, 0.003, 0.02)))
        await self._before(process, fault)
        stray = world.has_slept_since_its_check(process, action) or _outlives_its_sender(fault)

        def effect() -> Response:
            if stray:
                world.strays.add((action, world.loop.time()))
            return self._effect(method, path, fields, action)

        answer = await self._carried_out(fault, effect)
        process.require_alive()
        await self._after(process, fault)
        await asyncio.sleep(world.rng.choice((0.0, 0.003, 0.02)))
        return answer

    async def _before(self, process: Process, fault: Fault | None) -> None:
        match fault.effect if fault is not None else None:
            case Effect.REFUSED:
                raise aiohttp.ConnectionTimeoutError
            case Effect.TIMEOUT:
                await asyncio.sleep(_CLIENT_TIMEOUT_S)
                raise TimeoutError
            case Effect.CRASH_BEFORE:
                self._world.kill(process)
                raise KilledError
            case Effect.PAUSE_BEFORE if fault is not None:
                self._world.pause(process, fault.seconds)
                await asyncio.sleep(0)
            case _:
                return

    async def _carried_out(self, fault: Fault | None, effect: Callable[[], Response]) -> Response:
        match fault.effect if fault is not None else None:
            case Effect.LIMITED:
                return _response(429, {"code": 20429})
            case Effect.UNAVAILABLE:
                return _response(503, {})
            case Effect.DELAY if fault is not None:
                return await self._late(fault.seconds, effect)
            case _:
                return effect()

    async def _late(self, seconds: float, effect: Callable[[], Response]) -> Response:
        """It takes so long on its way that the client may have gone when it takes effect."""
        answered = self._world.loop.create_future()

        def arrive() -> None:
            answer = effect()
            if not answered.done():
                answered.set_result(answer)

        self._world.later(seconds, arrive)
        async with asyncio.timeout(_CLIENT_TIMEOUT_S):
            answer: Response = await answered
            return answer

    async def _after(self, process: Process, fault: Fault | None) -> None:
        match fault.effect if fault is not None else None:
            case Effect.TIMEOUT_AFTER:
                await asyncio.sleep(_CLIENT_TIMEOUT_S)
                raise TimeoutError
            case Effect.RESET_AFTER:
                raise aiohttp.ServerDisconnectedError
            case Effect.ERROR_AFTER:
                raise _ErrorAfterError
            case Effect.CRASH_AFTER:
                self._world.kill(process)
                raise KilledError
            case Effect.PAUSE_AFTER if fault is not None:
                self._world.pause(process, fault.seconds)
                await asyncio.sleep(0)
            case _:
                return

    def _effect(self, method: str, path: str, fields: Fields, action: str) -> Response:
        try:
            status, body = self._world.rest.answer(method, path, fields, action)
        except Refused as refused:
            status, body = refused.status, {"code": refused.code, "message": "", "status": refused.status}
        self._world.trace(f"twilio answers {status} {body.get('code', '')}")
        return _response(status, body)


class _ErrorAfterError(Exception):
    """Twilio did it and answers 500 all the same."""


async def answered(network: Network, process: Process, method: str, path: str, fields: Fields, action: str) -> Response:
    """`Network.request`, with a 500 for what was done and broke afterwards."""
    try:
        return await network.request(process, method, path, fields, action)
    except _ErrorAfterError:
        return _response(500, {})


def _outlives_its_sender(fault: Fault | None) -> bool:
    """Whether the network keeps a request for longer than any sender waits for its answer."""
    return fault is not None and fault.effect is Effect.DELAY and fault.seconds > _CLIENT_TIMEOUT_S


def _response(status: int, body: dict[str, object]) -> Response:
    headers = {"ETag": body["etag"]} if "etag" in body else {}
    return Response(status, msgspec.json.encode(body).decode() if status != 204 else "", headers)


def _named(fault: Fault | None) -> str:
    return f" [{fault.effect.value}]" if fault is not None else ""
