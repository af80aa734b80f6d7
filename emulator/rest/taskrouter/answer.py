"""Answers of the v1 API: ISO dates, absolute URLs, ``meta`` paging, ETags; and the workspace in the path."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from emulator.errors import RestError, not_found
from emulator.rest.answer import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PAGING, WORLD, account_of, reply
from emulator.rest.form import Form
from emulator.taskrouter import expressions
from emulator.taskrouter.entities import Attributes, Workspace

PREFIX = "/v1/Workspaces"
V1 = dict[str, object]
"""A resource as JSON, ready for the encoder."""
ItemT = TypeVar("ItemT")


class Dated(Protocol):
    """What has a date of creation and of the last change, epoch seconds."""

    created_at: float
    updated_at: float


def iso(at: float) -> str:
    """Return a timestamp such as ``2026-09-02T10:11:12Z`` (epoch seconds in)."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def base(request: web.Request, *parts: str) -> str:
    """Return the absolute URL of a resource below the workspaces, at the address where the request came in."""
    return "/".join([f"{request.url.origin()}{PREFIX}", *parts])


def dates(item: Dated) -> V1:
    """Return the two dates that every resource has."""
    return {"date_created": iso(item.created_at), "date_updated": iso(item.updated_at)}


def workspace_of(request: web.Request) -> Workspace:
    """Return the workspace in the path.

    Raises:
        RestError: 404, 20404.

    """
    found = request.app[WORLD].workspaces.get(request.match_info["workspace"])
    if found is None or found.account_sid != account_of(request):
        raise missing(request)
    return found


def missing(request: web.Request) -> RestError:
    """404 as TaskRouter words it: the path without its version."""
    return not_found(request.path.removeprefix("/v1"))


def pick(request: web.Request, items: dict[str, ItemT], name: str = "sid") -> ItemT:
    """Return the item whose SID is in the path.

    Raises:
        RestError: 404, 20404.

    """
    found = items.get(request.match_info[name])
    if found is None:
        raise missing(request)
    return found


def bad(message: str, code: int = 20001) -> RestError:
    """400 with TaskRouter's usual code."""
    return RestError(400, code, message)


def attributes(form: Form, name: str = "Attributes") -> Attributes:
    """Return a JSON object.

    Raises:
        RestError: 400, 20001.

    """
    try:
        return msgspec.json.decode(form.text(name) or "{}", type=dict[str, object])
    except msgspec.DecodeError as error:
        raise bad(f"{name} is not a JSON object: {error}") from error


def expression(text: str, scope: str, name: str) -> str:
    """Return an expression that can be read.

    Raises:
        RestError: 400, 20001.

    """
    try:
        expressions.check(text, scope)
    except expressions.ExpressionError as error:
        raise bad(f"{name}: {error}") from error
    return text


def tagged(body: V1, version: int, status: int = 200) -> web.Response:
    """Return a resource with its ETag."""
    response = reply(body, status)
    response.headers["ETag"] = f'"{version}"'
    return response


def check_version(request: web.Request, version: int) -> None:
    """Refuse a change that was decided on an older version.

    Raises:
        RestError: 412, 20412.

    """
    wanted = request.headers.get("If-Match", "")
    if wanted and wanted != "*" and wanted.removeprefix("W/").strip('"') != str(version):
        raise RestError(412, 20412, f"If-Match {wanted} is not the resource's version {version}: fetch it again")


def page(
    request: web.Request, key: str, items: Sequence[ItemT], sid: Callable[[ItemT], str], show: Callable[[ItemT], V1]
) -> web.Response:
    """Return one page in the v1 API's form; only page tokens lead on (40153 for a bare page number)."""
    size = request.query.get("PageSize", str(DEFAULT_PAGE_SIZE))
    if not size.isdigit() or not 1 <= int(size) <= MAX_PAGE_SIZE:
        raise bad(f"Invalid PageSize '{size}': expected 1 to {MAX_PAGE_SIZE}")
    number, token = request.query.get("Page", "0"), request.query.get("PageToken", "")
    if not number.isdigit() or (number != "0" and not token):
        raise bad("Absolute page numbers are not supported: follow next_page_url", 40153)
    order = [sid(item) for item in items]
    start = order.index(token.removeprefix("PT")) + 1 if token.removeprefix("PT") in order else 0
    chosen = items[start : start + int(size)]
    more = start + int(size) < len(items)
    here = _link(request, size, number, token)
    meta: dict[str, object] = {
        "key": key,
        "page": int(number),
        "page_size": int(size),
        "first_page_url": _link(request, size, "0", ""),
        "previous_page_url": _previous(request, order, start, int(size), int(number)),
        "url": here,
        "next_page_url": _link(request, size, str(int(number) + 1), "PT" + sid(chosen[-1])) if more else None,
    }
    return reply({key: [show(item) for item in chosen], "meta": meta})


def _previous(request: web.Request, order: list[str], start: int, size: int, number: int) -> str | None:
    if not number:
        return None
    behind = start - size - 1
    return _link(request, str(size), str(number - 1), f"PT{order[behind]}" if behind >= 0 else "PTstart")


def _link(request: web.Request, size: str, number: str, token: str) -> str:
    kept = [(name, value) for name, value in request.query.items() if name not in PAGING]
    query = [*kept, ("PageSize", size), ("Page", number), *([("PageToken", token)] if token else [])]
    return f"{request.url.origin()}{request.rel_url.raw_path}?{urlencode(query)}"
