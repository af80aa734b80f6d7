"""The servers that are compared. Each takes the same requests; what they do with them is what is measured.

`bare` is an aiohttp handler that reads nothing and answers 204: the floor of this HTTP server. `usual` is the handler
that one writes first: `await request.post()`, twilio-python's `RequestValidator`, one send to the log, awaited by
itself. `cordboard` is the ingress with everything that it does: checks, limits, metrics, dead letters, records, and a
spool that has nothing to do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from aiohttp import web
from twilio.request_validator import RequestValidator

from benchmarks.ingress.webhook_requests import ACCOUNT, PUBLIC_URL, TOKEN
from cordboard.accounts import Account, Accounts
from cordboard.clock import system_clock
from cordboard.log.port import Entry, Log
from ingress.app import IngressConfig, serve_ingress
from ingress.recorder import Recorder, lane_of, lanes_of
from ingress.spool import Spool, SpoolLimits
from ingress.spool_file import SpoolFile
from schemas.topics import Topic, partition_of

Handler = Callable[[web.Request], Awaitable[web.Response]]
SendAndWait = Callable[[bytes, bytes], Awaitable[object]]
_IN_FLIGHT = 2000


async def bare(_request: web.Request) -> web.Response:
    """Nothing."""
    return web.Response(status=204)


def usual(send_and_wait: SendAndWait) -> Handler:
    """What the guides show."""
    validator = RequestValidator(TOKEN)

    async def handle(request: web.Request) -> web.Response:
        form = await request.post()
        signature = request.headers.get("X-Twilio-Signature", "")
        if not validator.validate(PUBLIC_URL + request.raw_path, form, signature):
            return web.Response(status=403)
        key = request.query["call"].encode()
        await send_and_wait(key, msgspec.json.encode({name: str(value) for name, value in form.items()}))
        return web.Response(status=204)

    return handle


def publishing(log: Log) -> SendAndWait:
    """One publish a record, for logs other than Kafka."""

    async def send(key: bytes, value: bytes) -> None:
        await log.publish(Topic.INBOX, (Entry(partition_of(key, log.partitions), key, value),))

    return send


def serve(variant: str, log: Log, send_and_wait: SendAndWait) -> AbstractAsyncContextManager[int]:
    """One of the servers on a free port; gives the port."""
    if variant == "cordboard":
        accounts = Accounts([Account(sid=ACCOUNT, auth_tokens=(TOKEN,))])
        config = IngressConfig(public_url=PUBLIC_URL, accounts=accounts, port=0, max_in_flight=_IN_FLIGHT)
        return _with_spool(config, log)
    return _serve_handler(bare if variant == "bare" else usual(send_and_wait))


@asynccontextmanager
async def _with_spool(config: IngressConfig, log: Log) -> AsyncIterator[int]:
    lanes = lanes_of(log)
    with TemporaryDirectory() as folder:
        disk = SpoolFile(Path(folder) / "spool.db", lanes, lambda key: lane_of(key, lanes))
        spool = Spool(disk, SpoolLimits(), system_clock)
        recorder = Recorder(log, config.ack_timeout_s, spool)
        try:
            async with serve_ingress(config, log, system_clock, recorder) as port:
                yield port
            assert not spool.records, "the log was not healthy: this measured something else"
        finally:
            await spool.close()


@asynccontextmanager
async def _serve_handler(handler: Handler) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_post("/v1/voice/status", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()
