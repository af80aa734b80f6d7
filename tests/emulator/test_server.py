"""Running a local Twilio inside a process: ports, shutdown, logs."""

import asyncio
import re

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from emulator import Emulator, EmulatorConfig, create_app, serve
from emulator.people import Answer, Person
from emulator_bench import AGENT, CALLER, NUMBER, TARGET, Bench, BenchFactory

PHONE = re.compile(r"\+1\d{7,}")


async def test_a_free_port_is_told(bench: Bench) -> None:
    """Port 0 takes a free port, and the URL leads there."""
    assert bench.emulator.port > 0
    async with bench.session.get(f"{bench.emulator.url}/_emulator/health") as answer:
        assert answer.status == 200


async def test_a_taken_port_is_refused(bench: Bench) -> None:
    """A port in use is an OSError, and nothing keeps running."""
    config = Bench.config(port=bench.emulator.port)
    with pytest.raises(OSError, match="address already in use"):
        async with serve(config):
            pass


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), (".".join("0000"), "http://127.0.0.1:1"), ("::", "http://[::1]:1")],
)
def test_urls_of_wildcards(bench: Bench, host: str, url: str) -> None:
    """A wildcard address is reached over loopback, IPv6 in brackets."""
    assert Emulator(host, 1, bench.emulator.world).url == url


async def test_shutdown_with_live_calls_and_streams(bench: Bench) -> None:
    """Leaving the block ends live calls' scripts and open event streams at once; no task of the emulator stays."""
    config = msgspec.structs.replace(Bench.config(), people={TARGET: Person(answer=Answer.ASKS)})
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session, serve(config) as emulator:
        one = Bench(emulator, bench.site, session)
        caller = await one.caller_in("room-1", waitUrl=bench.url("/wait"))
        form = {"From": NUMBER, "To": TARGET}
        _, body = await one.rest("POST", "/Conferences/room-1/Participants.json", form)
        await one.until(lambda: one.status(str(body["call_sid"])) == "ringing", "the ring")
        await session.get(f"{emulator.url}/_emulator/events")
        assert one.status(caller) == "in-progress"
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    names = [task.get_name() for task in left]
    assert not [name for name in names if name.startswith(("call ", "leg ", "callbacks", "wait-music"))], names


async def test_it_is_an_ordinary_aiohttp_application() -> None:
    """``create_app`` gives an application that any aiohttp server runs."""
    async with TestClient(TestServer(create_app(EmulatorConfig()))) as client:
        assert (await client.get("/_emulator/people")).status == 200
        assert (await client.get("/2010-04-01/Accounts/ACx/Calls.json")).status == 401
        assert (await client.get("/elsewhere")).status == 401


async def test_logs_hold_no_numbers(bench: Bench) -> None:
    """Whatever happens, no log line has a phone number, a token or an audio URL."""
    with capture_logs() as lines:
        bench.site.pages["/music"] = "<Response><Play>https://cdn.example/secret-tune.mp3</Play></Response>"
        caller = await bench.caller_in("room-1", waitUrl=bench.url("/music"))
        await bench.person(TARGET, answer="busy")
        for to in (TARGET, AGENT, "5551"):
            await bench.rest("POST", "/Conferences/room-1/Participants.json", {"From": NUMBER, "To": to})
        await bench.rest("POST", "/Calls.json", {"From": CALLER, "To": TARGET, "Twiml": "<Response/>"})
        await bench.control("POST", f"/calls/{caller}/hangup")
        await bench.settled()
    text = " ".join(str(line) for line in lines)
    assert "emulator.call_ended" in text
    assert "+…0003" in text, "masked numbers keep their last digits"
    assert not PHONE.search(text)
    assert bench.emulator.world.config.auth_token not in text
    assert "secret-tune" not in text


async def test_two_emulators_do_not_meet(start: BenchFactory) -> None:
    """Two emulators in one process have two worlds."""
    one, other = await start(Bench.config(seed=1)), await start(Bench.config(seed=2))
    await one.rest("POST", "/Calls.json", {"From": NUMBER, "To": TARGET, "Twiml": "<Response/>"})
    assert len(one.emulator.world.calls) == 1
    assert not other.emulator.world.calls
