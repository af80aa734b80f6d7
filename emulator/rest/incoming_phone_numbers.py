"""The IncomingPhoneNumber resource, as far as pointing a number needs it."""

from aiohttp import web

from emulator.config import NumberConfig
from emulator.entities import Number, Source, Subscription
from emulator.errors import RestError, not_found
from emulator.payloads import rfc2822
from emulator.rest.answer import WORLD, Json, account, base, filters, page, reply
from emulator.rest.form import PHONE, Form, Parameters, read_form
from emulator.world import TERMINAL_EVENTS, World

VOICE = frozenset(
    {
        "VoiceUrl",
        "VoiceMethod",
        "VoiceFallbackUrl",
        "VoiceFallbackMethod",
        "VoiceApplicationSid",
        "StatusCallback",
        "StatusCallbackMethod",
        "FriendlyName",
    }
)
LIST = frozenset({"PhoneNumber", "FriendlyName", "Beta", "Origin"})
CREATE = Parameters(VOICE | {"PhoneNumber", "AreaCode"})
UPDATE = Parameters(VOICE)


def resource(number: Number) -> Json:
    """Return a number as JSON."""
    path = f"{base(number.account_sid)}/IncomingPhoneNumbers/{number.sid}"
    return {
        "sid": number.sid,
        "account_sid": number.account_sid,
        "friendly_name": number.friendly_name,
        "phone_number": number.number,
        "voice_url": number.voice.url,
        "voice_method": number.voice.method,
        "voice_fallback_url": number.voice.fallback_url,
        "voice_fallback_method": number.voice.fallback_method,
        "voice_application_sid": number.voice_application_sid or None,
        "voice_caller_id_lookup": False,
        "status_callback": number.progress.url,
        "status_callback_method": number.progress.method,
        "sms_url": "",
        "sms_method": "POST",
        "sms_fallback_url": "",
        "sms_fallback_method": "POST",
        "sms_application_sid": None,
        "trunk_sid": None,
        "bundle_sid": None,
        "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
        "emergency_status": "Inactive",
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "type": "local",
        "voice_receive_mode": "voice",
        "identity_sid": None,
        "address_sid": None,
        "address_requirements": "none",
        "beta": False,
        "origin": "twilio",
        "status": "in-use",
        "api_version": "2010-04-01",
        "date_created": rfc2822(number.created_at),
        "date_updated": rfc2822(number.updated_at),
        "uri": f"{path}.json",
    }


def _check_application(world: World, form: Form) -> None:
    sid = form.text("VoiceApplicationSid")
    if sid and sid not in world.applications:
        raise RestError(400, 21218, "Invalid application SID: there is no such TwiML application")


def pointed(voice: Source, form: Form) -> Source:
    """Return where a number or application leads after the form's changes."""
    return Source(
        form.url("VoiceUrl") if "VoiceUrl" in form else voice.url,
        form.method("VoiceMethod", voice.method),
        None,
        form.url("VoiceFallbackUrl") if "VoiceFallbackUrl" in form else voice.fallback_url,
        form.method("VoiceFallbackMethod", voice.fallback_method),
    )


def _point(world: World, number: Number, form: Form) -> None:
    progress = number.progress
    number.voice = pointed(number.voice, form)
    url = form.url("StatusCallback", 21609) if "StatusCallback" in form else progress.url
    number.progress = Subscription(url, form.method("StatusCallbackMethod", progress.method), TERMINAL_EVENTS)
    number.friendly_name = form.text("FriendlyName", number.friendly_name)
    number.voice_application_sid = form.text("VoiceApplicationSid", number.voice_application_sid)
    number.updated_at = world.clock.now()


async def create(request: web.Request) -> web.Response:
    """``POST /IncomingPhoneNumbers.json``: the account gets the number."""
    world, account_sid, form = request.app[WORLD], account(request), await read_form(request)
    form.check(CREATE, "IncomingPhoneNumbers create")
    _check_application(world, form)
    phone = form.text("PhoneNumber") or _in_area(world, form.required("AreaCode", 21452))
    if not PHONE.match(phone):
        raise RestError(400, 21421, f"PhoneNumber {phone} is invalid: expected E.164")
    if phone in world.numbers:
        raise RestError(400, 21422, f"PhoneNumber {phone} is not available")
    number = world.put_number(phone, NumberConfig(account_sid=account_sid))
    _point(world, number, form)
    return reply(resource(number), 201)


def _in_area(world: World, area: str) -> str:
    """Return a free number of a North American area code.

    Raises:
        RestError: 400, 21451 for an invalid code; 21452 when there is none left.

    """
    if len(area) != 3 or not area.isdigit() or area[0] in "01":  # noqa: PLR2004 - NPA codes
        raise RestError(400, 21451, f"AreaCode {area} is invalid: expected three digits")
    free = (f"+1{area}5550{last:03}" for last in range(100, 200))
    found = next((number for number in free if number not in world.numbers), None)
    if found is None:
        raise RestError(400, 21452, f"No phone numbers found in area code {area}")
    return found


def find(request: web.Request) -> Number:
    """Return the number whose SID is in the path.

    Raises:
        RestError: 404.

    """
    sid = request.match_info["number"]
    for number in request.app[WORLD].numbers.values():
        if number.sid == sid and number.account_sid == account(request):
            return number
    raise not_found(request.path)


async def fetch(request: web.Request) -> web.Response:
    """``GET /IncomingPhoneNumbers/{PN}.json``."""
    return reply(resource(find(request)))


async def update(request: web.Request) -> web.Response:
    """``POST /IncomingPhoneNumbers/{PN}.json``: points the number elsewhere."""
    form = await read_form(request)
    number = find(request)
    form.check(UPDATE, "IncomingPhoneNumbers update")
    _check_application(request.app[WORLD], form)
    _point(request.app[WORLD], number, form)
    return reply(resource(number))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /IncomingPhoneNumbers/{PN}.json``: gives the number back."""
    del request.app[WORLD].numbers[find(request).number]
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET /IncomingPhoneNumbers.json``."""
    account_sid, wanted = account(request), filters(request, LIST)
    found = [
        number
        for number in request.app[WORLD].numbers.values()
        if number.account_sid == account_sid and _matches(number, wanted)
    ]
    return page(request, "incoming_phone_numbers", found, lambda number: number.sid, resource)


def _matches(number: Number, wanted: dict[str, str]) -> bool:
    known = {"FriendlyName": number.friendly_name, "Beta": "false", "Origin": "twilio"}
    part = wanted.get("PhoneNumber", "").replace("*", "")
    return part in number.number and all(wanted.get(name, value) == value for name, value in known.items())
