"""The Key resource: API keys, which let in like the account's token and sign nothing. The secret is told once."""

from aiohttp import web

from emulator.entities import ApiKey
from emulator.errors import not_found
from emulator.payloads import rfc2822
from emulator.rest.answer import WORLD, Json, account, filters, page, reply
from emulator.rest.form import Parameters, read_form

SETTINGS = Parameters(frozenset({"FriendlyName"}))


def resource(key: ApiKey) -> Json:
    """Return a key as JSON, without its secret."""
    return {
        "sid": key.sid,
        "friendly_name": key.friendly_name,
        "date_created": rfc2822(key.created_at),
        "date_updated": rfc2822(key.updated_at),
    }


async def create(request: web.Request) -> web.Response:
    """``POST /Keys.json``: the one answer that has the secret."""
    world, form = request.app[WORLD], await read_form(request)
    form.check(SETTINGS, "Keys create")
    key = world.add_key(world.sids.new("SK"), world.sids.new(""), account(request), form.text("FriendlyName"))
    return reply({**resource(key), "secret": key.secret}, 201)


def find(request: web.Request) -> ApiKey:
    """Return the key in the path.

    Raises:
        RestError: 404.

    """
    key = request.app[WORLD].keys.get(request.match_info["key"])
    if key is None or key.account_sid != account(request):
        raise not_found(request.path)
    return key


async def fetch(request: web.Request) -> web.Response:
    """``GET /Keys/{SK}.json``."""
    return reply(resource(find(request)))


async def update(request: web.Request) -> web.Response:
    """``POST /Keys/{SK}.json``: its name."""
    form, key = await read_form(request), find(request)
    form.check(SETTINGS, "Keys update")
    key.friendly_name = form.text("FriendlyName") or key.friendly_name
    key.updated_at = request.app[WORLD].clock.now()
    return reply(resource(key))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /Keys/{SK}.json``: it lets nobody in any more."""
    del request.app[WORLD].keys[find(request).sid]
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET /Keys.json``."""
    filters(request)
    found = [key for key in request.app[WORLD].keys.values() if key.account_sid == account(request)]
    return page(request, "keys", found, lambda key: key.sid, resource)
