"""From a callback received to the REST request on the wire, at 200 callbacks a second: journal, Kafka, and a reference.

    PYTHONPATH=tests/support python -m benchmarks.latency.run [--log journal kafka] [--rate 200] [--seconds 15]

The reference (`naive`) keeps nothing and asks at once; what Cordboard adds to it is four durable steps. Load generator
and the Twilio that is asked share this process; the clock is one. Figures of one run compare with one another only.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import DEVNULL, Popen

import aiohttp
import uvloop
from aiohttp import web
from rich.console import Console
from rich.table import Table

from benchmarks.latency.calls import ACCOUNT, TOKEN, agent_joins, begins, call_sid
from free_ports import free_port
from kafka_broker import STEADY_JVM, KafkaBroker
from service_process import COMMAND

_PREPARE_RATE = 400
_READY_S = 60.0
_SETTLE_S = 20.0


class Sink:
    """The Twilio that is asked: notes when a creation arrives, and answers it."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}

    async def take(self, request: web.Request) -> web.Response:
        """Any REST request."""
        now = time.perf_counter()
        form = await request.post()
        call = str(form.get("StatusCallback", "")).partition("call=")[2].partition("&")[0].partition("#")[0]
        if request.path.endswith("/Participants.json") and call:
            self.arrived.setdefault(call, now)
        number = int(call[2:] or "0", 16) if call else 0
        sids = {"call_sid": f"CA{number + 10**9:032x}", "conference_sid": f"CF{number:032x}"}
        return web.json_response({**sids, "label": form.get("Label"), "status": "queued"}, status=201)


@contextlib.asynccontextmanager
async def serving(sink: Sink) -> AsyncIterator[str]:
    """The sink on a port of its own; gives its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", sink.take)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def cordboard(log: str, api: str, port: int, folder: Path) -> tuple[Popen[bytes], str]:
    """`cordboard run` on a log; gives the process and its ready URL."""
    ops = free_port()
    env = {
        **os.environ,
        "CORDBOARD_LOG": log,
        "CORDBOARD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CORDBOARD_INGRESS_BIND": f"127.0.0.1:{port}",
        "CORDBOARD_OPS_BIND": f"127.0.0.1:{ops}",
        "CORDBOARD_TWILIO_ACCOUNT_SID": ACCOUNT,
        "CORDBOARD_TWILIO_AUTH_TOKEN": TOKEN,
        "CORDBOARD_TWILIO_API_URL": api,
        "CORDBOARD_TWILIO_NUMBER": "+15550100",
        "CORDBOARD_TWILIO_CALLS_PER_SECOND": "0",
        "CORDBOARD_TOPIC_PREFIX": f"latency-{port}.",
    }
    process = Popen([COMMAND, "run"], env=env, cwd=folder, stdout=DEVNULL, stderr=DEVNULL)
    return process, f"http://127.0.0.1:{ops}/readyz"


async def _ready(session: aiohttp.ClientSession, url: str) -> None:
    deadline, said = time.monotonic() + _READY_S, "nobody listens"
    while time.monotonic() < deadline:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with session.get(url) as answer:
                said = await answer.text()
                if answer.status < 500 or "readyz" not in url:  # noqa: PLR2004 - the reference has no such route
                    return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{url} is not ready after {_READY_S} s: {said}")


async def _paced(session: aiohttp.ClientSession, port: int, requests: list[tuple[str, bytes, dict[str, str]]],
                 rate: int) -> list[float]:  # fmt: skip
    """Send at an even rate, whatever the answers take; gives when each was sent."""
    began = time.perf_counter()
    sent = [0.0] * len(requests)

    async def send(position: int) -> None:
        target, body, headers = requests[position]
        sent[position] = time.perf_counter()
        async with session.post(f"http://127.0.0.1:{port}{target}", data=body, headers=headers) as answer:
            assert answer.status < 300, (answer.status, target)  # noqa: PLR2004 the first status of a refusal

    async with asyncio.TaskGroup() as group:
        for position in range(len(requests)):
            await asyncio.sleep(max(0.0, began + position / rate - time.perf_counter()))
            group.create_task(send(position))
    return sent


async def measure(port: int, ready: str, sink: Sink, rate: int, seconds: int) -> list[float]:
    """Latencies in seconds, one a call."""
    public, count = f"http://127.0.0.1:{port}", rate * seconds
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=256)) as session:
        await _ready(session, ready)
        await _paced(session, port, [begins(public, number) for number in range(count)], _PREPARE_RATE)
        joins = [agent_joins(public, number) for number in range(count)]
        sent = await _paced(session, port, joins, rate)
        deadline = time.monotonic() + _SETTLE_S
        while len(sink.arrived) < count and time.monotonic() < deadline:  # noqa: ASYNC110 - the last ones are late
            await asyncio.sleep(0.05)
    assert len(sink.arrived) == count, f"{count - len(sink.arrived)} of {count} never arrived"
    return [sink.arrived[call_sid(number)] - sent[number] for number in range(count)]


async def one(name: str, log: str, rate: int, seconds: int, folder: Path) -> list[float]:
    """One subject, started for this measurement alone."""
    sink = Sink()
    async with serving(sink) as api:
        port = free_port()
        if name == "naive":
            process = Popen([sys.executable, "-m", "benchmarks.latency.naive", str(port), api])  # noqa: ASYNC220 - nothing else runs yet
            ready = f"http://127.0.0.1:{port}/"
        else:
            process, ready = cordboard(log, api, port, folder)
        try:
            return await measure(port, ready, sink, rate, seconds)
        finally:
            process.kill()
            process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", nargs="+", choices=("journal", "kafka"), default=["journal", "kafka"])
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=15)
    given = parser.parse_args()
    table = Table("subject", "p50 ms", "p99 ms", "p50 × naive", title=f"callback to REST request, {given.rate}/s")
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        subjects = [("naive", "")]
        if "journal" in given.log:
            subjects.append(("journal", f"sqlite:{folder / 'journal.db'}"))
        if "kafka" in given.log:
            broker = stack.enter_context(KafkaBroker(folder / "kafka", jvm=STEADY_JVM))
            subjects.append(("kafka", f"kafka:{broker.bootstrap}"))
        reference = 0.0
        for name, log in subjects:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                latencies = runner.run(one(name, log, given.rate, given.seconds, folder))
            cuts = statistics.quantiles(latencies, n=100)
            reference = reference or cuts[49]
            table.add_row(name, f"{cuts[49] * 1000:.2f}", f"{cuts[98] * 1000:.2f}", f"{cuts[49] / reference:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
