"""A recorder in Twilio's place: keeps what came over the wire, answers as a test has scripted.

It knows nothing of calls and conferences; the local Twilio that does is `emulator/`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "0123456789abcdef0123456789abcdef"
CALL_1 = "CA00000000000000000000000000000001"
CALL_2 = "CA00000000000000000000000000000002"
ROOM = "CF00000000000000000000000000000001"
PREFIX = f"/2010-04-01/Accounts/{ACCOUNT}"
CALLS = f"{PREFIX}/Calls.json"
CONFERENCES = f"{PREFIX}/Conferences.json"


class Request(msgspec.Struct, frozen=True):
    """One request as it stood on the wire. `form` and `query` keep order and repetitions."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    form: tuple[tuple[str, str], ...]
    headers: dict[str, str]

    def field(self, name: str) -> str | None:
        """The first value of a form field."""
        return next((value for key, value in self.form if key == name), None)


class Reply(msgspec.Struct, frozen=True):
    """An answer. `status` 0 closes the connection without one; `after` is awaited before it is given."""

    status: int
    body: object = None
    headers: dict[str, str] = {}
    after: Callable[[], Awaitable[object]] | None = None


def refusal(status: int, code: int) -> Reply:
    """An error in the form of the 2010 API."""
    return Reply(status, {"code": code, "message": "scripted", "more_info": "", "status": status})


def participant(call_sid: str, label: str | None = None, conference_sid: str = ROOM) -> dict[str, object]:
    """A participant as Twilio shows it."""
    return {
        "account_sid": ACCOUNT,
        "call_sid": call_sid,
        "label": label,
        "conference_sid": conference_sid,
        "muted": False,
        "hold": False,
        "end_conference_on_exit": False,
        "coaching": False,
        "call_sid_to_coach": None,
        "status": "connected",
    }


def conference(status: str = "in-progress", sid: str = ROOM) -> dict[str, object]:
    """A conference as Twilio shows it."""
    return {"sid": sid, "account_sid": ACCOUNT, "friendly_name": "room-x", "status": status}


def call(sid: str, status: str = "queued", date_created: str | None = None) -> dict[str, object]:
    """A call as Twilio shows it."""
    return {
        "sid": sid,
        "account_sid": ACCOUNT,
        "status": status,
        "direction": "outbound-api",
        "date_created": date_created,
    }


def participants_path(room: str = ROOM) -> str:
    """Where a conference's participants are created and listed."""
    return f"{PREFIX}/Conferences/{room}/Participants.json"


def participant_path(who: str, room: str = ROOM) -> str:
    """One participant, by CallSid or label."""
    return f"{PREFIX}/Conferences/{room}/Participants/{who}.json"


def call_path(sid: str) -> str:
    """One call."""
    return f"{PREFIX}/Calls/{sid}.json"


def conference_path(sid: str = ROOM) -> str:
    """One conference."""
    return f"{PREFIX}/Conferences/{sid}.json"


class FakeTwilio:
    """Records and answers. Scripted replies come in turn; the last one stays. `async with` serves on a free port."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.url = ""
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Answer `method path` with these, one after the other."""
        self._replies[method, path] = list(replies)

    def sent(self, method: str, path: str) -> list[Request]:
        """What has come to one place so far."""
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    async def arrived(self, count: int, within_s: float = 5.0) -> None:
        """Wait until `count` requests have come in all."""
        async with asyncio.timeout(within_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._record(request)
            reply = self._next(request.method, request.raw_path.partition("?")[0])
            if reply.after is not None:
                await reply.after()
        finally:
            self.in_flight -= 1
        if reply.status == 0 and request.transport is not None:
            request.transport.close()
        body = reply.body if isinstance(reply.body, str) else msgspec.json.encode(reply.body).decode()
        status = reply.status or 500
        text = "" if status == 204 else body
        return web.Response(status=status, text=text, headers=reply.headers, content_type="application/json")

    async def _record(self, request: web.Request) -> None:
        form = [(key, str(value)) for key, value in (await request.post()).items()]
        async with self._arrived:
            self.requests.append(
                Request(
                    method=request.method,
                    path=request.raw_path.partition("?")[0],
                    query=tuple(request.query.items()),
                    form=tuple(form),
                    headers=dict(request.headers),
                )
            )
            self._arrived.notify_all()

    def _next(self, method: str, path: str) -> Reply:
        replies = self._replies.get((method, path))
        if not replies:
            return refusal(404, 20404)
        return replies.pop(0) if len(replies) > 1 else replies[0]
