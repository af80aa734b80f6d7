"""Every emulated route of the REST API, and what the others answer."""

from aiohttp import web

from emulator.errors import not_emulated, not_found
from emulator.rest import (
    accounts,
    applications,
    calls,
    conferences,
    incoming_phone_numbers,
    keys,
    participants,
    queues,
    recordings,
    sound,
)
from emulator.rest.form import PREFIX
from emulator.rest.taskrouter import routes as taskrouter

ACCOUNT = PREFIX + "/Accounts/{account}"
NOT_EMULATED = frozenset(
    {
        "Addresses",
        "AuthorizedConnectApps",
        "AvailablePhoneNumbers",
        "Balance",
        "Messages",
        "Notifications",
        "OutgoingCallerIds",
        "SIP",
        "ShortCodes",
        "SigningKeys",
        "Tokens",
        "Transcriptions",
        "Usage",
    }
)
"""Twilio's other resources: asking for them is told apart from a mistyped path."""
KNOWN = frozenset({"Applications", "Calls", "Conferences", "IncomingPhoneNumbers", "Keys", "Queues", "Recordings"})
OF_CALLS = frozenset(calls.camel(name) for name in calls.SUBRESOURCES) - {"Recordings"}


async def elsewhere(request: web.Request) -> web.Response:
    """Answer for a path that is not emulated: 501 for a resource of Twilio's, else 404."""
    path = request.match_info["rest"]
    parts = path.removesuffix(".json").split("/")
    if parts[0] in NOT_EMULATED:
        raise not_emulated(f"the resource {parts[0]}")
    if parts[0].partition(".")[0] in KNOWN and not path.endswith(".json"):
        raise not_emulated(f"{path} as anything but JSON: add .json to the path")
    if parts[0] == "Calls" and len(parts) > 2 and parts[2] in OF_CALLS:  # noqa: PLR2004 - resource, SID, subresource
        raise not_emulated(f"the subresource Calls/…/{parts[2]}")
    raise not_found(request.path)


async def other_product(request: web.Request) -> web.Response:
    """Answer for the products beside TaskRouter that share the base URL: 501."""
    raise not_emulated(f"the resource {request.match_info['rest'].split('/')[0]} of another product")


async def kinds_of_numbers(request: web.Request) -> web.Response:
    """Answer for ``/IncomingPhoneNumbers/Local.json`` and its like: 501."""
    raise not_emulated(f"the subresource IncomingPhoneNumbers/{request.match_info['kind']}")


def _add_account(router: web.UrlDispatcher) -> None:
    router.add_post(PREFIX + "/Accounts.json", accounts.create)
    router.add_get(PREFIX + "/Accounts.json", accounts.listing)
    router.add_get(ACCOUNT + ".json", accounts.fetch)
    router.add_post(ACCOUNT + ".json", accounts.update)
    for path, module, name in (("/Keys", keys, "key"), ("/Applications", applications, "application")):
        router.add_post(f"{ACCOUNT}{path}.json", module.create)
        router.add_get(f"{ACCOUNT}{path}.json", module.listing)
        router.add_get(f"{ACCOUNT}{path}/{{{name}}}.json", module.fetch)
        router.add_post(f"{ACCOUNT}{path}/{{{name}}}.json", module.update)
        router.add_delete(f"{ACCOUNT}{path}/{{{name}}}.json", module.delete)


def add(app: web.Application) -> None:
    """Put the REST API's routes into the application."""
    router = app.router
    _add_account(router)
    router.add_post(ACCOUNT + "/Calls.json", calls.create)
    router.add_get(ACCOUNT + "/Calls.json", calls.listing)
    router.add_get(ACCOUNT + "/Calls/{call}.json", calls.fetch)
    router.add_post(ACCOUNT + "/Calls/{call}.json", calls.update)
    router.add_delete(ACCOUNT + "/Calls/{call}.json", calls.delete)
    router.add_post(ACCOUNT + "/Calls/{call}/Recordings.json", recordings.create)
    for owner in ("/Calls/{call}", "/Conferences/{conference}"):
        router.add_get(ACCOUNT + owner + "/Recordings.json", recordings.listing)
        router.add_get(ACCOUNT + owner + "/Recordings/{recording}.json", recordings.fetch)
        router.add_post(ACCOUNT + owner + "/Recordings/{recording}.json", recordings.update)
        router.add_delete(ACCOUNT + owner + "/Recordings/{recording}.json", recordings.delete)
    router.add_delete(ACCOUNT + "/Recordings/{recording}.json", recordings.delete)
    router.add_get(ACCOUNT + "/Recordings.json", recordings.of_account)
    router.add_get(ACCOUNT + r"/Recordings/{recording:RE\w+}{form:(\.wav|\.mp3)?}", sound.fetch)
    router.add_get(ACCOUNT + "/Recordings/{recording}.json", recordings.fetch_of_account)
    router.add_get(ACCOUNT + "/Conferences.json", conferences.listing)
    router.add_get(ACCOUNT + "/Conferences/{conference}.json", conferences.fetch)
    router.add_post(ACCOUNT + "/Conferences/{conference}.json", conferences.update)
    room = ACCOUNT + "/Conferences/{conference}/Participants"
    router.add_post(room + ".json", participants.create)
    router.add_get(room + ".json", participants.listing)
    router.add_get(room + "/{participant}.json", participants.fetch)
    router.add_post(room + "/{participant}.json", participants.update)
    router.add_delete(room + "/{participant}.json", participants.delete)
    numbers = ACCOUNT + "/IncomingPhoneNumbers"
    router.add_route("*", numbers + "/{kind:Local|Mobile|TollFree}.json", kinds_of_numbers)
    router.add_post(numbers + ".json", incoming_phone_numbers.create)
    router.add_get(numbers + ".json", incoming_phone_numbers.listing)
    router.add_get(numbers + "/{number}.json", incoming_phone_numbers.fetch)
    router.add_post(numbers + "/{number}.json", incoming_phone_numbers.update)
    router.add_delete(numbers + "/{number}.json", incoming_phone_numbers.delete)
    queue = ACCOUNT + "/Queues/{queue}"
    router.add_post(ACCOUNT + "/Queues.json", queues.create)
    router.add_get(ACCOUNT + "/Queues.json", queues.listing)
    router.add_get(queue + ".json", queues.fetch)
    router.add_post(queue + ".json", queues.update)
    router.add_delete(queue + ".json", queues.delete)
    router.add_get(queue + "/Members.json", queues.list_members)
    router.add_get(queue + "/Members/{member}.json", queues.fetch_member)
    router.add_post(queue + "/Members/{member}.json", queues.dequeue)
    router.add_route("*", ACCOUNT + "/{rest:.+}", elsewhere)
    taskrouter.add(app)
    router.add_route("*", "/v{version:[0-9]+}/{rest:.+}", other_product)
