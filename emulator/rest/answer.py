"""Answers of the REST API: JSON bodies, paging, the account of a request."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from emulator.errors import RestError, not_emulated
from emulator.rest.form import PREFIX
from emulator.world import World

WORLD: web.AppKey[World] = web.AppKey("world", World)
ACCOUNT: web.RequestKey[str] = web.RequestKey("account", str)
"""Where a request keeps the account that it was let in for."""
Json = dict[str, "str | int | bool | dict[str, str] | dict[str, bool] | None"]
ItemT = TypeVar("ItemT")
PAGING = frozenset({"Page", "PageSize", "PageToken"})
MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 50
_encode = msgspec.json.Encoder().encode


def account_of(request: web.Request) -> str:
    """Return the account that asks, for products whose paths name none."""
    return request[ACCOUNT]


def account(request: web.Request) -> str:
    """Return the AccountSid in the path."""
    return request.match_info["account"]


def base(account_sid: str) -> str:
    """Return the path of an account."""
    return f"{PREFIX}/Accounts/{account_sid}"


def reply(body: object, status: int = 200) -> web.Response:
    """Return JSON."""
    return web.Response(body=_encode(body), status=status, content_type="application/json", charset="utf-8")


def filters(request: web.Request, known: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return a list's filters.

    Raises:
        RestError: 501 naming one that is not emulated.

    """
    for name in request.query:
        if name not in known | PAGING:
            raise not_emulated(f"the filter {name} of {request.path.rpartition('/')[2]}")
    return {name: value for name, value in request.query.items() if name not in PAGING}


def _number(text: str, name: str, default: int) -> int:
    if not text:
        return default
    if not text.isdigit():
        raise RestError(400, 20001, f"Invalid {name} '{text}'")
    return int(text)


def page(
    request: web.Request, key: str, items: Sequence[ItemT], sid: Callable[[ItemT], str], show: Callable[[ItemT], Json]
) -> web.Response:
    """Return one page of a list in the 2010 API's form (twilio-facts.md 3.1).

    A page token is the SID that the page begins behind, so a list that grows meanwhile is not shifted.
    """
    size = min(_number(request.query.get("PageSize", ""), "PageSize", DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE) or 1
    number = _number(request.query.get("Page", ""), "Page", 0)
    token = request.query.get("PageToken", "")
    start = 0
    if token:
        order = [sid(item) for item in items]
        start = order.index(token.removeprefix("PA")) + 1 if token.removeprefix("PA") in order else len(items)
    elif number:
        start = number * size
    chosen = items[start : start + size]
    more = start + size < len(items)
    body: dict[str, object] = {
        key: [show(item) for item in chosen],
        "first_page_uri": _link(request, size, 0, ""),
        "next_page_uri": _link(request, size, number + 1, "PA" + sid(chosen[-1])) if more else None,
        "previous_page_uri": _link(request, size, number - 1, "") if number else None,
        "uri": request.path_qs,
        "page": number,
        "page_size": size,
        "start": start,
        "end": max(start + len(chosen) - 1, 0),
    }
    return reply(body)


def _link(request: web.Request, size: int, number: int, token: str) -> str:
    kept = [(name, value) for name, value in request.query.items() if name not in PAGING]
    query: Iterable[tuple[str, str]] = [*kept, ("PageSize", str(size)), ("Page", str(number))]
    if token:
        query = [*query, ("PageToken", token)]
    return f"{request.rel_url.raw_path}?{urlencode([*query])}"
