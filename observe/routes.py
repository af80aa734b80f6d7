"""The routes that read, under `/v1` of the ops port (contracts.md section 3). Answers are made by the models."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from http import HTTPStatus

import msgspec
from aiohttp import web

from cordboard.log.port import Log
from cordboard.problems import ProblemError
from observe.attempts import attempts_of
from observe.calls import Calls, InvalidCursorError
from observe.dead_letters import DeadLetters, InvalidDeadLetterIdError, NotRedrivableError
from observe.envelopes import TypeFilter
from observe.stream import EventStream, InvalidPositionError, gap_frame
from observe.tail import Tail
from observe.timeline import Timelines
from schemas.ids import is_call_id
from schemas.state import CallState
from schemas.view import view_of

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_STREAMS = 64
_CATCH_UP_S = 2.0
_FRESH_S = 1.0


class Reading:
    """The handlers over the three models, and the open event streams."""

    def __init__(
        self, log: Log, calls: Calls, timelines: Timelines, letters: DeadLetters, *, stop: asyncio.Event
    ) -> None:
        self._log = log
        self._calls = calls
        self._timelines = timelines
        self._letters = letters
        self._stop = stop
        self._streams = 0

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        app.add_routes(
            [
                web.get("/v1/calls", self.list_calls),
                web.get("/v1/calls/{call_id}", self.show_call),
                web.get("/v1/calls/{call_id}/events", self.show_timeline),
                web.get("/v1/events", self.stream_events, allow_head=False),
                web.get("/v1/dead-letters", self.list_letters),
                web.get("/v1/dead-letters/{id}", self.show_letter),
                web.post("/v1/dead-letters/{id}/redrive", self.redrive_letter),
            ]
        )

    async def list_calls(self, request: web.Request) -> web.Response:
        """`GET /v1/calls?state=&limit=&after=`."""
        await _ready(self._calls.tail)
        _only(request, "state", "limit", "after")
        try:
            page = self._calls.page(_state(request), _limit(request), request.query.get("after"))
        except InvalidCursorError as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
        return _json(page)

    async def show_call(self, request: web.Request) -> web.Response:
        """`GET /v1/calls/{call_id}`; the CallSid of any of its legs will do."""
        await _ready(self._calls.tail)
        call_id = self._calls.call_of(_call_id(request))
        call = self._calls.get(call_id)
        if call is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                f"{call_id} is neither live nor lately ended; what is known of it: GET /v1/calls/{call_id}/events",
            )
        pending = {item.action.id for item in call.pending}
        return _json(view_of(call, await attempts_of(self._log, call_id, pending)))

    async def show_timeline(self, request: web.Request) -> web.Response:
        """`GET /v1/calls/{call_id}/events`; the CallSid of any of its legs will do."""
        await _ready(self._timelines.tail)
        call_id = self._calls.call_of(_call_id(request))
        timeline = await self._timelines.of(call_id, self._calls.created_at(call_id))
        if not timeline.events and self._calls.get(call_id) is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"nothing is known of {call_id}")
        return _json(timeline)

    async def list_letters(self, request: web.Request) -> web.Response:
        """`GET /v1/dead-letters?limit=&after=`."""
        await _ready(self._letters.tail)
        _only(request, "limit", "after")
        try:
            page = self._letters.page(_limit(request), request.query.get("after"))
        except InvalidDeadLetterIdError as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
        return _json(page)

    async def show_letter(self, request: web.Request) -> web.Response:
        """`GET /v1/dead-letters/{id}`."""
        letter_id = request.match_info["id"]
        try:
            letter = await self._letters.find(letter_id)
        except InvalidDeadLetterIdError as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
        if letter is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no dead letter {letter_id}")
        return _json(letter)

    async def redrive_letter(self, request: web.Request) -> web.Response:
        """`POST /v1/dead-letters/{id}/redrive`: 202 once it is back in."""
        letter_id = request.match_info["id"]
        try:
            redriven = await self._letters.redrive(letter_id)
        except InvalidDeadLetterIdError as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except NotRedrivableError as error:
            raise ProblemError(HTTPStatus.CONFLICT, str(error)) from error
        if redriven is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no dead letter {letter_id}")
        return _json(redriven, HTTPStatus.ACCEPTED)

    async def stream_events(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/events?from=latest|earliest&type=&call=` as server-sent events."""
        _only(request, "from", "type", "call")
        if self._streams >= MAX_STREAMS:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MAX_STREAMS} streams are open, no more are served",
                headers={"Retry-After": "5"},
            )
        self._streams += 1
        try:
            return await self._stream(request)
        finally:
            self._streams -= 1

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        stream = EventStream(self._timelines.log, types=_types(request), call_id=_call_filter(request))
        try:
            positions, gaps = await stream.start(
                earliest=_from_earliest(request), last_event_id=request.headers.get("Last-Event-ID")
            )
        except InvalidPositionError as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        with suppress(ConnectionResetError):  # the client went away: nobody is left to be told anything
            await response.write(b"".join(gap_frame(gap) for gap in gaps))
            async with aclosing(stream.frames(positions)) as frames:
                async for frame in _until(self._stop, frames):
                    if frame:
                        await response.write(frame)
            await response.write_eof()
        return response


async def _until(stop: asyncio.Event, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for frame in frames:
        yield frame
        if stop.is_set():
            return


async def _ready(tail: Tail) -> None:
    if not await tail.caught_up(_CATCH_UP_S):
        reason = await tail.check() or "not read yet"
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, reason, headers={"Retry-After": "1"})
    await tail.fresh(_FRESH_S)


def _json(body: msgspec.Struct, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def _only(request: web.Request, *names: str) -> None:
    unknown = sorted(set(request.query) - set(names))
    if unknown:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"unknown in the query: {', '.join(unknown)[:200]}; allowed are {', '.join(names)}"
        )


def _call_id(request: web.Request) -> str:
    call_id = request.match_info["call_id"]
    if not is_call_id(call_id):
        raise ProblemError(HTTPStatus.NOT_FOUND, f"{call_id[:80]!r} cannot be a call id")
    return call_id


def _call_filter(request: web.Request) -> str | None:
    call_id = request.query.get("call") or None
    if call_id is not None and not is_call_id(call_id):
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"call={call_id[:80]!r} cannot be a call id")
    return call_id


def _state(request: web.Request) -> CallState | None:
    text = request.query.get("state") or None
    try:
        return None if text is None else CallState(text)
    except ValueError:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"state={text!r} is no state of a call: expected {', '.join(CallState)}"
        ) from None


def _limit(request: web.Request) -> int:
    text = request.query.get("limit") or str(DEFAULT_LIMIT)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"limit={text[:20]!r}: expected 1 to {MAX_LIMIT}")
    return int(text)


def _from_earliest(request: web.Request) -> bool:
    text = request.query.get("from") or "latest"
    if text not in {"latest", "earliest"}:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"from={text[:20]!r}: expected latest or earliest")
    return text == "earliest"


def _types(request: web.Request) -> TypeFilter:
    return TypeFilter([name for text in request.query.getall("type", []) for name in text.split(",") if name])
