"""Control routes of time, of TwiML Bins, of who is met by chance, and of what is counted.

The other control routes are ``control.py``.
"""

import msgspec
from aiohttp import web

from emulator.bins import BinNameError
from emulator.control import BASE, problem, read
from emulator.errors import DocumentError
from emulator.people import Seconds, Share
from emulator.rest.answer import WORLD
from emulator.twiml.document import parse
from emulator.views import as_json
from emulator.virtual import VirtualClock
from emulator.world import World


class Passing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much virtual time is to pass."""

    pass_s: Seconds = 0.0
    until_event: int | None = None
    """Stop when there is an event with a number above this one."""
    contacted: bool = False
    """The application under test has just been asked for something: give it its moment first."""


class Holding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether time is kept from passing."""

    held: bool


class Crowd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is met at addresses where nobody is configured."""

    crowd: tuple[Share, ...]


def _state(world: World, **more: object) -> dict[str, object]:
    clock = world.clock
    virtual = isinstance(clock, VirtualClock)
    held = isinstance(clock, VirtualClock) and clock.held
    return {"virtual": virtual, "now": clock.now(), "held": held, "events": world.events.journal.total, **more}


def _virtual(world: World) -> VirtualClock:
    if not isinstance(world.clock, VirtualClock):
        detail = "this emulator lives in real time; start it with --virtual to let time pass at will"
        text = msgspec.json.encode({"status": 409, "detail": detail}).decode()
        raise web.HTTPConflict(text=text, content_type="application/json")
    return world.clock


async def show_clock(request: web.Request) -> web.Response:
    """``GET /clock``."""
    return as_json(_state(request.app[WORLD]))


async def pass_time(request: web.Request) -> web.Response:
    """``POST /clock`` ``{"pass_s": 60}``: let virtual time pass; answers when everything has come to rest."""
    world, wish = request.app[WORLD], await read(request, Passing)
    clock, events, before = _virtual(world), world.events.journal, world.clock.monotonic()
    if wish.contacted:
        clock.contacted()
    mark = wish.until_event
    await clock.pass_time(wish.pass_s, lambda: mark is not None and events.total > mark)
    return as_json(_state(world, passed_s=clock.monotonic() - before))


async def hold_time(request: web.Request) -> web.Response:
    """``PUT /clock`` ``{"held": true}``: whoever works on something keeps time from passing until it says otherwise."""
    world, wish = request.app[WORLD], await read(request, Holding)
    _virtual(world).hold(held=wish.held)
    return as_json(_state(world))


async def put_crowd(request: web.Request) -> web.Response:
    """``PUT /crowd``: who is met, by chance, at addresses where nobody is configured."""
    wish = await read(request, Crowd)
    request.app[WORLD].people.crowd = wish.crowd
    return as_json(wish)


async def put_twiml(request: web.Request) -> web.Response:
    """``PUT /twiml/{name}``, the document as body: keeps a TwiML Bin; answers with its URL."""
    text = (await request.read()).decode(errors="replace")
    try:
        parse(text)
        url = request.app[WORLD].bins.put(request.match_info["name"], text)
    except (DocumentError, BinNameError) as error:
        return problem(422, str(error))
    return as_json({"url": url})


async def statistics(request: web.Request) -> web.Response:
    """``GET /statistics``: calls, requests and REST requests since the start, with latencies by bucket."""
    world = request.app[WORLD]
    waiting = world.callbacks.waiting + world.callbacks.under_way
    live = sum(call.live for call in world.calls.values())
    found = {"statistics": world.statistics, "live_calls": live, "callbacks_waiting": waiting, "now": world.clock.now()}
    return as_json(found)


def add(app: web.Application) -> None:
    """Put these routes into the application."""
    router = app.router
    router.add_get(BASE + "/clock", show_clock)
    router.add_post(BASE + "/clock", pass_time)
    router.add_put(BASE + "/clock", hold_time)
    router.add_put(BASE + "/crowd", put_crowd)
    router.add_put(BASE + "/twiml/{name}", put_twiml)
    router.add_get(BASE + "/statistics", statistics)
