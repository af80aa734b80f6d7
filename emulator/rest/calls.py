"""The Call resource (twilio-facts.md 3.2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aiohttp import web
from multidict import MultiMapping

from emulator import call as calls
from emulator import line
from emulator.entities import (
    DETECTION_TIMEOUT_S,
    Call,
    CallStatus,
    Direction,
    MachineDetection,
    RecordingWish,
    Source,
    Subscription,
)
from emulator.errors import Alert, RestError, not_found
from emulator.payloads import rfc2822, talk_seconds
from emulator.rest import parameters
from emulator.rest.answer import WORLD, Json, account, base, filters, page, reply
from emulator.rest.form import PHONE, Form, Parameters, phone_or_address, read_form
from emulator.world import World

CALL_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
RECORDING_EVENTS = frozenset({"in-progress", "completed", "absent"})
COMPLETED = frozenset({"completed"})
SENT = frozenset("0123456789#*wW")
MAX_TWIML = 4000
MAX_TIMEOUT_S = 600
DETECTION_NAMES = frozenset({"MachineDetection", "AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod"})
SUBRESOURCES = (
    "notifications",
    "recordings",
    "payments",
    "events",
    "siprec",
    "streams",
    "transcriptions",
    "user_defined_message_subscriptions",
    "user_defined_messages",
)
VOICE_NAMES = frozenset({"Url", "Method", "Twiml", "FallbackUrl", "FallbackMethod"})
HARMLESS = frozenset({"CallReason", "CallToken", "Trim", "CallerId"}) | parameters.DETECTION_TUNING
"""Taken and without effect here: no carrier, no sound."""
CREATE = Parameters(
    parameters.PROGRESS
    | VOICE_NAMES
    | parameters.RECORDING
    | DETECTION_NAMES
    | {"To", "From", "ApplicationSid", "Timeout", "TimeLimit", "SendDigits"},
    HARMLESS,
)
LIST = frozenset({"To", "From", "ParentCallSid", "Status"}) | parameters.dated("StartTime", "EndTime")
UPDATE = Parameters(VOICE_NAMES | {"StatusCallback", "StatusCallbackMethod", "Status", "TimeLimit"})


def resource(world: World, call: Call) -> Json:
    """Return a call as JSON."""
    path = f"{base(call.account_sid)}/Calls/{call.sid}"
    ended = call.ended_at
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "parent_call_sid": call.parent_call_sid,
        "to": call.to,
        "to_formatted": formatted(call.to),
        "from": call.from_,
        "from_formatted": formatted(call.from_),
        "phone_number_sid": call.number_sid or number_sid(world, call),
        "status": "queued" if call.status is CallStatus.INITIATED else call.status.value,
        "start_time": rfc2822(call.answered_at) if call.answered_at else None,
        "end_time": rfc2822(ended) if ended else None,
        "duration": str(talk_seconds(call)) if ended else None,
        "price": None,
        "price_unit": "USD",
        "direction": call.direction.value,
        "answered_by": call.answered_by,
        "api_version": "2010-04-01",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": str(call.queue_time_ms),
        "trunk_sid": None,
        "date_created": rfc2822(call.created_at),
        "date_updated": rfc2822(call.updated_at),
        "uri": f"{path}.json",
        "subresource_uris": {name: f"{path}/{camel(name)}.json" for name in SUBRESOURCES},
    }


def camel(name: str) -> str:
    """Return a resource's name as paths spell it."""
    return "".join(part.capitalize() for part in name.split("_"))


def formatted(address: str) -> str:
    """Return a number of the North American plan as people write it, anything else unchanged."""
    if len(address) == 12 and address.startswith("+1"):  # noqa: PLR2004 - +1 and ten digits
        return f"({address[2:5]}) {address[5:8]}-{address[8:]}"
    return address


def number_sid(world: World, call: Call) -> str | None:
    """Return the SID of the account's own number in the call."""
    number = world.numbers.get(call.to if call.direction is Direction.INBOUND else call.from_)
    return number.sid if number else None


def check_parties(world: World, account_sid: str, form: Form) -> tuple[str, str]:
    """Return From and To of a new leg.

    Raises:
        RestError: 21201, 21211, 21213, 21212, 21210, 21218 as Twilio words them.

    """
    to = form.required("To", 21201)
    from_ = form.required("From", 21213)
    if not phone_or_address(to):
        raise RestError(400, 21211, f"The phone number you are attempting to call, {to}, is not valid.")
    if PHONE.match(to) and not PHONE.match(from_):
        raise RestError(
            400, 21212, f"The From phone number {from_} is not valid: expected E.164 for a call to a number"
        )
    owned = world.numbers.get(from_)
    known = (owned is not None and owned.account_sid == account_sid) or from_ in world.config.verified_caller_ids
    if world.switches.verified_from_only and PHONE.match(from_) and not known and "CallToken" not in form:
        message = f"The source phone number provided, {from_}, is not yet verified for your account."
        raise RestError(400, 21210, message)
    if to.startswith("app:") and to[4:].partition("?")[0] not in world.applications:
        raise RestError(400, 21218, "Invalid application SID: there is no such TwiML application")
    return from_, to


def voice_source(world: World, form: Form, sid: str) -> Source | None:
    """Return the TwiML that the form names, or None; both Url and Twiml: Url wins (32019)."""
    url, twiml = form.url("Url"), form.text("Twiml")
    if len(twiml) > MAX_TWIML:
        raise RestError(400, 21205, f"Twiml is longer than {MAX_TWIML} characters")
    if url and twiml:
        world.alert(Alert.URL_AND_TWIML, "both Url and Twiml given, Url is used", sid, url)
    if not url and not twiml:
        return None
    return Source(
        url,
        form.method("Method"),
        None if url else twiml,
        form.url("FallbackUrl"),
        form.method("FallbackMethod"),
    )


def recording_wish(form: Form, source: str, events: frozenset[str] = RECORDING_EVENTS) -> RecordingWish | None:
    """Return how the leg is to be recorded, None if it is not."""
    if not form.flag("Record", default=False):
        return None
    return wish(form, source, events)


def wish(form: Form, source: str, events: frozenset[str] = RECORDING_EVENTS) -> RecordingWish:
    """Return the recording that the form describes."""
    channels = form.choice("RecordingChannels", frozenset({"mono", "dual"}), "mono")
    track = form.choice("RecordingTrack", frozenset({"inbound", "outbound", "both"}), "both")
    callbacks = form.subscription("RecordingStatusCallback", events, COMPLETED)
    return RecordingWish(source, 2 if channels == "dual" else 1, track, callbacks)


def send_digits(form: Form) -> str:
    """Return the keys that Twilio presses after the answer.

    Raises:
        RestError: 400, 21206.

    """
    digits = form.text("SendDigits")
    if set(digits) - SENT:
        raise RestError(400, 21206, f"Invalid SendDigits '{digits}': expected some of 0-9 # * w W")
    return digits


def detection(form: Form, prefix: str, *, asynchronous: bool) -> MachineDetection | None:
    """Return the machine detection that the form asks for; ``prefix`` names its callback, ``SendDigits`` forbids it."""
    mode = form.choice("MachineDetection", frozenset({"Enable", "DetectMessageEnd", "none", "None"}))
    if mode.lower() in {"", "none"} or form.text("SendDigits"):
        return None
    timeout_s = form.seconds("MachineDetectionTimeout", DETECTION_TIMEOUT_S, 3, 59, 20001)
    return MachineDetection(mode, asynchronous, form.url(prefix), form.method(f"{prefix}Method"), timeout_s)


async def create(request: web.Request) -> web.Response:
    """``POST /Calls.json``."""
    world, account_sid, form = request.app[WORLD], account(request), await read_form(request)
    form.check(CREATE, "Calls create")
    from_, to = check_parties(world, account_sid, form)
    if to.startswith("app:"):
        raise RestError(400, 21211, "To=app:… is for conference participants only")
    sid = world.sids.new("CA")
    source, progress = _what_to_run(world, form, sid)
    now = world.clock.now()
    limit = form.text("TimeLimit")
    call = Call(
        sid=sid,
        account_sid=account_sid,
        to=to,
        from_=from_,
        direction=Direction.OUTBOUND_API,
        created_at=now,
        updated_at=now,
        source=source,
        progress=progress,
        timeout_s=form.seconds("Timeout", 60, 1, MAX_TIMEOUT_S, 21208),
        time_limit_s=float(limit) if limit.isdigit() else None,
        detection=detection(form, "AsyncAmdStatusCallback", asynchronous=form.flag("AsyncAmd", default=False)),
        record=recording_wish(form, "OutboundAPI"),
        application_sid=form.text("ApplicationSid"),
        send_digits=send_digits(form),
    )
    line.dial(world, call)
    return reply(resource(world, call), 201)


def _what_to_run(world: World, form: Form, sid: str) -> tuple[Source, Subscription]:
    application_sid = form.text("ApplicationSid")
    if application_sid:
        application = world.applications.get(application_sid)
        if application is None:
            raise RestError(400, 21218, "Invalid application SID: there is no such TwiML application")
        return application.voice, application.progress
    source = voice_source(world, form, sid)
    if source is None:
        raise RestError(400, 21205, "Url parameter is required: give Url, Twiml or ApplicationSid")
    return source, form.subscription("StatusCallback", CALL_EVENTS, COMPLETED)


def find(request: web.Request) -> Call:
    """Return the call in the path.

    Raises:
        RestError: 404.

    """
    call = request.app[WORLD].calls.get(request.match_info["call"])
    if call is None or call.account_sid != account(request):
        raise not_found(request.path)
    return call


async def fetch(request: web.Request) -> web.Response:
    """``GET /Calls/{CA}.json``."""
    return reply(resource(request.app[WORLD], find(request)))


async def update(request: web.Request) -> web.Response:
    """``POST /Calls/{CA}.json``: hang up, cancel, redirect, or change the callback."""
    world, form = request.app[WORLD], await read_form(request)
    call = find(request)
    form.check(UPDATE, "Calls update")
    status = form.choice("Status", frozenset({"canceled", "completed"}))
    source = voice_source(world, form, call.sid)
    if (status or source) and not call.live:
        raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
    before = call.progress
    if "StatusCallback" in form:
        call.progress = form.subscription("StatusCallback", CALL_EVENTS, before.events or COMPLETED)
    elif "StatusCallbackMethod" in form:
        call.progress = replace(before, method=form.method("StatusCallbackMethod"))
    if call.source is not None and "FallbackUrl" in form:
        call.source = replace(
            call.source, fallback_url=form.url("FallbackUrl"), fallback_method=form.method("FallbackMethod")
        )
    if "TimeLimit" in form:
        _limit(world, call, form)
    if source is not None and not status:
        line.redirect(world, call, source)
    elif status == "completed" or (status == "canceled" and call.status is not CallStatus.IN_PROGRESS):
        calls.cancel(world, call, world.switches.u16_hangup_reason)
    call.updated_at = world.clock.now()
    return reply(resource(world, call))


def _limit(world: World, call: Call, form: Form) -> None:
    call.time_limit_s = float(form.seconds("TimeLimit", 14_400, 0, 86_400, 20001))
    if call.answered_at is not None and call.live:
        left = max(call.answered_at + call.time_limit_s - world.clock.now(), 0)
        call.timers.append(world.clock.call_later(left, lambda: calls.cancel(world, call)))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /Calls/{CA}.json``: removes the record of a finished call, hangs up nothing."""
    world, call = request.app[WORLD], find(request)
    if call.live:
        raise RestError(400, 20009, "Cannot delete this resource before it is complete")
    del world.calls[call.sid]
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET /Calls.json`` with its filters, newest first."""
    world, account_sid = request.app[WORLD], account(request)
    filters(request, LIST)
    found = [
        call
        for call in reversed(world.calls.values())
        if call.account_sid == account_sid and world.settled(call.created_at) and _matches(call, request.query)
    ]
    return page(request, "calls", found, lambda call: call.sid, lambda call: resource(world, call))


def _matches(call: Call, query: MultiMapping[str]) -> bool:
    status = "queued" if call.status is CallStatus.INITIATED else call.status.value
    exact = {"To": call.to, "From": call.from_, "ParentCallSid": call.parent_call_sid or "", "Status": status}
    if any(name in query and query[name] != value for name, value in exact.items()):
        return False
    return time_matches(query, "StartTime", call.answered_at or call.created_at) and time_matches(
        query, "EndTime", call.ended_at
    )


def time_matches(query: MultiMapping[str], name: str, at: float | None) -> bool:
    """Tell whether a time passes the list filters ``Name``, ``Name<`` and ``Name>`` (dates or ISO times)."""
    for suffix in ("", "<", ">"):
        value = query.get(name + suffix)
        if value is None:
            continue
        low = moment(value, name)
        if at is None:
            return False
        then = datetime.fromtimestamp(at, UTC)
        high = low + timedelta(days=1) if len(value) == len("2026-01-01") else low + timedelta(seconds=1)
        passes = {"": low <= then < high, "<": then < high, ">": then >= low}
        if not passes[suffix]:
            return False
    return True


def moment(value: str, name: str) -> datetime:
    """Return the moment that a date or ISO time names, of the day its beginning.

    Raises:
        RestError: 400, 20001.

    """
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise RestError(400, 20001, f"Invalid {name} '{value}': expected YYYY-MM-DD or an ISO time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
