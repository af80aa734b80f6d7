"""The Account resource: the main account, and subaccounts made, renamed, suspended and closed."""

from aiohttp import web

from emulator.entities import Account
from emulator.errors import RestError
from emulator.payloads import rfc2822
from emulator.rest.answer import WORLD, Json, account, account_of, base, filters, page, reply
from emulator.rest.form import Parameters, read_form
from emulator.world import World

STATUSES = frozenset({"active", "suspended", "closed"})
LIST = frozenset({"FriendlyName", "Status"})
PARTS = {
    "applications": "Applications",
    "calls": "Calls",
    "conferences": "Conferences",
    "incoming_phone_numbers": "IncomingPhoneNumbers",
    "keys": "Keys",
    "queues": "Queues",
    "recordings": "Recordings",
}
MAIN_CANNOT = 20001


def resource(world: World, one: Account) -> Json:
    """Return an account as JSON; its auth token is in it, as with Twilio."""
    path = base(one.sid)
    return {
        "sid": one.sid,
        "owner_account_sid": world.config.account_sid,
        "friendly_name": one.friendly_name,
        "status": one.status,
        "type": "Full",
        "auth_token": world.tokens[one.sid],
        "date_created": rfc2822(one.created_at),
        "date_updated": rfc2822(one.updated_at),
        "uri": f"{path}.json",
        "subresource_uris": {name: f"{path}/{part}.json" for name, part in PARTS.items()},
    }


async def create(request: web.Request) -> web.Response:
    """``POST /Accounts.json``: a subaccount with a token of its own; subaccounts have none below them."""
    world, form = request.app[WORLD], await read_form(request)
    form.check(Parameters(frozenset({"FriendlyName"})), "Accounts create")
    if account_of(request) != world.config.account_sid:
        raise RestError(403, 20403, "A subaccount cannot have subaccounts")
    one = world.add_account(world.sids.new("AC"), world.sids.new(""), form.text("FriendlyName"))
    return reply(resource(world, one), 201)


async def fetch(request: web.Request) -> web.Response:
    """``GET /Accounts/{AC}.json``."""
    world = request.app[WORLD]
    return reply(resource(world, world.accounts[account(request)]))


async def update(request: web.Request) -> web.Response:
    """``POST /Accounts/{AC}.json``: name and status; a closed account stays closed, the main one active."""
    world, form = request.app[WORLD], await read_form(request)
    one = world.accounts[account(request)]
    form.check(Parameters(LIST), "Accounts update")
    status = form.choice("Status", STATUSES, one.status) or one.status
    if status != one.status and one.sid == world.config.account_sid:
        raise RestError(400, MAIN_CANNOT, "The status of the main account cannot be changed")
    if one.status == "closed" and status != "closed":
        raise RestError(409, 20409, "A closed account cannot be opened again")
    one.friendly_name, one.status = form.text("FriendlyName") or one.friendly_name, status
    one.updated_at = world.clock.now()
    return reply(resource(world, one))


async def listing(request: web.Request) -> web.Response:
    """``GET /Accounts.json``: the account that asks and, for the main one, its subaccounts."""
    world, wanted, own = request.app[WORLD], filters(request, LIST), account_of(request)
    found = [
        one
        for one in world.accounts.values()
        if own in {one.sid, world.config.account_sid}
        and wanted.get("FriendlyName", one.friendly_name) == one.friendly_name
        and wanted.get("Status", one.status) == one.status
    ]
    return page(request, "accounts", found, lambda one: one.sid, lambda one: resource(world, one))
