"""Recordings of calls and conferences (twilio-facts.md 3.5). A conference's cannot be started here, as with Twilio."""

from aiohttp import web

from emulator import recording
from emulator.entities import CallStatus, Recording
from emulator.errors import RestError, not_found
from emulator.payloads import rfc2822
from emulator.rest import calls, conferences, parameters
from emulator.rest.answer import WORLD, Json, account, base, filters, page, reply
from emulator.rest.form import Parameters, read_form

CREATE = Parameters(parameters.RECORDING - {"Record"}, frozenset({"Trim"}))
UPDATE = Parameters(frozenset({"Status"}), frozenset({"PauseBehavior"}))
DATED = parameters.dated("DateCreated")
CURRENT = "Twilio.CURRENT"
STATES = frozenset({"paused", "in-progress", "stopped"})


def resource(item: Recording) -> Json:
    """Return a recording as JSON."""
    owner = f"Calls/{item.call_sid}" if item.call_sid else f"Conferences/{item.conference_sid}"
    body: Json = {
        "sid": item.sid,
        "account_sid": item.account_sid,
        "call_sid": item.call_sid or None,
        "conference_sid": item.conference_sid or None,
        "api_version": "2010-04-01",
        "date_created": rfc2822(item.created_at),
        "date_updated": rfc2822(item.updated_at),
        "start_time": rfc2822(item.created_at),
        "duration": None if item.duration_s is None else str(item.duration_s),
        "price": None,
        "price_unit": None,
        "status": item.status,
        "channels": item.wish.channels,
        "source": item.wish.source,
        "error_code": 16102 if item.status == "absent" else None,
        "encryption_details": None,
        "uri": f"{base(item.account_sid)}/{owner}/Recordings/{item.sid}.json",
    }
    if item.call_sid:
        body["track"] = item.wish.track
    return body


def _owned(request: web.Request) -> list[Recording]:
    """Return the recordings of the call or conference in the path."""
    if "call" in request.match_info:
        return recording.of(request.app[WORLD], calls.find(request).sid)
    return recording.of(request.app[WORLD], conferences.find(request).sid)


async def create(request: web.Request) -> web.Response:
    """``POST /Calls/{CA}/Recordings.json``: records a call that is in progress."""
    world, form = request.app[WORLD], await read_form(request)
    call = calls.find(request)
    form.check(CREATE, "call Recordings create")
    if call.status is not CallStatus.IN_PROGRESS:
        raise RestError(400, 21220, "Requested resource is not eligible for recording: the call is not in-progress")
    wish = calls.wish(form, "StartCallRecordingAPI")
    return reply(resource(recording.start(world, wish, call=call)), 201)


def find(request: web.Request) -> Recording:
    """Return the recording in the path; ``Twilio.CURRENT`` is the one that is active.

    Raises:
        RestError: 404; 400, 16108 for more than one active recording; 400, 21220 for none.

    """
    sid, owned = request.match_info["recording"], _owned(request)
    if sid == CURRENT:
        active = [item for item in owned if item.status in recording.ACTIVE]
        if len(active) > 1:
            raise RestError(400, 16108, "More than one active recording: name it by its SID")
        if not active:
            raise RestError(400, 21220, "There is no active recording")
        return active[0]
    for item in owned:
        if item.sid == sid:
            return item
    raise not_found(request.path)


async def fetch(request: web.Request) -> web.Response:
    """``GET …/Recordings/{RE}.json`` of a call or conference."""
    return reply(resource(find(request)))


async def update(request: web.Request) -> web.Response:
    """``POST …/Recordings/{RE or Twilio.CURRENT}.json``: pauses, resumes or stops."""
    form = await read_form(request)
    item = find(request)
    form.check(UPDATE, "Recordings update")
    status = form.choice("Status", STATES)
    if not status:
        raise RestError(400, 20001, f"Status is required: one of {sorted(STATES)}")
    if item.status not in recording.ACTIVE:
        raise RestError(400, 21220, f"The recording is {item.status}")
    if status == "stopped" and item.conference_sid:
        raise RestError(400, 21220, "A conference recording cannot be stopped, only paused")
    recording.change(request.app[WORLD], item, status)
    body = resource(item)
    if status == "stopped":
        body["status"] = "stopped"
    return reply(body)


async def listing(request: web.Request) -> web.Response:
    """``GET …/Recordings.json`` of a call or conference."""
    filters(request, DATED)
    found = [item for item in _owned(request) if calls.time_matches(request.query, "DateCreated", item.created_at)]
    return page(request, "recordings", found, lambda item: item.sid, resource)


async def of_account(request: web.Request) -> web.Response:
    """``GET /Recordings.json``: all of the account, newest first."""
    account_sid, wanted = account(request), filters(request, DATED | {"CallSid", "ConferenceSid"})
    found = [
        item
        for item in reversed(request.app[WORLD].recordings.values())
        if item.account_sid == account_sid
        and wanted.get("CallSid", item.call_sid) == item.call_sid
        and wanted.get("ConferenceSid", item.conference_sid) == item.conference_sid
        and calls.time_matches(request.query, "DateCreated", item.created_at)
    ]
    return page(request, "recordings", found, lambda item: item.sid, of_account_resource)


def of_account_resource(item: Recording) -> Json:
    """Return a recording as the account's list shows it: with its media, without its track."""
    path = f"{base(item.account_sid)}/Recordings/{item.sid}"
    body = resource(item)
    body.pop("track", None)
    names = {"add_on_results": "AddOnResults", "transcriptions": "Transcriptions"}
    links = {name: f"{path}/{spelled}.json" for name, spelled in names.items()}
    return {**body, "uri": f"{path}.json", "media_url": f"https://api.twilio.com{path}", "subresource_uris": links}


async def delete(request: web.Request) -> web.Response:
    """``DELETE …/Recordings/{RE}.json``: forgets a finished recording."""
    world, item = request.app[WORLD], _known(request)
    if item.status in recording.ACTIVE:
        raise RestError(400, 20009, "Cannot delete a recording that is in progress")
    del world.recordings[item.sid]
    world.recordings_of[item.call_sid or item.conference_sid].remove(item)
    return web.Response(status=204)


def _known(request: web.Request) -> Recording:
    item = request.app[WORLD].recordings.get(request.match_info["recording"])
    if item is None or item.account_sid != account(request):
        raise not_found(request.path)
    return item


async def fetch_of_account(request: web.Request) -> web.Response:
    """``GET /Recordings/{RE}.json``."""
    filters(request)
    return reply(of_account_resource(_known(request)))
