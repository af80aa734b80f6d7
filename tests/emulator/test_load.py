"""Load: when calls come and from whom, what is counted, and the command."""

import asyncio
import statistics
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from emulator import Emulator, EmulatorConfig, NumberConfig, Person, Share, run_virtual
from emulator.journal import Event
from emulator.load import Course, plan, run_load
from emulator.scenario import Load
from emulator.statistics import Statistics, Tally
from emulator_bench import NUMBER, Bench

COMMAND = str(Path(sys.executable).with_name("cordboard"))
FILE = f"""
title = "Some callers"
[twiml]
voice = "<Response><Pause length='600'/></Response>"
noted = "<Response/>"
[numbers."{NUMBER}"]
voice_url = "https://handler.twilio.com/twiml/voice"
status_callback = "https://handler.twilio.com/twiml/noted"
[load]
to = "{NUMBER}"
calls = 50
rate = 25
[[load.callers]]
name = "quick"
share = 3
person = {{ hang_up_after_s = 0.1 }}
[[load.callers]]
name = "slow"
person = {{ hang_up_after_s = 0.2 }}
"""


def test_arrivals() -> None:
    """Even arrivals are evenly apart; Poisson ones have the rate's mean and as much deviation; both repeat by seed."""
    even = [due for due, _, _ in plan(Load(to=NUMBER, calls=100, rate=20, arrivals="even"))]
    assert [round(later - one, 9) for one, later in pairwise(even)] == [0.05] * 99
    wish = Load(to=NUMBER, calls=5000, rate=20, seed=3)
    gaps = [later - one for one, later in pairwise(due for due, _, _ in plan(wish))]
    assert statistics.mean(gaps) == pytest.approx(0.05, rel=0.1)
    assert statistics.stdev(gaps) == pytest.approx(0.05, rel=0.1)
    assert [*plan(wish)] == [*plan(wish)] != [*plan(msgspec.structs.replace(wish, seed=4))]


def test_callers() -> None:
    """Callers come in the proportions of their shares, each from a number of its own."""
    shares = (Share(name="a", share=3, person=Person()), Share(name="b", person=Person(silent=True)))
    calls = [*plan(Load(to=NUMBER, calls=2000, callers=shares))]
    count = Counter(share.name for _, share, _ in calls)
    assert count["a"] == pytest.approx(1500, abs=120)
    assert len({from_ for _, _, from_ in calls}) == 2000


def test_percentiles() -> None:
    """Percentiles are right to five percent, and two readings subtract."""
    one, other = Tally(), Tally()
    for number in range(1, 1001):
        one.add(number / 1000)
    assert one.percentile_s(50) == pytest.approx(0.5, rel=0.06)
    assert one.percentile_s(99) == pytest.approx(0.99, rel=0.06)
    assert other.percentile_s(50) is None
    before, after = Statistics(), Statistics()
    before.requested("call", "200", 0.1)
    after.requested("call", "200", 0.1)
    after.requested("call", "200", 0.4)
    after.asked("GET", 200, 0.1)
    rest = after - before
    assert (rest.requests["call 200"].count, rest.rest["GET 200"].count) == (1, 1)
    assert rest.requests["call 200"].percentile_s(100) == pytest.approx(0.4, rel=0.06)


async def test_waiting_for_a_call_costs_nothing_for_others(bench: Bench) -> None:
    """Whoever waits for something to happen to a call is asked again by what happens to that call alone."""
    world, asked = bench.emulator.world, Counter[str]()
    calls = [(await bench.caller_in(f"room-{number}")) for number in range(2)]

    def over(sid: str) -> bool:
        asked[sid] += 1
        return not world.calls[sid].live

    waiting = [world.spawn(world.until(lambda sid=sid: over(sid), sid), "waiting") for sid in calls]  # type: ignore[misc]
    await bench.until(lambda: len(asked) == 2, "both wait")
    before = asked[calls[1]]
    await bench.control("POST", f"/calls/{calls[0]}/hangup")
    await waiting[0]
    assert asked[calls[1]] == before
    await bench.control("POST", f"/calls/{calls[1]}/hangup")
    await waiting[1]


async def test_load_in_real_time(bench: Bench) -> None:
    """All calls are placed and all end; what the application was asked is counted with its answers."""
    bench.site.pages["/voice"] = "<Response><Pause length='60'/></Response>"
    bench.site.pages["/status"] = 500
    config = {"voice_url": bench.url("/voice"), "status_callback": bench.url("/status")}
    await bench.control("PUT", f"/numbers/{NUMBER}", config)
    callers = (Share(name="quick", person=Person(hang_up_after_s=0.05)),)
    heard: list[int] = []
    wish = Load(to=NUMBER, calls=40, rate=200, callers=callers)
    course = await run_load(bench.emulator.url, wish, told=lambda course: heard.append(course.started))
    assert (course.started, course.ended("completed"), course.over) == (40, 40, True)
    assert course.by_caller == {"quick": 40}
    assert course.found.requests["twiml 200"].count == 40
    assert course.found.requests["call 500"].count == 40
    assert heard == sorted(heard)
    assert heard[-1] == 40


async def test_refused_calls_are_counted(bench: Bench) -> None:
    """A number that is not there refuses every call, with the reason, and nothing waits for them."""
    course = await run_load(bench.emulator.url, Load(to="+15550199999", calls=5, rate=1000))
    assert (course.started, course.refused.total(), course.over) == (0, 5, True)
    assert NUMBER in next(iter(course.refused))


def test_load_in_virtual_time() -> None:
    """An hour of calls comes as planned in virtual time, with the same events every time."""
    courses: list[Course] = []
    seen: list[list[Event]] = []
    callers = (Share(person=Person(hang_up_after_s=180)),)
    config = EmulatorConfig(port=0, seed=1, twiml={"voice": "<Response><Pause length='600'/></Response>"})
    wish = Load(to=NUMBER, calls=120, rate=1 / 30, arrivals="even", callers=callers)

    async def work(emulator: Emulator) -> int:
        emulator.world.put_number(NUMBER, _leads_to_the_bin())
        courses.append(await run_load(emulator.url, wish, drain_s=600))
        talks = [call.ended_at - call.created_at for call in emulator.world.calls.values() if call.ended_at]
        assert talks == pytest.approx([180.0] * 120)
        seen.append([*emulator.world.events.journal.entries])
        return 0

    for _ in range(2):
        assert run_virtual(config, work) == 0
    assert seen[0] == seen[1]
    assert courses[0].ended("completed") == 120
    assert courses[0].seconds >= 119 * 30 + 180


def _leads_to_the_bin() -> NumberConfig:
    return NumberConfig(voice_url="https://handler.twilio.com/twiml/voice")


async def _load(*words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(COMMAND, "emulator", "load", *words, stdout=PIPE, stderr=PIPE)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_the_command(bench: Bench, tmp_path: Path) -> None:
    """The command sets the file up, places the calls, and tells what became of them; options count before the file."""
    file = tmp_path / "load.toml"
    file.write_text(FILE)
    code, out, err = await _load(str(file), "--calls", "30", "--rate", "100", "--emulator", bench.emulator.url)
    assert code == 0, err
    assert out.startswith("30 of 30 calls begun (poisson, 100/s, seed 0), 30 ended, in ")
    for words in ("begun, quick", "inbound completed", "call callback", "twiml document", "p99 ms"):
        assert words in out
    assert sum(call.from_.startswith("+15551") for call in bench.emulator.world.calls.values()) == 30


async def test_the_command_in_virtual_time(tmp_path: Path) -> None:
    """With --virtual nothing else is needed; calls that do not end are exit code 1 and said."""
    file = tmp_path / "load.toml"
    file.write_text(FILE)
    code, out, err = await _load(str(file), "--virtual", "--rate", "0.1")
    assert (code, "of virtual time" in out) == (0, True), err
    file.write_text(FILE.replace("hang_up_after_s = 0.2", ""))
    code, _, err = await _load(str(file), "--virtual", "--drain", "5")
    assert (code, "calls go on" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--to NUMBER"),
        (("--to", NUMBER, "--emulator", "http://127.0.0.1:9"), 1, "cordboard emulator"),
        (("--to", NUMBER, "--virtual", "--emulator", "http://127.0.0.1:9"), 2, "leave --emulator out"),
        (("--to", NUMBER, "--rate", "0"), 2, "--rate"),
    ],
)
async def test_wrong_use(words: tuple[str, ...], code: int, said: str) -> None:
    """What cannot be done is refused with the way out."""
    returned, _, err = await _load(*words)
    assert (returned, said in err) == (code, True), err
