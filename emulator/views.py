"""What the control routes show: the world as it is, and the journals. Reads only; ``control.py`` has the routes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from emulator import inspector, media, recording
from emulator.entities import Call, Conference, Participant
from emulator.journal import Journal
from emulator.rest.answer import WORLD
from emulator.world import World

DEFAULT_LIMIT = 1_000
EntryT = TypeVar("EntryT")


def as_json(body: object, status: int = 200) -> web.Response:
    """Return JSON."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def list_calls(request: web.Request) -> web.Response:
    """``GET /calls``."""
    found = [_call(call) for call in request.app[WORLD].calls.values()]
    return as_json({"calls": found[-_limit(request) :]})


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
        "was_in": call.was_in or None,
        "parent_call_sid": call.parent_call_sid,
        "application_sid": call.application_sid or None,
        "answered_by": call.answered_by,
        "sip_code": call.sip_code,
        "created_at": call.created_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
    }


async def list_conferences(request: web.Request) -> web.Response:
    """``GET /conferences``."""
    found = [_room(request.app[WORLD], room) for room in request.app[WORLD].conferences.values()]
    return as_json({"conferences": found[-_limit(request) :]})


def _room(world: World, room: Conference) -> dict[str, object]:
    return {
        "conference_sid": room.sid,
        "name": room.name,
        "status": room.status.value,
        "created_at": room.created_at,
        "callback_url": inspector.open_url(room.settings.callbacks.url) or None,
        "events": sorted(room.settings.callbacks.events),
        "recordings": [item.status for item in recording.of(world, room.sid)],
        "reason_ended": room.reason_ended,
        "participants": [_participant(participant) for participant in room.participants.values()],
    }


def _participant(participant: Participant) -> dict[str, object]:
    return {
        "call_sid": participant.call.sid,
        "label": participant.label,
        "address": participant.call.from_ if participant.call.direction == "inbound" else participant.call.to,
        "status": participant.status.value,
        "joined": participant.joined,
        "hold": participant.hold,
        "muted": participant.muted,
        "coaching": participant.call_sid_to_coach if participant.coaching else None,
        "start_on_enter": participant.start_on_enter,
        "end_on_exit": participant.end_on_exit,
        "via_api": participant.via_api,
        "hears": sorted(other.label or other.call.to for other in media.hears(participant) if participant.joined),
    }


# -- journals ---------------------------------------------------------------------------------------------------------


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "")
    return max(int(text), 1) if text.isdigit() else DEFAULT_LIMIT


def _journal(
    request: web.Request,
    key: str,
    journal: Journal[EntryT],
    entries: Sequence[EntryT],
    show: Callable[[EntryT], dict[str, object]],
) -> web.Response:
    chosen = [*entries][-_limit(request) :]
    body = {key: [show(entry) for entry in chosen], "total": journal.total, "dropped": journal.dropped}
    return inspector.shown(request.app[WORLD], body)


async def list_requests(request: web.Request) -> web.Response:
    """``GET /requests``: every callback and document fetch, with its attempts."""
    journal = request.app[WORLD].exchanges
    return _journal(request, "requests", journal, journal.entries, inspector.request_line)


DOCUMENT_KINDS = frozenset({"twiml", "wait-music", "hold-music", "announcement", "queue-music", "whisper"})


async def list_callbacks(request: web.Request) -> web.Response:
    """``GET /callbacks``: callbacks only; ``?kind=call|conference|recording|amd|taskrouter|…``, ``?resource=SID``."""
    journal, query = request.app[WORLD].exchanges, request.query
    chosen = [
        entry
        for entry in journal.entries
        if entry.kind not in DOCUMENT_KINDS
        and query.get("kind", entry.kind) == entry.kind
        and query.get("resource", entry.resource) == entry.resource
    ]
    return _journal(request, "callbacks", journal, chosen, inspector.request_line)


async def list_rest(request: web.Request) -> web.Response:
    """``GET /rest``: the ledger of REST requests."""
    journal = request.app[WORLD].rest
    return _journal(request, "rest", journal, journal.entries, inspector.rest_line)


async def list_alerts(request: web.Request) -> web.Response:
    """``GET /alerts``: what Twilio's debugger would show."""
    journal = request.app[WORLD].alerts
    return _journal(request, "alerts", journal, journal.entries, inspector.alert_line)


async def health(request: web.Request) -> web.Response:
    """``GET /health``: counts; ``crashes`` must stay 0."""
    world: World = request.app[WORLD]
    return as_json(
        {
            "crashes": world.crashes,
            "calls": sum(call.live for call in world.calls.values()),
            "conferences": sum(room.status != "completed" for room in world.conferences.values()),
            "tasks": sum(task.open for workspace in world.workspaces.values() for task in workspace.tasks.values()),
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
