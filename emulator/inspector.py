"""The inspector: a page at ``/_emulator/`` and the details behind it, so that a developer sees why a webhook failed.

No secret leaves here: what is an auth token or an API key's secret is blotted out wherever it stands.
"""

from importlib.resources import files
from urllib.parse import urlsplit, urlunsplit

import msgspec
from aiohttp import web

from emulator import explanations
from emulator.exchange import CONVERSATION, SIGNED_BY_SWITCH, with_query
from emulator.journal import AlertEntry, Exchange, Journal, RestRequest
from emulator.rest.answer import WORLD
from emulator.signing import base_string, signature, signed_url
from emulator.world import World

PAGE = (files("emulator") / "inspector.html").read_bytes()
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
BLOT = b"(secret)"
MIN_SECRET = 4
"""Shorter secrets would blot out half of every answer."""
NEWEST = 200
"""Events that the page of one call shows at most."""


async def page(request: web.Request) -> web.Response:
    """``GET /_emulator/``: the page; it needs nothing but the control routes."""
    del request
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return web.Response(body=PAGE, content_type="text/html", charset="utf-8", headers=headers)


async def to_page(request: web.Request) -> web.Response:
    """``GET /_emulator``: leads to the page."""
    raise web.HTTPFound(request.path + "/")


# -- what the lists and details show ----------------------------------------------------------------------------------


def shown(world: World, body: object, status: int = 200) -> web.Response:
    """Return JSON without this Twilio's secrets."""
    text = msgspec.json.encode(body)
    for secret in {*world.tokens.values(), *(key.secret for key in world.keys.values())}:
        if len(secret) >= MIN_SECRET:
            text = text.replace(msgspec.json.encode(secret)[1:-1], BLOT)
    return web.Response(body=text, status=status, content_type="application/json")


def open_url(url: str) -> str:
    """Return a URL without the password in it, any other text as it is."""
    if "@" not in url:
        return url
    try:
        parts = urlsplit(url)
        user = parts.username
    except ValueError:
        return url
    if user is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{user}:…@{host}", parts.path, parts.query, parts.fragment))


def request_line(entry: Exchange) -> dict[str, object]:
    """Return a request that was made, with how long it took and why it came to nothing."""
    begun, done = entry.began_at, entry.done_at
    return {
        "number": entry.number,
        "at": entry.at,
        "kind": entry.kind,
        "event": entry.event,
        "resource": entry.resource,
        "account_sid": entry.account_sid,
        "method": entry.method,
        "url": open_url(entry.url),
        "params": entry.params,
        "token": entry.token,
        "status": entry.status,
        "error": entry.error,
        "first_error": entry.first_error,
        "code": entry.code,
        "fault": entry.fault,
        "attempts": entry.attempts,
        "done_at": done,
        "latency_s": None if begun is None or done is None else round(done - begun, 4),
        "waited_s": None if begun is None else round(begun - entry.at, 4),
        "body": entry.body,
        "refusal": entry.refusal,
        "explanation": explanations.of_request(entry),
    }


def rest_line(entry: RestRequest) -> dict[str, object]:
    """Return a REST request that came in."""
    return {
        "number": entry.number,
        "at": entry.at,
        "monotonic": entry.monotonic,
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "form": [(name, open_url(value)) for name, value in entry.form],
        "status": entry.status,
        "code": entry.code,
        "fault": entry.fault,
        "duration_s": entry.duration_s,
        "explanation": explanations.of_rest(entry.status, entry.code),
    }


def alert_line(entry: AlertEntry) -> dict[str, object]:
    """Return a line of the debugger with what its code means."""
    told = {**msgspec.structs.asdict(entry), "url": open_url(entry.url)}
    return {**told, "explanation": explanations.of_code(entry.code)}


def _signed(world: World, entry: Exchange) -> dict[str, object]:
    """Return what a server must build to check the signature of a request, and the signature itself."""
    switched = entry.kind in SIGNED_BY_SWITCH and not world.switches.u3_taskrouter_and_conversation_sign
    if switched or not entry.account_sid:
        return {"signature": None, "signed_url": None, "signature_base": None}
    url, params = entry.url, entry.params
    if entry.method == "GET":
        bare, _, fragment = url.partition("#")
        url, params = with_query(bare, params) + (f"#{fragment}" if fragment else ""), {}
    target = signed_url(url)
    return {
        "signature": signature(world.signing_token(entry.account_sid), target, params),
        "signed_url": target,
        "signature_base": base_string(target, params),
        "retries": "ignored here" if entry.kind == CONVERSATION else "as the URL's fragment says",
    }


def _numbered(journal: Journal[Exchange] | Journal[RestRequest], number: str) -> Exchange | RestRequest | None:
    if not number.isdigit():
        return None
    return next((entry for entry in journal.entries if entry.number == int(number)), None)


def _gone(world: World) -> web.Response:
    return shown(world, {"status": 404, "detail": "there is no such entry, or it is too old to be kept"}, 404)


async def one_request(request: web.Request) -> web.Response:
    """``GET /requests/{number}``: one request with the string that was signed."""
    world = request.app[WORLD]
    entry = _numbered(world.exchanges, request.match_info["number"])
    if not isinstance(entry, Exchange):
        return _gone(world)
    return shown(world, {**request_line(entry), **_signed(world, entry)})


async def one_rest(request: web.Request) -> web.Response:
    """``GET /rest/{number}``: one REST request with its answer, as long as that is kept."""
    world = request.app[WORLD]
    entry = _numbered(world.rest, request.match_info["number"])
    if not isinstance(entry, RestRequest):
        return _gone(world)
    body = None if entry.body is None else entry.body.decode(errors="replace")
    return shown(world, {**rest_line(entry), "body": body})


async def one_call(request: web.Request) -> web.Response:
    """``GET /calls/{sid}``: all that concerns a call: what was heard, asked, told, and what went wrong."""
    world, sid = request.app[WORLD], request.match_info["sid"]
    if sid not in world.calls:
        return shown(world, {"status": 404, "detail": "there is no such call, or it is too old to be kept"}, 404)
    requests = [entry for entry in world.exchanges.entries if sid in {entry.resource, entry.params.get("CallSid")}]
    return shown(
        world,
        {
            "call_sid": sid,
            "events": [event for event in world.events.journal.entries if event.call_sid == sid][-NEWEST:],
            "requests": [request_line(entry) for entry in requests],
            "rest": [rest_line(entry) for entry in world.rest.entries if sid in entry.path],
            "alerts": [alert_line(entry) for entry in world.alerts.entries if entry.resource == sid],
        },
    )
