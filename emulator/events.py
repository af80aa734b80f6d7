"""``GET /_emulator/events``: what happens, as server-sent events, for terminals that stand in for a person."""

import asyncio

import msgspec
from aiohttp import web

from emulator.journal import Event
from emulator.rest.answer import WORLD

KEEPALIVE_S = 15.0


async def stream(request: web.Request) -> web.StreamResponse:
    """Send events as they come; ``?from=N`` begins behind event N of those still kept, ``?call=SID`` filters."""
    world = request.app[WORLD]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    start, wanted = request.query.get("from", ""), request.query.get("call", "")
    with world.events.subscribe() as subscriber:
        await response.prepare(request)  # whoever sees the headers misses nothing from then on
        if start.isdigit():
            for event in [event for event in world.events.journal.entries if event.number > int(start)]:
                await _send(response, event, wanted)
        await response.write(b": here\n\n")
        lost = 0
        while True:
            try:
                event = await asyncio.wait_for(subscriber.queue.get(), KEEPALIVE_S)  # a socket's time is real
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            await _send(response, event, wanted)
            if subscriber.lost != lost:
                lost = subscriber.lost
                await response.write(f"event: lost\ndata: {lost}\n\n".encode())


async def _send(response: web.StreamResponse, event: Event, wanted: str) -> None:
    if wanted in {"", event.call_sid}:
        await response.write(b"id: %d\ndata: %s\n\n" % (event.number, msgspec.json.encode(event)))
