"""Virtual time: what passes when, and that the same seed gives the same events."""

import asyncio
import os
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest

from emulator import Emulator, EmulatorConfig, VirtualClock, VirtualLoop, play_scenario, run_virtual, serve
from emulator.desk import Desk, RefusedError
from emulator.faults import Chaos
from emulator.scenario import Scenario, load
from emulator_bench import CALLER, NUMBER, Bench, Site
from free_ports import free_ports

COMMAND = str(Path(sys.executable).with_name("cordboard"))
HOUR = Path(__file__).with_name("hour.toml")


def _in_virtual_time(work: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_awaited(work))


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def test_timers_run_in_their_order() -> None:
    """Time jumps from timer to timer; those of one moment run in the order they were set in, a cancelled one never."""
    ran: list[tuple[str, float]] = []

    async def work() -> None:
        clock = VirtualClock(start=100.0)
        for name, delay_s in (("late", 3600.0), ("one", 5.0), ("two", 5.0), ("never", 7.0)):
            timer = clock.call_later(delay_s, lambda name=name: ran.append((name, clock.now())))  # type: ignore[misc]
            if name == "never":
                timer.cancel()
        assert await clock.pass_time(3599.0) == 3599.0
        assert ran == [("one", 105.0), ("two", 105.0)]
        await clock.pass_time(1.0)
        assert ran[2:] == [("late", 3700.0)]

    _in_virtual_time(work)


def test_what_a_timer_causes_is_over_before_the_next_one() -> None:
    """A chain of steps without time in between is through before time moves on."""
    seen: list[tuple[str, float]] = []

    async def chain(clock: VirtualClock) -> None:
        await clock.sleep(1.0)
        for _ in range(50):
            await asyncio.sleep(0)
        seen.append(("chain", clock.now()))

    async def work() -> None:
        clock = VirtualClock(start=0.0)
        task = asyncio.ensure_future(chain(clock))
        clock.call_later(1.001, lambda: seen.append(("next", clock.now())))
        await clock.pass_time(10.0)
        await task

    _in_virtual_time(work)
    assert seen == [("chain", 1.0), ("next", 1.001)]


def test_waiting_at_most_so_long() -> None:
    """``within`` gives up when virtual time has passed, and is through at once when the result comes."""

    async def work() -> None:
        clock = VirtualClock(start=0.0)
        never, soon = asyncio.Event(), asyncio.Event()
        clock.call_later(2.0, soon.set)
        waiting = [asyncio.ensure_future(clock.within(event.wait(), 5.0)) for event in (never, soon)]
        await clock.pass_time(2.0)
        assert [task.done() for task in waiting] == [False, True]
        await clock.pass_time(3.0)
        with pytest.raises(TimeoutError):
            await waiting[0]

    _in_virtual_time(work)


async def test_it_needs_a_loop_of_its_own() -> None:
    """On a loop that cannot tell when it is idle, letting time pass is refused and says what to do."""
    with pytest.raises(RuntimeError, match="VirtualLoop"):
        await VirtualClock().pass_time(1.0)


async def test_real_time_cannot_be_passed(bench: Bench) -> None:
    """An emulator in real time says so, and refuses to let time pass."""
    status, state = await bench.control("GET", "/clock")
    assert (status, state["virtual"]) == (200, False)
    status, problem = await bench.control("POST", "/clock", {"pass_s": 1})
    assert status == 409
    assert "--virtual" in str(problem)


def test_time_stands_still_while_an_answer_is_awaited() -> None:
    """A document that is slow to come costs no virtual time, and nothing overtakes it."""
    events: list[str] = []

    async def work() -> None:
        clock = VirtualClock(start=0.0, grace_s=0.0)
        async with (
            Site().running() as site,
            serve(Bench.config(), clock) as emulator,
            aiohttp.ClientSession() as session,
        ):
            bench = Bench(emulator, site, session)
            site.pages["/voice"] = "<Response><Pause length='30'/></Response>"
            site.gates["/voice"] = asyncio.Event()
            await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/voice")})
            await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
            clock.call_later(1.0, lambda: events.append("a second later"))
            passing = asyncio.ensure_future(bench.control("POST", "/clock", {"pass_s": 60}))
            await bench.until(lambda: bool(site.hits), "the request")
            assert clock.now() == 0.0
            assert events == []
            site.gates["/voice"].set()
            _, state = await passing
            assert state["passed_s"] == 60.0
            (call,) = emulator.world.calls.values()
            assert (call.answered_at, call.ended_at) == (0.0, 30.0)

    _in_virtual_time(work)
    assert events == ["a second later"]


def test_an_application_has_its_moment_and_may_hold_time() -> None:
    """After a contact time waits the grace; while somebody holds it, it does not pass at all."""

    async def work() -> None:
        clock = VirtualClock(start=0.0, grace_s=0.3)
        async with serve(EmulatorConfig(port=0), clock) as emulator, aiohttp.ClientSession() as session:
            desk = Desk(session, emulator.url)
            await desk.control("PUT", "/clock", {"held": True})
            passing = asyncio.ensure_future(desk.control("POST", "/clock", {"pass_s": 5, "contacted": True}))
            assert (await desk.control("GET", "/clock"))["held"]
            assert clock.now() == 0.0
            begun = time.monotonic()
            await desk.control("PUT", "/clock", {"held": False})
            await passing
            assert clock.now() == 5.0
            assert time.monotonic() - begun >= 0.3

    _in_virtual_time(work)


# -- the same events --------------------------------------------------------------------------------------------------


def _played(
    seed: int, change: Callable[[Scenario], Scenario] = lambda scenario: scenario
) -> tuple[int, list[str], bytes]:
    """Play an hour; exit code, lines, events."""
    scenario, lines, events = change(load(HOUR)), list[str](), list[bytes]()
    config = msgspec.structs.replace(scenario.emulator or EmulatorConfig(), port=0, seed=seed)

    async def work(emulator: Emulator) -> int:
        code = await play_scenario(emulator.url, scenario, out=lines.append, log=events.append)
        assert emulator.world.crashes == 0
        return code

    return run_virtual(config, work, grace_s=0.0), lines, b"".join(events)


def test_an_hour_is_played() -> None:
    """Every step of the hour goes as written, and time has passed as it says."""
    code, lines, events = _played(1)
    assert code == 0, lines
    assert lines[-1].startswith("3,605 s of virtual time")
    assert events.count(b"\n") > 300


def test_same_seed_same_events() -> None:
    """Two runs with one seed give the same events to the last byte; another seed gives other SIDs."""
    chaos = Chaos(callback_drop=0.1, callback_double=0.1, callback_delay=0.2)

    def troubled(scenario: Scenario) -> Scenario:
        assert scenario.emulator is not None
        return msgspec.structs.replace(scenario, emulator=msgspec.structs.replace(scenario.emulator, chaos=chaos))

    assert _played(1, troubled)[2] == _played(1, troubled)[2]
    assert _played(1)[2] != _played(2)[2]


def test_same_seed_in_another_process(tmp_path: Path) -> None:
    """The command writes the same events whatever the order of sets is in its process."""
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for number, file in enumerate(files):
        words = [COMMAND, "emulator", "scenario", str(HOUR), "--virtual", "--seed", "5", "--events", str(file)]
        subprocess.run(words, env={**os.environ, "PYTHONHASHSEED": str(number)}, check=True, capture_output=True)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 10_000


async def test_a_virtual_emulator_alone() -> None:
    """``cordboard emulator --virtual``: a call that rings for a minute is over when a minute has been let pass."""
    (port,) = free_ports(1)
    env = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
    process = await asyncio.create_subprocess_exec(
        COMMAND, "emulator", "--virtual", "--bind", f"127.0.0.1:{port}", stdout=PIPE, stderr=DEVNULL, env=env
    )
    assert process.stdout is not None
    try:
        assert b"listens" in await asyncio.wait_for(process.stdout.readline(), 60)
        async with aiohttp.ClientSession() as session:
            desk = Desk(session, f"http://127.0.0.1:{port}")
            await desk.open()
            assert desk.virtual
            await desk.control("PUT", "/twiml/pause", b"<Response><Pause length='60'/></Response>")
            await desk.control("PUT", f"/numbers/{NUMBER}", {"voice_url": "https://handler.twilio.com/twiml/pause"})
            await desk.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
            for seconds, status in ((59, "in-progress"), (1, "completed")):
                await desk.wait(seconds)
                assert (await desk.control("GET", "/calls"))["calls"][0]["status"] == status
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


def test_an_expectation_that_fails_in_virtual_time() -> None:
    """What does not come within its virtual time fails, without waiting for it in real time."""

    def hopeless(scenario: Scenario) -> Scenario:
        step = msgspec.structs.replace(scenario.step[1], expect="call.busy", within_s=7_200.0)
        return msgspec.structs.replace(scenario, step=[scenario.step[0], step])

    code, lines, _ = _played(1, hopeless)
    assert code == 1
    assert "call.busy" in lines[-1]
    assert "7200" in lines[-1]


async def test_a_bad_bin_is_refused(bench: Bench) -> None:
    """A TwiML Bin with a bad name, or without TwiML in it, is refused and says why."""
    desk = Desk(bench.session, bench.emulator.url)
    for name, text in (("a b", "<Response/>"), ("ok", "<Respond/>")):
        with pytest.raises(RefusedError, match="422"):
            await desk.control("PUT", f"/twiml/{name}", text.encode())
    assert (await desk.control("PUT", "/twiml/ok", b"<Response/>"))["url"] == "https://handler.twilio.com/twiml/ok"
