"""The process that is measured: a local Twilio, or the empty aiohttp server and client beside it.

    python -m benchmarks.emulator.process emulator|empty

Prints its port, then for each line on stdin one line of JSON: CPU seconds used so far, bytes resident. `empty` answers
every request with as many bytes as a participant has, and `POST /client` makes it send forms, as callbacks are sent.
"""

import asyncio
import ctypes
import gc
import logging
import resource
import sys
from contextlib import suppress

import aiohttp
import msgspec
import psutil
import structlog
import uvloop
from aiohttp import web

from emulator import EmulatorConfig, NumberConfig, Person, serve

NUMBER = "+15550100001"
_BODY = b"x" * 700


class Used(msgspec.Struct, frozen=True):
    """What the process has used so far."""

    cpu_s: float
    rss: int


class Sending(msgspec.Struct, frozen=True):
    """Forms for the empty client to send, so many at a time."""

    url: str
    form: dict[str, str]
    headers: dict[str, str]
    count: int
    at_once: int


def used() -> Used:
    """CPU and memory, after what can be given back has been."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Used(usage.ru_utime + usage.ru_stime, int(psutil.Process().memory_info().rss))


async def _emulator() -> None:
    config = EmulatorConfig(port=0, numbers={NUMBER: NumberConfig()}, default_person=Person(ring_s=0.0), seed=1)
    async with serve(config) as running:
        await _report(running.port)


async def _empty() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=_BODY, content_type="application/json")

    async def send(request: web.Request) -> web.Response:
        await _send(msgspec.json.decode(await request.read(), type=Sending))
        return web.Response()

    app = web.Application()
    app.router.add_post("/client", send)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await _report(int(runner.addresses[0][1]))
    await runner.cleanup()


async def _send(wish: Sending) -> None:
    left = iter(range(wish.count))

    async def some(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(wish.url, data=wish.form, headers=wish.headers) as answer:
                await answer.read()

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(wish.at_once):
            group.create_task(some(session))


async def _report(port: int) -> None:
    print(port, flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(msgspec.json.encode(used()).decode(), flush=True)


def main() -> None:
    """Serve until stdin ends."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    work = {"emulator": _emulator, "empty": _empty}[sys.argv[1]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


if __name__ == "__main__":
    main()
