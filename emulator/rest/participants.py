"""The Participant resource (twilio-facts.md 3.3)."""

from aiohttp import web

from emulator import call as calls
from emulator import conference, line, media
from emulator.entities import (
    Call,
    Conference,
    ConferenceStatus,
    Direction,
    JoinOptions,
    Participant,
    RecordingWish,
    RoomSettings,
    Source,
)
from emulator.errors import RestError, not_found
from emulator.payloads import rfc2822
from emulator.rest import parameters
from emulator.rest.answer import WORLD, Json, account, base, filters, page, reply
from emulator.rest.calls import (
    CALL_EVENTS,
    COMPLETED,
    check_parties,
    detection,
    recording_wish,
)
from emulator.rest.form import Form, Parameters, boolean_filter, read_form
from emulator.sids import is_sid
from emulator.world import World

CONFERENCE_EVENTS = frozenset({"start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement"})
CONFERENCE_DEFAULT = frozenset({"start", "end"})
CONFERENCE_RECORDING_EVENTS = frozenset({"in-progress", "completed", "failed", "absent"})
LEG_RECORDING_EVENTS = frozenset(
    {"started", "in-progress", "paused", "resumed", "stopped", "completed", "failed", "absent"}
)
BEEPS = frozenset({"true", "false", "onEnter", "onExit"})
MIN_TIMEOUT_S, MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S = 5, 600, 60
FILTERS = frozenset({"Muted", "Hold", "Coaching"})
CREATE = Parameters(
    parameters.PROGRESS
    | parameters.RECORDING
    | parameters.JOINING
    | parameters.CONFERENCE
    | {"To", "From", "Timeout", "TimeLimit", "MachineDetection", "AmdStatusCallback", "AmdStatusCallbackMethod"},
    parameters.DETECTION_TUNING
    | {
        "CallReason",
        "CallToken",
        "CallerId",
        "CallerDisplayName",
        "Trim",
        "ConferenceTrim",
        "JitterBufferSize",
        "Region",
    },
)
UPDATE = Parameters(
    frozenset(
        {
            "Muted",
            "Hold",
            "HoldUrl",
            "HoldMethod",
            "AnnounceUrl",
            "AnnounceMethod",
            "WaitUrl",
            "WaitMethod",
            "BeepOnExit",
            "EndConferenceOnExit",
            "Coaching",
            "CallSidToCoach",
        }
    )
)


def resource(participant: Participant, queue_time_ms: int | None = None) -> Json:
    """Return a participant as JSON; ``queue_time`` is filled in the answer to a create only."""
    room, call = participant.conference, participant.call
    return {
        "account_sid": room.account_sid,
        "call_sid": call.sid,
        "label": participant.label or None,
        "conference_sid": room.sid,
        "date_created": rfc2822(participant.created_at),
        "date_updated": rfc2822(participant.updated_at),
        "end_conference_on_exit": participant.end_on_exit,
        "muted": participant.muted,
        "hold": participant.hold,
        "status": participant.status.value,
        "start_conference_on_enter": participant.start_on_enter,
        "coaching": participant.coaching,
        "call_sid_to_coach": participant.call_sid_to_coach,
        "queue_time": None if queue_time_ms is None else str(queue_time_ms),
        "uri": f"{base(room.account_sid)}/Conferences/{room.sid}/Participants/{call.sid}.json",
    }


# -- create -----------------------------------------------------------------------------------------------------------


async def create(request: web.Request) -> web.Response:
    """``POST /Conferences/{CF or name}/Participants.json``: dials a leg into the conference."""
    world, account_sid, form = request.app[WORLD], account(request), await read_form(request)
    form.check(CREATE, "Participants create")
    from_, to = check_parties(world, account_sid, form)
    settings = _settings(form)
    call = _call(world, account_sid, from_, to, form)
    options = _options(form, settings.max_participants)
    room = _room(world, request, settings)
    try:
        if options.coach_sid is not None:
            _check_coached(world, room, options.coach_sid)
        participant = _reserve(world, room, call, options)
    except RestError:
        conference.discard(world, room)
        raise
    line.dial(world, call)
    return reply(resource(participant, call.queue_time_ms), 201)


def _call(world: World, account_sid: str, from_: str, to: str, form: Form) -> Call:
    now = world.clock.now()
    limit = form.text("TimeLimit")
    return Call(
        sid=world.sids.new("CA"),
        account_sid=account_sid,
        to=to,
        from_=from_,
        direction=Direction.OUTBOUND_API,
        created_at=now,
        updated_at=now,
        progress=form.subscription("StatusCallback", CALL_EVENTS, COMPLETED),
        timeout_s=form.seconds("Timeout", DEFAULT_TIMEOUT_S, MIN_TIMEOUT_S, MAX_TIMEOUT_S, 21208),
        time_limit_s=float(limit) if limit.isdigit() else None,
        detection=detection(form, "AmdStatusCallback", asynchronous=True),
        record=recording_wish(form, "OutboundAPI", LEG_RECORDING_EVENTS),
    )


def _settings(form: Form) -> RoomSettings:
    size = form.text("MaxParticipants", "250")
    if not size.isdigit() or not 2 <= int(size) <= 250:  # noqa: PLR2004 - Twilio's own range
        raise RestError(400, 20001, f"Invalid MaxParticipants '{size}': expected 2 to 250")
    words = frozenset({"true", "false", "record-from-start", "do-not-record"})
    record = form.choice("ConferenceRecord", words, "false")
    wish = None
    if record in {"true", "record-from-start"}:
        told = form.subscription("ConferenceRecordingStatusCallback", CONFERENCE_RECORDING_EVENTS, COMPLETED)
        wish = RecordingWish("Conference", callbacks=told)
    callbacks = form.subscription("ConferenceStatusCallback", CONFERENCE_EVENTS, CONFERENCE_DEFAULT)
    return RoomSettings(callbacks, int(size), wish)


def _options(form: Form, max_participants: int) -> JoinOptions:
    coach = form.text("CallSidToCoach")
    coaching = form.flag("Coaching", default=bool(coach))
    if coaching and not coach:
        raise RestError(400, 20001, "Coaching=true needs CallSidToCoach")
    wait = Source(form.url("WaitUrl"), form.method("WaitMethod")) if "WaitUrl" in form else None
    return JoinOptions(
        label=form.text("Label"),
        muted=form.flag("Muted", default=False),
        start_on_enter=form.flag("StartConferenceOnEnter", default=True),
        end_on_exit=form.flag("EndConferenceOnExit", default=False),
        coach_sid=coach if coaching else None,
        wait=wait,
        early_media=form.flag("EarlyMedia", default=True),
        beep=form.choice("Beep", BEEPS, "true"),
        max_participants=max_participants,
    )


def _room(world: World, request: web.Request, settings: RoomSettings) -> Conference:
    """Return the conference in the path: by SID it must be active, by name it is created when there is none."""
    key, account_sid = request.match_info["conference"], account(request)
    if not is_sid(key, "CF"):
        return conference.open_room(world, account_sid, key, settings)
    room = world.conferences.get(key)
    if room is None or room.account_sid != account_sid or room.status is ConferenceStatus.COMPLETED:
        raise RestError(world.switches.u14_gone_status, 16022, f"Conference {key} does not exist or is completed")
    return room


def _reserve(world: World, room: Conference, call: Call, options: JoinOptions) -> Participant:
    switches = world.switches
    try:
        return conference.reserve(world, room, call, options, via_api=True)
    except conference.LabelInvalidError as error:
        raise RestError(switches.u14_label_status, 16024, "The participant label is invalid") from error
    except conference.LabelTakenError as error:
        message = f"The label {options.label} is used by another active participant of the conference"
        raise RestError(switches.u14_label_status, 16026, message) from error
    except conference.RoomFullError as error:
        raise RestError(switches.u14_full_status, 16020, "The conference is full") from error


def _check_coached(world: World, room: Conference, coached_sid: str) -> None:
    coached = room.participants.get(coached_sid)
    if coached is None or not coached.joined:
        raise RestError(world.switches.u14_coach_status, 16028, "The call to coach is not in the conference")
    if coached.hold:
        raise RestError(world.switches.u14_coach_status, 16027, "The call to coach is on hold")


# -- instance ---------------------------------------------------------------------------------------------------------


def find(request: web.Request) -> Participant:
    """Return the active participant in the path, by CallSid or label.

    Raises:
        RestError: 404.

    """
    room = request.app[WORLD].conferences.get(request.match_info["conference"])
    participant = None
    if room is not None and room.account_sid == account(request):
        participant = conference.find(room, request.match_info["participant"])
    if participant is None:
        raise not_found(request.path)
    return participant


async def fetch(request: web.Request) -> web.Response:
    """``GET …/Participants/{CA or label}.json``."""
    participant = find(request)
    if not request.app[WORLD].settled(participant.created_at):
        raise not_found(request.path)
    return reply(resource(participant))


async def update(request: web.Request) -> web.Response:
    """``POST …/Participants/{CA or label}.json``: hold, mute, coach, announce, change flags."""
    world, form = request.app[WORLD], await read_form(request)
    participant = find(request)
    form.check(UPDATE, "Participants update")
    if not participant.joined:
        status = world.switches.u15_ringing_update_status
        if status == 404:  # noqa: PLR2004 - U15's two answers
            raise not_found(request.path)
        raise RestError(status, 16099, f"The participant is {participant.status.value}, not connected")
    announce_url = form.url("AnnounceUrl")
    hold = _hold(form)
    modified = _modify(world, participant, form)
    if hold is not None:
        _apply_hold(world, participant, form, hold=hold)
    if "Muted" in form:
        conference.set_muted(world, participant, muted=form.flag("Muted", default=False))
    conference.changed(world, participant, modified=modified)
    if announce_url:
        source = Source(announce_url, form.method("AnnounceMethod"))
        media.announce(world, participant.conference, participant, source)
    return reply(resource(participant))


def _hold(form: Form) -> bool | None:
    form.url("HoldUrl")
    form.method("HoldMethod", "GET")
    return form.flag("Hold", default=False) if "Hold" in form else None


def _apply_hold(world: World, participant: Participant, form: Form, *, hold: bool) -> None:
    url = form.text("HoldUrl")
    participant.hold_source = Source(url, form.method("HoldMethod", "GET")) if url else None
    conference.set_hold(world, participant, hold=hold)


def _modify(world: World, participant: Participant, form: Form) -> bool:
    """Apply what ``participant-modify`` tells of; return whether anything was given and took effect."""
    modified = _coach(world, participant, form)
    if "EndConferenceOnExit" in form and _end_on_exit_counts(world, participant, form):
        participant.end_on_exit = form.flag("EndConferenceOnExit", default=False)
        modified = True
    if "WaitUrl" in form:
        participant.wait = Source(form.url("WaitUrl"), form.method("WaitMethod"))
        modified = True
    return modified or "BeepOnExit" in form


def _end_on_exit_counts(world: World, participant: Participant, form: Form) -> bool:
    """Gotchas 7 and 8: ignored while held, unless Hold is in the same request."""
    return not (world.switches.held_end_on_exit_ignored and participant.hold and "Hold" not in form)


def _coach(world: World, participant: Participant, form: Form) -> bool:
    if "Coaching" not in form and "CallSidToCoach" not in form:
        return False
    coached = form.text("CallSidToCoach") or participant.call_sid_to_coach or ""
    coaching = form.flag("Coaching", default=bool(coached))
    if coaching:
        if not coached:
            raise RestError(400, 20001, "Coaching=true needs CallSidToCoach")
        _check_coached(world, participant.conference, coached)
    participant.coaching = coaching
    participant.call_sid_to_coach = coached if coaching else None
    return True


async def delete(request: web.Request) -> web.Response:
    """``DELETE …/Participants/{CA or label}.json``: kicks; a leg that still rings is hung up."""
    world, participant = request.app[WORLD], find(request)
    if participant.joined:
        conference.kick(world, participant)
    else:
        calls.cancel(world, participant.call)
    return web.Response(status=204)


def _listed(world: World, room: Conference) -> list[Participant]:
    """Return whom a list shows: those who are in it, or who were a moment ago when reads lag."""
    left = [participant for participant in room.departed if not world.settled(participant.updated_at)]
    return [one for one in [*room.participants.values(), *left] if world.settled(one.created_at)]


async def listing(request: web.Request) -> web.Response:
    """``GET …/Participants.json``: active participants; by SID only (20004 for a name)."""
    key = request.match_info["conference"]
    if not is_sid(key, "CF"):
        raise RestError(405, 20004, "Method not allowed")
    room = request.app[WORLD].conferences.get(key)
    if room is None or room.account_sid != account(request):
        raise not_found(request.path)
    filters(request, FILTERS)
    wanted = {name: boolean_filter(request.query, name) for name in FILTERS}
    found = [
        participant
        for participant in _listed(request.app[WORLD], room)
        if wanted["Muted"] in {None, participant.muted}
        and wanted["Hold"] in {None, participant.hold}
        and wanted["Coaching"] in {None, participant.coaching}
    ]
    return page(request, "participants", found, lambda participant: participant.call.sid, resource)
