"""The Queue and Member resources (twilio-facts.md 4.3): what ``<Enqueue>`` fills and REST empties."""

from aiohttp import web

from emulator.entities import Source
from emulator.errors import RestError, not_found
from emulator.payloads import rfc2822
from emulator.queues import DEFAULT_MAX_SIZE, Member, Outcome, Queue
from emulator.rest.answer import WORLD, Json, account, base, filters, page, reply
from emulator.rest.form import Form, Parameters, read_form

SETTINGS = Parameters(frozenset({"FriendlyName", "MaxSize"}))
DEQUEUE = Parameters(frozenset({"Url", "Method"}))
FRONT = "Front"
MAX_SIZE = 5_000
NAME_TAKEN, NOT_EMPTY = 22003, 22006


def resource(request: web.Request, queue: Queue) -> Json:
    """Return a queue as JSON."""
    return {
        "sid": queue.sid,
        "account_sid": queue.account_sid,
        "friendly_name": queue.friendly_name,
        "current_size": len(queue.members),
        "max_size": queue.max_size,
        "average_wait_time": queue.average_wait_s(request.app[WORLD].clock.now()),
        "date_created": rfc2822(queue.created_at),
        "date_updated": rfc2822(queue.updated_at),
        "uri": f"{base(queue.account_sid)}/Queues/{queue.sid}.json",
    }


def member_resource(request: web.Request, member: Member) -> Json:
    """Return a member as JSON."""
    queue = member.queue
    return {
        "queue_sid": queue.sid,
        "call_sid": member.call.sid,
        "date_enqueued": rfc2822(member.enqueued_at),
        "position": queue.position(member),
        "wait_time": round(request.app[WORLD].clock.now() - member.enqueued_at),
        "uri": f"{base(queue.account_sid)}/Queues/{queue.sid}/Members/{member.call.sid}.json",
    }


def find(request: web.Request) -> Queue:
    """Return the queue in the path.

    Raises:
        RestError: 404.

    """
    queue = request.app[WORLD].queues.by_sid.get(request.match_info["queue"])
    if queue is None or queue.account_sid != account(request):
        raise not_found(request.path)
    return queue


def _size(form: Form, default: int) -> int:
    return form.seconds("MaxSize", default, 0, MAX_SIZE, 20001)


async def create(request: web.Request) -> web.Response:
    """``POST /Queues.json``."""
    world, form = request.app[WORLD], await read_form(request)
    form.check(SETTINGS, "Queues create")
    name = form.required("FriendlyName", 20001)
    if world.queues.named(account(request), name) is not None:
        raise RestError(400, NAME_TAKEN, f"A queue named {name} exists already")
    return reply(resource(request, world.queues.open(account(request), name, _size(form, DEFAULT_MAX_SIZE))), 201)


async def fetch(request: web.Request) -> web.Response:
    """``GET /Queues/{QU}.json``."""
    return reply(resource(request, find(request)))


async def update(request: web.Request) -> web.Response:
    """``POST /Queues/{QU}.json``: name and size."""
    world, form = request.app[WORLD], await read_form(request)
    queue = find(request)
    form.check(SETTINGS, "Queues update")
    size, name = _size(form, queue.max_size), form.text("FriendlyName") or queue.friendly_name
    if world.queues.named(account(request), name) not in {None, queue}:
        raise RestError(400, NAME_TAKEN, f"A queue named {name} exists already")
    queue.max_size, queue.friendly_name, queue.updated_at = size, name, world.clock.now()
    return reply(resource(request, queue))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /Queues/{QU}.json``: an empty one only."""
    queue = find(request)
    if queue.members:
        raise RestError(400, NOT_EMPTY, "Cannot delete a queue that has members")
    del request.app[WORLD].queues.by_sid[queue.sid]
    return web.Response(status=204)


async def listing(request: web.Request) -> web.Response:
    """``GET /Queues.json``."""
    filters(request)
    queues = request.app[WORLD].queues.by_sid.values()
    found = [queue for queue in queues if queue.account_sid == account(request)]
    return page(request, "queues", found, lambda queue: queue.sid, lambda queue: resource(request, queue))


# -- members ----------------------------------------------------------------------------------------------------------


def _member(request: web.Request) -> Member:
    """Return the member in the path, by its CallSid, or the one at the ``Front``.

    Raises:
        RestError: 404.

    """
    key, queue = request.match_info["member"], find(request)
    for member in queue.members:
        if key in {FRONT, member.call.sid}:
            return member
    raise not_found(request.path)


async def fetch_member(request: web.Request) -> web.Response:
    """``GET /Queues/{QU}/Members/{CA or Front}.json``."""
    return reply(member_resource(request, _member(request)))


async def dequeue(request: web.Request) -> web.Response:
    """``POST /Queues/{QU}/Members/{CA or Front}.json``: the caller goes on with other TwiML."""
    world, form = request.app[WORLD], await read_form(request)
    member = _member(request)
    form.check(DEQUEUE, "queue Members update")
    form.required("Url", 21205)
    body = member_resource(request, member)
    world.queues.leave(member, Outcome("redirected", Source(form.url("Url"), form.method("Method"))))
    return reply(body)


async def list_members(request: web.Request) -> web.Response:
    """``GET /Queues/{QU}/Members.json``, the front first."""
    filters(request)
    members = find(request).members
    return page(request, "queue_members", members, lambda one: one.call.sid, lambda one: member_resource(request, one))
