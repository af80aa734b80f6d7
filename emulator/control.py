"""The control routes under ``/_emulator``: people, calls from outside, faults, and everything that can be seen.

JSON in and out, no authentication: for tests and terminals on this machine.
"""

from typing import Annotated, TypeVar

import msgspec
from aiohttp import web

from emulator import call as calls
from emulator import conference, inspector, line, media, views
from emulator.conference_events import emit
from emulator.config import ApplicationConfig, ConversationConfig, NumberConfig
from emulator.entities import Call, CallStatus, ConferenceStatus, Speech
from emulator.events import stream
from emulator.faults import Chaos, Fault
from emulator.people import Person
from emulator.rest.answer import WORLD
from emulator.taskrouter import control as taskrouter_control
from emulator.views import as_json

BASE = "/_emulator"
BodyT = TypeVar("BodyT")
DIGITS = frozenset("0123456789*#")


class NewCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A call from outside: to a number, or by ``application_sid`` as a browser with ``parameters``."""

    from_: str
    to: str = ""
    application_sid: str = ""
    parameters: dict[str, str] = {}
    person: Person | None = None
    """Who calls; None: whoever is configured at ``from``."""


class Digits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys that the party presses."""

    digits: str


class Saying(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the party says."""

    text: str


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the account may do."""

    calls_per_second: Annotated[float, msgspec.Meta(ge=0.0)]


class Speaking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The party begins or stops to speak."""

    speaking: bool


def problem(status: int, detail: str) -> web.Response:
    """Return an error of the control routes."""
    return as_json({"status": status, "detail": detail}, status)


async def read(request: web.Request, kind: type[BodyT]) -> BodyT:
    """Return the body of a control request; 422 when it is not of that kind."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        text = msgspec.json.encode({"status": 422, "detail": str(error)}).decode()
        raise web.HTTPUnprocessableEntity(text=text, content_type="application/json") from error


def _live(request: web.Request) -> Call:
    call = request.app[WORLD].calls.get(request.match_info["sid"])
    if call is None or not call.live:
        detail = "no such call" if call is None else f"the call is over: {call.status.value}"
        text = msgspec.json.encode({"status": 404, "detail": detail}).decode()
        raise web.HTTPNotFound(text=text, content_type="application/json")
    return call


# -- calls ------------------------------------------------------------------------------------------------------------


async def place_call(request: web.Request) -> web.Response:
    """``POST /calls``: somebody calls a number, or a browser calls an application."""
    world, wish = request.app[WORLD], await read(request, NewCall)
    if wish.application_sid:
        application = world.applications.get(wish.application_sid)
        if application is None:
            return problem(404, f"no TwiML application {wish.application_sid}")
        call = line.call_application(world, wish.from_, application, wish.to, wish.parameters, wish.person)
    else:
        number = world.numbers.get(wish.to)
        if number is None:
            configured = ", ".join(sorted(world.numbers)) or "none"
            return problem(404, f"{wish.to} is not a number of this Twilio; configured: {configured}")
        call = line.call_number(world, wish.from_, number, wish.person)
    return as_json({"call_sid": call.sid}, 201)


async def hang_up(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/hangup``: the party hangs up."""
    calls.hang_up(request.app[WORLD], _live(request))
    return as_json({"status": "ok"})


async def pick_up(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/answer``: the dialled party answers, whatever it would have done."""
    call = _live(request)
    if call.status is not CallStatus.RINGING or call.direction == "inbound":
        return problem(409, f"only a dialled leg that rings can be answered; this one is {call.status.value}")
    call.pick_up.set()
    return as_json({"status": "ok"})


async def press(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/digits`` ``{"digits": "12#"}``."""
    call, pressed = _live(request), await read(request, Digits)
    if not pressed.digits or set(pressed.digits) - DIGITS:
        return problem(422, f"digits {pressed.digits!r}: expected some of 0-9 * #")
    if call.digits.qsize() + len(pressed.digits) > call.digits.maxsize:
        return problem(409, "too many digits that nothing has read")
    for digit in pressed.digits:
        call.digits.put_nowait(digit)
    return as_json({"status": "ok"})


async def say(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/say`` ``{"text": "billing"}``: the party says something; Gather and a conference hear it."""
    world, call, said = request.app[WORLD], _live(request), await read(request, Saying)
    if not said.text.strip():
        return problem(422, "text: expected what the party says")
    participant = call.participant
    if participant is not None and participant.joined:
        media.say(world, participant, said.text)
    elif call.digits.full():
        return problem(409, "too much that nothing has listened to")
    else:
        call.digits.put_nowait(Speech(said.text))
    return as_json({"status": "ok"})


async def speak(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/speak`` ``{"speaking": true}``: talk detection in a conference notices the party."""
    call, speech = _live(request), await read(request, Speaking)
    participant = call.participant
    if participant is None or not participant.joined:
        return problem(409, "the call is in no conference")
    event = "participant-speech-start" if speech.speaking else "participant-speech-stop"
    emit(request.app[WORLD], participant.conference, event, participant)
    return as_json({"status": "ok"})


async def end_session(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/session-end``: the media session of a ``<Connect>`` ends."""
    _live(request).session_over.set()
    return as_json({"status": "ok"})


async def end_conference(request: web.Request) -> web.Response:
    """``POST /conferences/{sid}/end``: Twilio ends the whole conference."""
    world = request.app[WORLD]
    room = world.conferences.get(request.match_info["sid"])
    if room is None or room.status is ConferenceStatus.COMPLETED:
        return problem(404, "no such conference" if room is None else "the conference is over")
    conference.end(world, room)
    return as_json({"status": "ok"})


# -- people, numbers, faults ------------------------------------------------------------------------------------------


async def list_people(request: web.Request) -> web.Response:
    """``GET /people``."""
    people = request.app[WORLD].people
    return as_json({"default": people.default, "people": people.listing()})


async def put_person(request: web.Request) -> web.Response:
    """``PUT /people/{address}``; the address ``default`` is everybody else."""
    people, person = request.app[WORLD].people, await read(request, Person)
    address = request.match_info["address"]
    if address == "default":
        people.default = person
    else:
        people.put(address, person)
    return as_json(person)


async def delete_person(request: web.Request) -> web.Response:
    """``DELETE /people/{address}``."""
    if not request.app[WORLD].people.forget(request.match_info["address"]):
        return problem(404, "nobody is configured there")
    return web.Response(status=204)


async def put_number(request: web.Request) -> web.Response:
    """``PUT /numbers/{number}``: creates or points a number."""
    config = await read(request, NumberConfig)
    number = request.app[WORLD].put_number(request.match_info["number"], config)
    return as_json({"sid": number.sid})


async def put_application(request: web.Request) -> web.Response:
    """``PUT /applications/{sid}``: creates or points a TwiML application."""
    config = await read(request, ApplicationConfig)
    return as_json({"sid": request.app[WORLD].put_application(request.match_info["sid"], config).sid})


async def put_conversation(request: web.Request) -> web.Response:
    """``PUT /conversations/{sid}``: creates or changes a Conversations service."""
    config = await read(request, ConversationConfig)
    request.app[WORLD].config.conversations[request.match_info["sid"]] = config
    return as_json(config)


async def add_fault(request: web.Request) -> web.Response:
    """``POST /faults``: the next N requests or callbacks that match go wrong."""
    fault = await read(request, Fault)
    try:
        request.app[WORLD].faults.add(fault)
    except ValueError as error:
        return problem(409, str(error))
    return as_json(fault, 201)


async def put_chaos(request: web.Request) -> web.Response:
    """``PUT /chaos``: misbehaviour by chance from now on; ``{}`` ends it."""
    chaos = await read(request, Chaos)
    request.app[WORLD].faults.chaos = chaos if chaos != Chaos() else None
    return as_json(chaos)


async def put_limits(request: web.Request) -> web.Response:
    """``PUT /limits``: calls per second from now on; more are queued. 0: no limit."""
    limits = await read(request, Limits)
    request.app[WORLD].calls_per_second = limits.calls_per_second
    return as_json(limits)


async def list_faults(request: web.Request) -> web.Response:
    """``GET /faults``: those that are still to come."""
    return as_json({"faults": request.app[WORLD].faults.pending})


async def clear_faults(request: web.Request) -> web.Response:
    """``DELETE /faults``."""
    request.app[WORLD].faults.clear()
    return web.Response(status=204)


def add(app: web.Application) -> None:
    """Put the control routes into the application."""
    router = app.router
    router.add_get(BASE, inspector.to_page)
    router.add_get(BASE + "/", inspector.page)
    router.add_get(BASE + "/health", views.health)
    router.add_get(BASE + "/events", stream)
    router.add_post(BASE + "/calls", place_call)
    router.add_get(BASE + "/calls", views.list_calls)
    router.add_get(BASE + "/calls/{sid}", inspector.one_call)
    router.add_post(BASE + "/calls/{sid}/hangup", hang_up)
    router.add_post(BASE + "/calls/{sid}/answer", pick_up)
    router.add_post(BASE + "/calls/{sid}/digits", press)
    router.add_post(BASE + "/calls/{sid}/say", say)
    router.add_post(BASE + "/calls/{sid}/speak", speak)
    router.add_post(BASE + "/calls/{sid}/session-end", end_session)
    taskrouter_control.add(app, BASE)
    router.add_get(BASE + "/conferences", views.list_conferences)
    router.add_post(BASE + "/conferences/{sid}/end", end_conference)
    router.add_get(BASE + "/people", list_people)
    router.add_put(BASE + "/people/{address}", put_person)
    router.add_delete(BASE + "/people/{address}", delete_person)
    router.add_put(BASE + "/numbers/{number}", put_number)
    router.add_put(BASE + "/applications/{sid}", put_application)
    router.add_put(BASE + "/conversations/{sid}", put_conversation)
    router.add_post(BASE + "/faults", add_fault)
    router.add_get(BASE + "/faults", list_faults)
    router.add_put(BASE + "/chaos", put_chaos)
    router.add_put(BASE + "/limits", put_limits)
    router.add_delete(BASE + "/faults", clear_faults)
    router.add_get(BASE + "/requests", views.list_requests)
    router.add_get(BASE + "/requests/{number}", inspector.one_request)
    router.add_get(BASE + "/callbacks", views.list_callbacks)
    router.add_get(BASE + "/rest", views.list_rest)
    router.add_get(BASE + "/rest/{number}", inspector.one_rest)
    router.add_get(BASE + "/alerts", views.list_alerts)
