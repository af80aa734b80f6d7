"""Commands over HTTP: `POST /v1/commands[?wait=SECONDS]` on the ops port (contracts.md sections 3 and 4).

The CloudEvents HTTP binding, structured or binary. The rules of what a command is stand in `schemas.intake`; the topic
router follows the same. Whether the caller may ask at all (bearer token) is the ops server's question.
"""

import asyncio
import math
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

import msgspec
import structlog
from aiohttp import web

from cordboard import metrics
from cordboard.clock import Clock
from cordboard.feed import FeedFullError, ResultFeed
from cordboard.problems import problem
from ingress.lane import NotDurableError
from ingress.reading import MAX_BODY_BYTES, RefusedError, read_body
from ingress.recorder import Recorder
from schemas.cloudevents import STRUCTURED, InvalidCloudEventError, is_binary
from schemas.intake import command_of, decode_command
from schemas.records import Command

MAX_WAIT_S = 60.0
_BODY_TIMEOUT_S = 5.0
_JSON = "application/json"
_TEXTS = {
    "encoding": "the body is packed: send it without Content-Encoding",
    "size": f"the body is too large: expected at most {MAX_BODY_BYTES} bytes",
    "slow_body": f"the body did not come within {_BODY_TIMEOUT_S:g} s",
    "gone": "the connection was lost before the body had come",
}


class Accepted(msgspec.Struct, frozen=True):
    """The 202: the command's own id, and the call that it is for (a new one for `call.dial`)."""

    id: str
    call_id: str


class CommandIntake:
    """Takes commands over HTTP and makes them durable."""

    def __init__(self, recorder: Recorder, feed: ResultFeed, clock: Clock, *, deadline_s: float = 60.0) -> None:
        self._recorder = recorder
        self._feed = feed
        self._clock = clock
        self._deadline_s = deadline_s
        self._say = structlog.get_logger("ingress.commands").bind()

    async def handle(self, request: web.Request) -> web.Response:
        """The answer to `POST /v1/commands`."""
        try:
            wait_s = _wait_of(request.query.get("wait"))
            body = await _command_body(request)
            command = self._read(_attributes(request.headers), body)
            return await self._take(command, wait_s)
        except _RefusalError as refusal:
            metrics.COMMANDS_REFUSED.labels(refusal.reason).inc()
            self._say.info("commands.refused", status=refusal.status.value, reason=refusal.reason)
            return refusal.response()

    def _read(self, attributes: Mapping[str, str], body: bytes) -> Command:
        try:
            event = decode_command(attributes, body)
        except InvalidCloudEventError as error:
            raise _RefusalError(HTTPStatus.BAD_REQUEST, "not_a_cloudevent", str(error)) from error
        command = command_of(event, at_ms=self._clock(), deadline_s=self._deadline_s)
        if command.invalid is not None:
            raise _RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", command.invalid)
        return command

    async def _take(self, command: Command, wait_s: float) -> web.Response:
        try:
            if wait_s == 0:
                await self._record(command)
                return _accepted(command)
            with self._feed.result_of(command.command_source, command.command_id) as result:
                await self._record(command)
                return await _result_or_accepted(command, result, wait_s)
        except NotDurableError as error:
            detail = "the log did not take the command: send it again with the same id"
            raise _RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "log_unavailable", detail) from error
        except FeedFullError as error:
            raise _RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_waiting", str(error)) from error

    async def _record(self, command: Command) -> None:
        await self._recorder.record(command, may_wait=False)  # its sender wants to know, and can send it again
        metrics.COMMANDS_RECEIVED.labels(command.name, "http").inc()
        self._say.info("commands.taken", call_id=command.call_id, command=command.name, command_id=command.command_id)


def add_command_routes(app: web.Application, intake: CommandIntake) -> None:
    """Mount `POST /v1/commands` on the ops server's application."""
    app.router.add_post("/v1/commands", intake.handle)


class _RefusalError(Exception):
    def __init__(self, status: HTTPStatus, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail

    def response(self) -> web.Response:
        """As problem+json."""
        headers = {"Retry-After": "1"} if self.status is HTTPStatus.SERVICE_UNAVAILABLE else None
        return problem(self.status, self.detail, headers)


async def _command_body(request: web.Request) -> bytes:
    """The body of a request whose content type a command can have: structured, or binary with JSON data."""
    content_type = request.content_type
    allowed = {_JSON} if is_binary(request.headers) else {STRUCTURED, _JSON}
    if content_type not in allowed and request.can_read_body:
        detail = f"Content-Type is {content_type[:80]!r}: expected {' or '.join(sorted(allowed))}"
        raise _RefusalError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_type", detail)
    try:
        return await read_body(request, _BODY_TIMEOUT_S)
    except RefusedError as refused:
        raise _RefusalError(HTTPStatus(refused.status), refused.reason, _TEXTS[refused.reason]) from refused


def _attributes(headers: Mapping[str, str]) -> dict[str, str]:
    """The `ce-` headers, percent-decoded as the HTTP binding wants."""
    return {name: unquote(value) for name, value in headers.items() if name.lower().startswith("ce-")}


def _wait_of(text: str | None) -> float:
    """Seconds to wait for the result, 0 for not at all."""
    try:
        wait_s = float(text or "0")
    except ValueError:
        wait_s = math.nan
    if not 0 <= wait_s <= MAX_WAIT_S:
        detail = f"wait must be seconds from 0 to {MAX_WAIT_S:g}"
        raise _RefusalError(HTTPStatus.BAD_REQUEST, "wait", detail)
    return wait_s


async def _result_or_accepted(command: Command, result: asyncio.Future[bytes], wait_s: float) -> web.Response:
    try:
        async with asyncio.timeout(wait_s):
            return web.Response(body=await result, content_type=STRUCTURED)
    except TimeoutError:
        return _accepted(command)


def _accepted(command: Command) -> web.Response:
    body = msgspec.json.encode(Accepted(id=command.command_id, call_id=command.call_id))
    return web.Response(status=HTTPStatus.ACCEPTED.value, body=body, content_type=_JSON)
