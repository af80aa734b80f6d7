"""The control routes under ``/_emulator``: people, calls from outside, faults, and everything that can be seen.

JSON in and out, no authentication: for tests and terminals on this machine.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from emulator import call as calls
from emulator import line, media
from emulator.conference_events import emit
from emulator.config import ApplicationConfig, NumberConfig
from emulator.entities import Call, CallStatus, Conference, Participant
from emulator.events import stream
from emulator.faults import Fault
from emulator.journal import Journal
from emulator.people import Person
from emulator.rest.answer import WORLD
from emulator.world import World

BASE = "/_emulator"
BodyT = TypeVar("BodyT")
DEFAULT_LIMIT = 1_000
DIGITS = frozenset("0123456789*#")


class NewCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A call from outside: to a number, or by ``application_sid`` as a browser with ``parameters``."""

    from_: str
    to: str = ""
    application_sid: str = ""
    parameters: dict[str, str] = {}


class Digits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys that the party presses."""

    digits: str


class Speech(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The party begins or stops to speak."""

    speaking: bool


def problem(status: int, detail: str) -> web.Response:
    """Return an error of the control routes."""
    return _json({"status": status, "detail": detail}, status)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def _read(request: web.Request, kind: type[BodyT]) -> BodyT:
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
    world, wish = request.app[WORLD], await _read(request, NewCall)
    if wish.application_sid:
        application = world.applications.get(wish.application_sid)
        if application is None:
            return problem(404, f"no TwiML application {wish.application_sid}")
        call = line.call_application(world, wish.from_, application, wish.to, wish.parameters)
    else:
        number = world.numbers.get(wish.to)
        if number is None:
            return problem(404, f"{wish.to} is not a number of this Twilio; configured: {sorted(world.numbers)}")
        call = line.call_number(world, wish.from_, number)
    return _json({"call_sid": call.sid}, 201)


async def hang_up(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/hangup``: the party hangs up."""
    calls.hang_up(request.app[WORLD], _live(request))
    return _json({"status": "ok"})


async def pick_up(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/answer``: the dialled party answers, whatever it would have done."""
    call = _live(request)
    if call.status is not CallStatus.RINGING or call.direction == "inbound":
        return problem(409, f"only a dialled leg that rings can be answered; this one is {call.status.value}")
    call.pick_up.set()
    return _json({"status": "ok"})


async def press(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/digits`` ``{"digits": "12#"}``."""
    call, pressed = _live(request), await _read(request, Digits)
    if not pressed.digits or set(pressed.digits) - DIGITS:
        return problem(422, f"digits {pressed.digits!r}: expected some of 0-9 * #")
    if call.digits.qsize() + len(pressed.digits) > call.digits.maxsize:
        return problem(409, "too many digits that nothing has read")
    for digit in pressed.digits:
        call.digits.put_nowait(digit)
    return _json({"status": "ok"})


async def speak(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/speak`` ``{"speaking": true}``: talk detection in a conference notices the party."""
    call, speech = _live(request), await _read(request, Speech)
    participant = call.participant
    if participant is None or not participant.joined:
        return problem(409, "the call is in no conference")
    event = "participant-speech-start" if speech.speaking else "participant-speech-stop"
    emit(request.app[WORLD], participant.conference, event, participant)
    return _json({"status": "ok"})


async def end_session(request: web.Request) -> web.Response:
    """``POST /calls/{sid}/session-end``: the media session of a ``<Connect>`` ends."""
    _live(request).session_over.set()
    return _json({"status": "ok"})


async def list_calls(request: web.Request) -> web.Response:
    """``GET /calls``."""
    found = [_call(call) for call in request.app[WORLD].calls.values()]
    return _json({"calls": found[-_limit(request) :]})


def _call(call: Call) -> dict[str, object]:
    participant = call.participant
    return {
        "call_sid": call.sid,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction.value,
        "status": call.status.value,
        "conference_sid": participant.conference.sid if participant else None,
        "label": participant.label if participant else None,
        "created_at": call.created_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
    }


async def list_conferences(request: web.Request) -> web.Response:
    """``GET /conferences``."""
    found = [_room(room) for room in request.app[WORLD].conferences.values()]
    return _json({"conferences": found[-_limit(request) :]})


def _room(room: Conference) -> dict[str, object]:
    return {
        "conference_sid": room.sid,
        "name": room.name,
        "status": room.status.value,
        "reason_ended": room.reason_ended,
        "participants": [_participant(participant) for participant in room.participants.values()],
    }


def _participant(participant: Participant) -> dict[str, object]:
    return {
        "call_sid": participant.call.sid,
        "label": participant.label,
        "status": participant.status.value,
        "joined": participant.joined,
        "hold": participant.hold,
        "muted": participant.muted,
        "coaching": participant.call_sid_to_coach if participant.coaching else None,
        "end_on_exit": participant.end_on_exit,
        "hears": sorted(other.label or other.call.to for other in media.hears(participant)),
    }


# -- people, numbers, faults ------------------------------------------------------------------------------------------


async def list_people(request: web.Request) -> web.Response:
    """``GET /people``."""
    people = request.app[WORLD].people
    return _json({"default": people.default, "people": people.listing()})


async def put_person(request: web.Request) -> web.Response:
    """``PUT /people/{address}``; the address ``default`` is everybody else."""
    people, person = request.app[WORLD].people, await _read(request, Person)
    address = request.match_info["address"]
    if address == "default":
        people.default = person
    else:
        people.put(address, person)
    return _json(person)


async def delete_person(request: web.Request) -> web.Response:
    """``DELETE /people/{address}``."""
    if not request.app[WORLD].people.forget(request.match_info["address"]):
        return problem(404, "nobody is configured there")
    return web.Response(status=204)


async def put_number(request: web.Request) -> web.Response:
    """``PUT /numbers/{number}``: creates or points a number."""
    config = await _read(request, NumberConfig)
    number = request.app[WORLD].put_number(request.match_info["number"], config)
    return _json({"sid": number.sid})


async def put_application(request: web.Request) -> web.Response:
    """``PUT /applications/{sid}``: creates or points a TwiML application."""
    config = await _read(request, ApplicationConfig)
    return _json({"sid": request.app[WORLD].put_application(request.match_info["sid"], config).sid})


async def add_fault(request: web.Request) -> web.Response:
    """``POST /faults``: the next N requests or callbacks that match go wrong."""
    fault = await _read(request, Fault)
    try:
        request.app[WORLD].faults.add(fault)
    except ValueError as error:
        return problem(409, str(error))
    return _json(fault, 201)


async def list_faults(request: web.Request) -> web.Response:
    """``GET /faults``: those that are still to come."""
    return _json({"faults": request.app[WORLD].faults.pending})


async def clear_faults(request: web.Request) -> web.Response:
    """``DELETE /faults``."""
    request.app[WORLD].faults.clear()
    return web.Response(status=204)


# -- journals ---------------------------------------------------------------------------------------------------------


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "")
    return max(int(text), 1) if text.isdigit() else DEFAULT_LIMIT


def _journal(request: web.Request, key: str, journal: Journal[BodyT], entries: Sequence[BodyT]) -> web.Response:
    return _json({key: [*entries][-_limit(request) :], "total": journal.total, "dropped": journal.dropped})


async def list_requests(request: web.Request) -> web.Response:
    """``GET /requests``: every callback and document fetch, with its attempts."""
    journal = request.app[WORLD].exchanges
    return _journal(request, "requests", journal, journal.entries)


DOCUMENT_KINDS = frozenset({"twiml", "wait-music", "hold-music", "announcement"})


async def list_callbacks(request: web.Request) -> web.Response:
    """``GET /callbacks``: callbacks only; ``?kind=call|conference|recording|amd``, ``?resource=SID``."""
    journal, query = request.app[WORLD].exchanges, request.query
    chosen = [
        entry
        for entry in journal.entries
        if entry.kind not in DOCUMENT_KINDS
        and query.get("kind", entry.kind) == entry.kind
        and query.get("resource", entry.resource) == entry.resource
    ]
    return _journal(request, "callbacks", journal, chosen)


async def list_rest(request: web.Request) -> web.Response:
    """``GET /rest``: the ledger of REST requests."""
    journal = request.app[WORLD].rest
    return _journal(request, "rest", journal, journal.entries)


async def list_alerts(request: web.Request) -> web.Response:
    """``GET /alerts``: what Twilio's debugger would show."""
    journal = request.app[WORLD].alerts
    return _journal(request, "alerts", journal, journal.entries)


async def health(request: web.Request) -> web.Response:
    """``GET /health``: counts; ``crashes`` must stay 0."""
    world: World = request.app[WORLD]
    return _json(
        {
            "crashes": world.crashes,
            "calls": sum(call.live for call in world.calls.values()),
            "conferences": sum(room.status != "completed" for room in world.conferences.values()),
            "callbacks": {
                "waiting": world.callbacks.waiting,
                "delivered": world.callbacks.delivered,
                "failed": world.callbacks.failed,
                "dropped": world.callbacks.dropped,
            },
            "rest": world.rest.total,
            "alerts": world.alerts.total,
        }
    )


def add(app: web.Application) -> None:
    """Put the control routes into the application."""
    router = app.router
    router.add_get(BASE + "/health", health)
    router.add_get(BASE + "/events", stream)
    router.add_post(BASE + "/calls", place_call)
    router.add_get(BASE + "/calls", list_calls)
    router.add_post(BASE + "/calls/{sid}/hangup", hang_up)
    router.add_post(BASE + "/calls/{sid}/answer", pick_up)
    router.add_post(BASE + "/calls/{sid}/digits", press)
    router.add_post(BASE + "/calls/{sid}/speak", speak)
    router.add_post(BASE + "/calls/{sid}/session-end", end_session)
    router.add_get(BASE + "/conferences", list_conferences)
    router.add_get(BASE + "/people", list_people)
    router.add_put(BASE + "/people/{address}", put_person)
    router.add_delete(BASE + "/people/{address}", delete_person)
    router.add_put(BASE + "/numbers/{number}", put_number)
    router.add_put(BASE + "/applications/{sid}", put_application)
    router.add_post(BASE + "/faults", add_fault)
    router.add_get(BASE + "/faults", list_faults)
    router.add_delete(BASE + "/faults", clear_faults)
    router.add_get(BASE + "/requests", list_requests)
    router.add_get(BASE + "/callbacks", list_callbacks)
    router.add_get(BASE + "/rest", list_rest)
    router.add_get(BASE + "/alerts", list_alerts)
