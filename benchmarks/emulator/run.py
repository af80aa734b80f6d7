"""What the local Twilio costs: memory of simultaneous calls, CPU of a callback and of a REST request.

    PYTHONPATH=tests/support python -m benchmarks.emulator.run [--calls 5000] [--requests 4000] [--rounds 3]

The emulator is a process of its own; callers, REST client and the application that gets its callbacks are this one.
CPU is the emulator's own, by getrusage, against an empty aiohttp server and client of the same run; rounds are
interleaved and medians shown. A ceiling is what one core gives when it does nothing else.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from benchmarks.emulator.process import NUMBER, Sending, Used

ROOT = Path(__file__).parents[2]
ACCOUNT, TOKEN = "AC00000000000000000000000000000001", "local-auth-token"
BASE = f"/2010-04-01/Accounts/{ACCOUNT}"
MIB = 1 << 20
_EVENTS = "start end join leave mute hold"
_AT_ONCE = 20
_PER_ROOM = 100
_WARM_UP = 100
_SETTLE_S = 120.0


class Subject:
    """A measured process and a client of it."""

    def __init__(self, variant: str, core: int) -> None:
        command = [sys.executable, "-m", "benchmarks.emulator.process", variant]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self._process.pid, {core})
        self.url = f"http://127.0.0.1:{int(self._line())}"

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process has ended; its reason stands above"
        return line

    def used(self) -> Used:
        """CPU and memory so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._line(), type=Used)

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@contextmanager
def subject(variant: str) -> Iterator[Subject]:
    """A process for the time of the context, on the last core; this process keeps to the first."""
    started = Subject(variant, max(os.sched_getaffinity(0)) if (os.cpu_count() or 1) == 1 else 1)
    try:
        yield started
    finally:
        started.stop()


class Participant(msgspec.Struct, frozen=True):
    """Somebody in a conference."""

    call_sid: str
    joined: bool


class Room(msgspec.Struct, frozen=True):
    """A conference as the control routes show it."""

    conference_sid: str
    participants: list[Participant]


class Application:
    """The customer's server: TwiML into a room named in the URL, nothing for callbacks."""

    def __init__(self) -> None:
        self.callbacks = 0
        self.last: tuple[dict[str, str], dict[str, str]] = ({}, {})

    async def take(self, request: web.Request) -> web.Response:
        """Any request of the emulator."""
        form = await request.post()
        if not request.path.startswith("/room/"):
            self.callbacks += 1
            self.last = {name: str(value) for name, value in form.items()}, dict(request.headers)
            return web.Response(status=204)
        told = f"statusCallback='/told' statusCallbackEvent='{_EVENTS}'"
        room = f"<Conference {told} startConferenceOnEnter='true'>{request.path.rpartition('/')[2]}</Conference>"
        return web.Response(text=f"<Response><Dial>{room}</Dial></Response>", content_type="text/xml")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve; gives the URL."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


class Driver:
    """Places calls and asks the REST API."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._auth = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}

    async def control(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """A control request."""
        data = None if body is None else msgspec.json.encode(body)
        async with self._session.request(method, f"{self._url}/_emulator{path}", data=data) as answer:
            assert answer.ok, (path, await answer.text())
            return msgspec.json.decode(await answer.read(), type=dict[str, object])

    async def rest(self, method: str, path: str, form: dict[str, str] | None = None) -> None:
        """A REST request."""
        async with self._session.request(method, f"{self._url}{BASE}{path}", data=form, headers=self._auth) as answer:
            assert answer.ok, (path, await answer.text())
            await answer.read()

    async def fill(self, app: str, rooms: range, calls: int) -> None:
        """Half of the calls come in, the other half is dialled into their rooms."""

        async def fill_one(room: int) -> None:
            number = f"+1555020{room:04d}"
            await self.control("PUT", f"/numbers/{number}", {"voice_url": f"{app}/room/r{room}"})
            told = {"StatusCallback": f"{app}/leg", "StatusCallbackEvent": "initiated ringing answered completed"}
            told |= {"ConferenceStatusCallback": f"{app}/told", "ConferenceStatusCallbackEvent": _EVENTS}
            for seat in range(calls // len(rooms) // 2):
                await self.control("POST", "/calls", {"from": f"+1555{room:04d}{seat:03d}", "to": number})
                form = {"From": NUMBER, "To": f"+1556{room:04d}{seat:03d}", "Label": f"agent-{seat}", **told}
                await self.rest("POST", f"/Conferences/r{room}/Participants.json", form)

        for start in range(rooms.start, rooms.stop, _AT_ONCE):
            await asyncio.gather(*map(fill_one, range(start, min(start + _AT_ONCE, rooms.stop))))

    async def rooms(self) -> list[Room]:
        """The conferences as they are."""
        seen = await self.control("GET", "/conferences?limit=100000")
        return msgspec.convert(seen["conferences"], list[Room])

    async def settled(self, calls: int) -> None:
        """Wait until so many calls live and nothing is on its way."""
        async with asyncio.timeout(_SETTLE_S):
            while True:
                health = await self.control("GET", "/statistics")
                joined = sum(one.joined for room in await self.rooms() for one in room.participants)
                if health["live_calls"] == calls == joined and not health["callbacks_waiting"]:
                    return
                await asyncio.sleep(0.2)

    async def spread(self, count: int, path: str, method: str = "GET", form: dict[str, str] | None = None) -> None:
        """So many REST requests, some at a time."""
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                await self.rest(method, path, form)

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


class Measured(msgspec.Struct, frozen=True):
    """Microseconds of CPU for one of each, and for the same with nothing in it."""

    callback: float
    post: float
    get: float
    sent: float
    answered: float


async def memory(calls: int) -> tuple[int, int, int]:
    """Resident bytes at the beginning, and with so many calls in conferences of two; callbacks that it took."""
    application = Application()
    with subject("emulator") as emulator:
        async with application.running() as app, aiohttp.ClientSession() as session:
            driver = Driver(session, emulator.url)
            base = emulator.used().rss
            await driver.fill(app, range(calls // 2), calls)
            await driver.settled(calls)
            full = emulator.used().rss
            health = await driver.control("GET", "/health")
            assert (health["crashes"], health["conferences"]) == (0, calls // 2), health
    return base, full, application.callbacks


async def one_round(requests: int) -> Measured:
    """CPU of callbacks and of REST requests, and of the empty server and client."""
    application = Application()
    with subject("emulator") as emulator, subject("empty") as empty:
        async with application.running() as app, aiohttp.ClientSession() as session:
            driver, bare = Driver(session, emulator.url), Driver(session, empty.url)
            rooms = max(requests // _PER_ROOM, 1)
            await driver.fill(app, range(rooms), rooms * _PER_ROOM)
            await driver.fill(app, range(rooms, rooms + 1), 2)
            await driver.settled(rooms * _PER_ROOM + 2)
            room = next(room for room in await driver.rooms() if len(room.participants) == 2)  # noqa: PLR2004 - a talk
            one = f"/Conferences/{room.conference_sid}/Participants/{room.participants[0].call_sid}.json"
            figures = []
            for asked, method, form in (
                (driver, "POST", {"Muted": "false"}),
                (driver, "GET", None),
                (bare, "GET", None),
            ):
                await asked.spread(_WARM_UP, one, method, form)
                who = empty if asked is bare else emulator
                before = who.used().cpu_s
                await asked.spread(requests, one, method, form)
                figures.append((who.used().cpu_s - before) / requests * 1e6)
            post, get, answered = figures
            callback = await _callbacks(driver, emulator, application, rooms)
            sent = await _sent(session, empty, application, f"{app}/told", requests)
    return Measured(callback, post, get, sent, answered)


async def _callbacks(driver: Driver, emulator: Subject, application: Application, rooms: int) -> float:
    """Microseconds a callback while all conferences end: all leaves, ends of legs and of rooms, with what they do."""
    ends = [f"/Conferences/{room.conference_sid}.json" for room in await driver.rooms() if len(room.participants) > 2]  # noqa: PLR2004 - as above
    before, used = application.callbacks, emulator.used().cpu_s
    await asyncio.gather(*(driver.rest("POST", end, {"Status": "completed"}) for end in ends))
    due = rooms * (_PER_ROOM + _PER_ROOM // 2 + 1)
    async with asyncio.timeout(_SETTLE_S):
        while application.callbacks - before < due:  # noqa: ASYNC110 - asking the emulator would cost it something
            await asyncio.sleep(0.05)
    took = emulator.used().cpu_s - used
    await driver.settled(2)
    assert application.callbacks - before == due
    return took / due * 1e6


async def _sent(
    session: aiohttp.ClientSession, empty: Subject, application: Application, url: str, requests: int
) -> float:
    form, headers = application.last
    kept = {name: value for name, value in headers.items() if name.startswith(("X-", "I-", "User", "Accept"))}
    wish = Sending(url, form, kept, _WARM_UP, _AT_ONCE)
    for count in (_WARM_UP, requests):
        before = empty.used().cpu_s
        async with session.post(
            f"{empty.url}/client", data=msgspec.json.encode(msgspec.structs.replace(wish, count=count))
        ):
            pass
    return (empty.used().cpu_s - before) / requests * 1e6


def report(rounds: list[Measured]) -> None:
    """A table of medians."""
    median = {name: statistics.median(getattr(one, name) for one in rounds) for name in Measured.__struct_fields__}
    print("| what | CPU us | a second and core | an empty aiohttp | times that |")
    print("|---|---|---|---|---|")
    rows = (("callback", "callback", "sent"), ("REST POST", "post", "answered"), ("REST GET", "get", "answered"))
    for name, key, reference in rows:
        us, bare = median[key], median[reference]
        print(f"| {name} | {us:.0f} | {1e6 / us:,.0f} | {bare:.0f} | {us / bare:.1f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    base, full, callbacks = asyncio.run(memory(options.calls))
    print(f"{options.calls} simultaneous calls in {options.calls // 2} conferences, {callbacks} callbacks sent:")
    print(
        f"{full / MIB:.0f} MiB resident, {(full - base) / MIB:.0f} MiB more than without a call ({base / MIB:.0f} MiB)"
    )
    print(f"{(full - base) / options.calls / 1024:.1f} KiB a call, journals of 10,000 entries each included")
    report([asyncio.run(one_round(options.requests)) for _ in range(options.rounds)])


if __name__ == "__main__":
    main()
