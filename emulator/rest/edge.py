"""Twilio's front door: authentication, the ledger, faults, limits, and errors as Twilio words them."""

import base64
import binascii
import hmac
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from emulator.errors import RestError, not_found
from emulator.faults import Effect, Fault
from emulator.journal import RestRequest
from emulator.rest.answer import ACCOUNT, WORLD, reply
from emulator.rest.form import Form, read_form
from emulator.world import World

log = structlog.get_logger("emulator")
CONTROL = "/_emulator"
OWN = "Emulator-Own"
"""A header of requests that a scenario makes itself: no application goes on with their answer."""
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
BODIES_KEPT = 500
MAX_BODY_KEPT = 16_384
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def front_door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle one REST request: write it down, let it in, and answer in Twilio's form."""
    if request.path.startswith(CONTROL):
        _keep_out(request)
        return await handler(request)
    world = request.app[WORLD]
    begun, begun_real = world.clock.monotonic(), time.perf_counter()
    entry = world.rest.add(
        RestRequest(
            number=world.rest.total + 1,
            at=world.clock.now(),
            monotonic=begun,
            method=request.method,
            path=request.path,
            query=request.query_string,
            form=[],
        )
    )
    world.rest_in_flight += 1
    try:
        response = await _answer(request, handler, entry)
    finally:
        world.rest_in_flight -= 1
        entry.duration_s = world.clock.monotonic() - begun
        if OWN not in request.headers:
            world.clock.contacted()
    response.headers["Twilio-Request-Id"] = world.sids.new("RQ")
    response.headers["Twilio-Concurrent-Requests"] = str(world.rest_in_flight + 1)
    response.headers["Twilio-Request-Duration"] = f"{entry.duration_s:.3f}"
    response.headers["X-Home-Region"] = "us1"
    entry.status = response.status
    world.statistics.asked(entry.method, entry.status, time.perf_counter() - begun_real)
    _keep_body(world, entry, response)
    log.debug("emulator.rest", method=entry.method, path=entry.path, status=entry.status, code=entry.code)
    return response


def _keep_out(request: web.Request) -> None:
    """Refuse a control request that a page of another site makes in somebody's browser.

    Raises:
        HTTPForbidden: the Origin is not this address.

    """
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        text = '{"status": 403, "detail": "control routes are not for pages of other sites"}'
        raise web.HTTPForbidden(text=text, content_type="application/json")


def _keep_body(world: World, entry: RestRequest, response: web.StreamResponse) -> None:
    """Keep the answer for the inspector, and forget the one that is ``BODIES_KEPT`` requests older."""
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        entry.body = response.body[:MAX_BODY_KEPT]
    entries = world.rest.entries
    if len(entries) > BODIES_KEPT:
        entries[-BODIES_KEPT - 1].body = None


async def _answer(request: web.Request, handler: Handler, entry: RestRequest) -> web.StreamResponse:
    world = request.app[WORLD]
    try:
        _authenticate(world, request)
        _limit(world)
        entry.form = (await _form(request)).pairs
        fault = world.faults.for_rest(request.method, request.path)
        return await (_faulty(request, handler, entry, fault) if fault else handler(request))
    except RestError as error:
        entry.code = error.code
        return _error(world, error)
    except web.HTTPNotFound:
        return _error(world, not_found(request.path))
    except web.HTTPMethodNotAllowed:
        return _error(world, RestError(405, 20004, f"Method {request.method} is not allowed here"))
    except Exception:
        world.crashes += 1
        raise


async def _form(request: web.Request) -> Form:
    return await read_form(request) if request.method == "POST" else Form([])


def _error(world: World, error: RestError) -> web.Response:
    response = reply(error.body(), error.status)
    if error.status == 429 and world.switches.u24_retry_after_s is not None:  # noqa: PLR2004 - U24
        response.headers["Retry-After"] = str(world.switches.u24_retry_after_s)
    return response


def _limit(world: World) -> None:
    if world.rest_in_flight > world.switches.u27_concurrency_ceiling:
        raise RestError(429, 20429, "Too Many Requests")


def _authenticate(world: World, request: web.Request) -> None:
    """Let in the account's SID with its token, the main account for its subaccounts, or an API key.

    Raises:
        RestError: 401, 20003.

    """
    refused = RestError(401, 20003, "Authenticate")
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise refused
    try:
        user, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise refused from None
    key = world.keys.get(user)
    expected = key.secret if key else world.tokens.get(user)
    owner = key.account_sid if key else user
    account_sid = request.match_info.get("account", owner)
    allowed = owner in {account_sid, world.config.account_sid}
    right = expected is not None and hmac.compare_digest(secret.encode(), expected.encode())
    if not right or not allowed or account_sid not in world.tokens:
        raise refused
    _check_active(world, request, account_sid)
    request[ACCOUNT] = account_sid


def _check_active(world: World, request: web.Request, account_sid: str) -> None:
    """Refuse what a suspended or closed account asks for; the account itself can be seen and opened again."""
    status = world.accounts[account_sid].status
    if status != "active" and not request.path.endswith(f"/Accounts/{account_sid}.json"):
        raise RestError(403, 20005, f"Account {account_sid} is {status}")


async def _faulty(request: web.Request, handler: Handler, entry: RestRequest, fault: Fault) -> web.StreamResponse:
    """Answer as the fault says; ``after`` means that the effect has taken place."""
    entry.fault = fault.effect.value
    if fault.effect is Effect.TOO_MANY_REQUESTS:
        raise RestError(429, 20429, "Too Many Requests")
    if fault.effect is Effect.ERROR_BEFORE:
        raise RestError(500, 20500, "Internal Server Error")
    if fault.effect is Effect.SLOW:
        await request.app[WORLD].clock.sleep(fault.delay_s)
        return await handler(request)
    if fault.effect is Effect.UNAVAILABLE_BEFORE:
        raise RestError(503, 20503, "Service Unavailable")
    response = await handler(request)
    if fault.effect is Effect.ANSWER_LATE:
        await request.app[WORLD].clock.sleep(fault.delay_s)
        return response
    if fault.effect is Effect.ERROR_AFTER:
        raise RestError(500, 20500, "Internal Server Error")
    if fault.effect is Effect.BAD_GATEWAY_AFTER:
        return web.Response(status=502, text=BAD_GATEWAY, content_type="text/html")
    if request.transport is not None:
        request.transport.abort()
    return response
