"""The Application resource: TwiML applications, which browsers call and ``app:`` participants reach."""

from aiohttp import web

from emulator.config import ApplicationConfig
from emulator.entities import Application, Subscription
from emulator.errors import not_found
from emulator.payloads import rfc2822
from emulator.rest.answer import WORLD, Json, account, base, filters, page, reply
from emulator.rest.form import Form, Parameters, read_form
from emulator.rest.incoming_phone_numbers import pointed
from emulator.world import TERMINAL_EVENTS, World

SETTINGS = Parameters(
    frozenset(
        {
            "FriendlyName",
            "VoiceUrl",
            "VoiceMethod",
            "VoiceFallbackUrl",
            "VoiceFallbackMethod",
            "StatusCallback",
            "StatusCallbackMethod",
        }
    )
)


def resource(one: Application) -> Json:
    """Return an application as JSON."""
    return {
        "sid": one.sid,
        "account_sid": one.account_sid,
        "api_version": "2010-04-01",
        "friendly_name": one.friendly_name,
        "voice_url": one.voice.url,
        "voice_method": one.voice.method,
        "voice_fallback_url": one.voice.fallback_url,
        "voice_fallback_method": one.voice.fallback_method,
        "voice_caller_id_lookup": False,
        "status_callback": one.progress.url,
        "status_callback_method": one.progress.method,
        "sms_url": "",
        "sms_method": "POST",
        "sms_fallback_url": "",
        "sms_fallback_method": "POST",
        "sms_status_callback": "",
        "message_status_callback": "",
        "public_application_connect_enabled": False,
        "date_created": rfc2822(one.created_at),
        "date_updated": rfc2822(one.updated_at),
        "uri": f"{base(one.account_sid)}/Applications/{one.sid}.json",
    }


def _apply(world: World, one: Application, form: Form) -> None:
    one.voice = pointed(one.voice, form)
    url = form.url("StatusCallback", 21609) if "StatusCallback" in form else one.progress.url
    one.progress = Subscription(url, form.method("StatusCallbackMethod", one.progress.method), TERMINAL_EVENTS)
    one.friendly_name = form.text("FriendlyName") or one.friendly_name
    one.updated_at = world.clock.now()


async def create(request: web.Request) -> web.Response:
    """``POST /Applications.json``."""
    world, form = request.app[WORLD], await read_form(request)
    form.check(SETTINGS, "Applications create")
    one = world.put_application(world.sids.new("AP"), ApplicationConfig(account_sid=account(request)))
    _apply(world, one, form)
    return reply(resource(one), 201)


def find(request: web.Request) -> Application:
    """Return the application in the path.

    Raises:
        RestError: 404.

    """
    one = request.app[WORLD].applications.get(request.match_info["application"])
    if one is None or one.account_sid != account(request):
        raise not_found(request.path)
    return one


async def fetch(request: web.Request) -> web.Response:
    """``GET /Applications/{AP}.json``."""
    return reply(resource(find(request)))


async def update(request: web.Request) -> web.Response:
    """``POST /Applications/{AP}.json``: points it elsewhere."""
    form, one = await read_form(request), find(request)
    form.check(SETTINGS, "Applications update")
    _apply(request.app[WORLD], one, form)
    return reply(resource(one))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /Applications/{AP}.json``; numbers that lead to it go back to their own URLs."""
    world, one = request.app[WORLD], find(request)
    del world.applications[one.sid]
    for number in world.numbers.values():
        if number.voice_application_sid == one.sid:
            number.voice_application_sid = ""
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET /Applications.json``."""
    wanted = filters(request, frozenset({"FriendlyName"}))
    found = [
        one
        for one in request.app[WORLD].applications.values()
        if one.account_sid == account(request) and wanted.get("FriendlyName", one.friendly_name) == one.friendly_name
    ]
    return page(request, "applications", found, lambda one: one.sid, resource)
