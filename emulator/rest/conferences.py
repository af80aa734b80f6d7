"""The Conference resource (twilio-facts.md 3.4)."""

from aiohttp import web
from multidict import MultiMapping

from emulator import conference, media
from emulator.entities import Conference, ConferenceStatus, Source
from emulator.errors import RestError, not_found
from emulator.payloads import rfc2822
from emulator.rest import parameters
from emulator.rest.answer import WORLD, Json, account, base, filters, page, reply
from emulator.rest.calls import time_matches
from emulator.rest.form import Parameters, read_form
from emulator.world import World

LIST = frozenset({"FriendlyName", "Status"}) | parameters.dated("DateCreated", "DateUpdated")
UPDATE = Parameters(frozenset({"Status", "AnnounceUrl", "AnnounceMethod"}))


def resource(room: Conference) -> Json:
    """Return a conference as JSON."""
    path = f"{base(room.account_sid)}/Conferences/{room.sid}"
    return {
        "account_sid": room.account_sid,
        "api_version": "2010-04-01",
        "date_created": rfc2822(room.created_at),
        "date_updated": rfc2822(room.updated_at),
        "friendly_name": room.name,
        "sid": room.sid,
        "region": "us1",
        "status": room.status.value,
        "reason_conference_ended": room.reason_ended,
        "call_sid_ending_conference": room.call_sid_ending,
        "uri": f"{path}.json",
        "subresource_uris": {"participants": f"{path}/Participants.json", "recordings": f"{path}/Recordings.json"},
    }


def find(request: web.Request) -> Conference:
    """Return the conference whose SID is in the path.

    Raises:
        RestError: 404.

    """
    room = request.app[WORLD].conferences.get(request.match_info["conference"])
    if room is None or room.account_sid != account(request):
        raise not_found(request.path)
    return room


async def fetch(request: web.Request) -> web.Response:
    """``GET /Conferences/{CF}.json``."""
    return reply(resource(find(request)))


async def update(request: web.Request) -> web.Response:
    """``POST /Conferences/{CF}.json``: end it, or announce to all."""
    world, form = request.app[WORLD], await read_form(request)
    room = find(request)
    form.check(UPDATE, "Conferences update")
    if room.status is ConferenceStatus.COMPLETED:
        raise RestError(world.switches.u14_gone_status, 16022, "The conference does not exist or is completed")
    url = form.url("AnnounceUrl")
    if form.choice("Status", frozenset({"completed"})):
        _end(world, room)
    elif url:
        if room.status is ConferenceStatus.INIT:
            raise RestError(world.switches.u14_state_status, 16099, "Unexpected conference status: init")
        media.announce(world, room, None, Source(url, form.method("AnnounceMethod")))
    return reply(resource(room))


def _end(world: World, room: Conference) -> None:
    if room.status is ConferenceStatus.INIT:
        raise RestError(world.switches.u14_state_status, 16099, "Unexpected conference status: init, cannot be ended")
    conference.end(world, room)


async def listing(request: web.Request) -> web.Response:
    """``GET /Conferences.json`` with its filters, newest first."""
    world, account_sid = request.app[WORLD], account(request)
    filters(request, LIST)
    found = [
        room
        for room in reversed(world.conferences.values())
        if room.account_sid == account_sid and world.settled(room.created_at) and _matches(room, request.query)
    ]
    return page(request, "conferences", found, lambda room: room.sid, resource)


def _matches(room: Conference, query: MultiMapping[str]) -> bool:
    if "FriendlyName" in query and query["FriendlyName"] != room.name:
        return False
    if "Status" in query and query["Status"] != room.status.value:
        return False
    created = time_matches(query, "DateCreated", room.created_at)
    return created and time_matches(query, "DateUpdated", room.updated_at)
