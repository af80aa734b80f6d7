"""Scenarios: files that are played, and files that are refused."""

from pathlib import Path

import pytest

from emulator.player import play_scenario
from emulator.scenario import ScenarioError, load
from emulator_bench import ACCOUNT, AGENT, CALLER, EVENTS, NUMBER, TOKEN, Bench
from emulator_center import Center

GOOD = """
title = "A caller waits and an agent answers"

[people."client:agent"]
answer = "asks"

[numbers."{number}"]
voice_url = "{voice}"

[[step]]
call = {{ from = "{caller}", to = "{number}" }}
name = "caller"

[[step]]
expect = "conference.participant-join"
of = "caller"

[[step]]
post = "{site}/commands/{{caller}}"
json = {{ call = "{{caller}}", to = ["client:agent"] }}
status = 204

[[step]]
answer = "client:agent"

[[step]]
expect = "hears"
of = "caller"
data = {{ people = ["agent-1"] }}

[[step]]
pause_s = 0.01

[[step]]
fault = {{ effect = "drop", match = "conference-end" }}

[[step]]
hang_up = "client:agent"

[[step]]
hang_up = "caller"

[[step]]
expect = "call.completed"
of = "caller"
"""
VOICE = (
    "<Response><Dial><Conference participantLabel='customer' statusCallback='{}' statusCallbackEvent='{}'>room-1"
    "</Conference></Dial></Response>"
)


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    return path


async def test_a_scenario_is_played(bench: Bench, tmp_path: Path) -> None:
    """People, calls, commands to others, answers, faults and expectations, step by step, end in exit code 0."""
    bench.site.pages["/voice"] = VOICE.format(bench.url("/conf"), EVENTS)
    text = GOOD.format(number=NUMBER, caller=CALLER, voice=bench.url("/voice"), site=bench.site.url)
    lines: list[str] = []

    async def dial_when_told() -> None:
        await bench.until(lambda: any(hit.path.startswith("/commands/CA") for hit in bench.site.hits), "the command")
        form = {"From": NUMBER, "To": AGENT, "Label": "agent-1"}
        await bench.rest("POST", "/Conferences/room-1/Participants.json", form)

    told = bench.emulator.world.spawn(dial_when_told(), "the customer's service")
    code = await play_scenario(bench.emulator.url, _file(tmp_path, text), out=lines.append)
    await told
    assert code == 0, lines
    assert lines[0] == "A caller waits and an agent answers"
    assert len(lines) == 11
    await bench.settled()
    assert bench.sent("conference", StatusCallbackEvent="conference-end")[0].error == "dropped by a fault"


async def test_an_expectation_that_fails(bench: Bench, tmp_path: Path) -> None:
    """What does not come within its time is exit code 1 and a line that says what was missing."""
    step = '[[step]]\nexpect = "call.completed"\nwithin_s = 0.05\n'
    lines: list[str] = []
    code = await play_scenario(bench.emulator.url, _file(tmp_path, f'title = "t"\n{step}'), out=lines.append)
    assert code == 1
    assert "call.completed" in lines[-1]
    assert "0.05 s" in lines[-1]


BAD = [
    ("title = ", "scenario.toml"),
    ('title = "t"\n[[step]]\ndance = 1\n', "dance"),
    ('title = "t"\n[[step]]\nname = "x"\n', "step 1"),
    ('title = "t"\n[load]\nto = "+15550100"\nrate = 0\n', "rate"),
    ('title = "t"\n[[crowd]]\nperson = { answer = "sings" }\n', "sings"),
    ('title = "t"\n[[step]]\nanswer = "a"\nhang_up = "b"\n', "step 1"),
]


@pytest.mark.parametrize(("text", "named"), BAD)
def test_bad_files_are_refused(tmp_path: Path, text: str, named: str) -> None:
    """A file that is no scenario is refused and says where."""
    with pytest.raises(ScenarioError, match=named):
        load(_file(tmp_path, text))


def test_yaml(tmp_path: Path) -> None:
    """The same in YAML; what is no YAML is refused and says where."""
    path = tmp_path / "scenario.yaml"
    path.write_text("title: t\nstep:\n- {expect: call.completed, within_s: 5}\n")
    assert load(path).step[0].within_s == 5.0
    path.write_text("title: [")
    with pytest.raises(ScenarioError, match=r"scenario\.yaml"):
        load(path)


async def test_rest_and_sessions(bench: Bench, tmp_path: Path) -> None:
    """A step asks the REST API as the account, with SIDs by name; another ends a session."""
    bench.site.pages["/voice"] = "<Response><Connect><Stream url='wss://example.com/'/></Connect><Pause/></Response>"
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/voice")})
    deeds = [
        f'call = {{ from = "{CALLER}", to = "{NUMBER}" }}',
        'expect = "session.started"\nof = "caller"',
        'end_session = "caller"',
        'expect = "session.ended"',
        'rest = { path = "/Calls/CA0.json" }\nstatus = 404',
        'rest = { path = "/Calls/{caller}.json", form = { Status = "completed" } }',
        'expect = "call.completed"\nof = "caller"',
    ]
    text = f'title = "t"\n[emulator]\naccount_sid = "{ACCOUNT}"\nauth_token = "{TOKEN}"\n'
    text += "".join(f"[[step]]\n{deed}\n" for deed in deeds)
    lines: list[str] = []
    assert await play_scenario(bench.emulator.url, _file(tmp_path, text), out=lines.append) == 0, lines


async def test_refused_steps_are_told(bench: Bench, tmp_path: Path) -> None:
    """A call to an unknown number, or no emulator at all, is exit code 1 with the reason."""
    path = _file(tmp_path, 'title = "t"\n[[step]]\ncall = { from = "+15550100002", to = "+15550199999" }\n')
    lines: list[str] = []
    assert await play_scenario(bench.emulator.url, path, out=lines.append) == 1
    assert NUMBER in lines[-1]
    assert await play_scenario("http://127.0.0.1:9", path, out=lines.append) == 1


async def test_workers_in_a_scenario(center: Center, tmp_path: Path) -> None:
    """A worker accepts, and goes offline; the events of tasks and workers can be expected."""
    await center.task(queue="billing")
    deeds = [
        'worker = { name = "bob", does = "accept", activity = "Offline" }',
        'expect = "worker.activity.update"\ndata = { worker = "bob" }',
        'expect = "reservation.accepted"',
    ]
    text = 'title = "t"\n' + "".join(f"[[step]]\n{deed}\n" for deed in deeds)
    lines: list[str] = []
    await center.until_status(center.only_task(), "reserved")
    assert await play_scenario(center.bench.emulator.url, _file(tmp_path, text), out=lines.append) == 0, lines
    assert center.only_task().status == "assigned"
    assert (await center.control("GET", "/workers/bob"))[1]["activity"] == "Offline"
