"""docs/emulator.md says what is there: switches, control routes, behaviours, and a scenario that loads."""

import asyncio
import re
import shlex
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import click
import pytest

from cordboard.app.cli import cli
from emulator import EmulatorConfig, Switches, create_app
from emulator.control import BASE
from emulator.faults import Chaos, Effect
from emulator.people import Answer, Person
from emulator.scenario import load
from emulator_bench import Bench
from readme import blocks, sessions, shows

DOCUMENT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
BIN = Path(sys.executable).parent
U14 = {"u14_gone_status", "u14_state_status", "u14_full_status", "u14_coach_status"}
"""Named in one line of the table by their middle parts."""


@pytest.mark.parametrize("name", sorted(set(Switches.__struct_fields__) - U14))
def test_every_switch_is_described(name: str) -> None:
    """Each switch stands in the table."""
    assert f"`{name}`" in DOCUMENT


def test_every_switch_is_turned() -> None:
    """Each switch has a test that sets it, so none of them is a promise alone."""
    folders = (Path(__file__).parent, Path(__file__).parents[1] / "support")
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py")]
    assert [name for name in Switches.__struct_fields__ if not any(f"{name}=" in text for text in texts)] == []


def test_every_word_is_described() -> None:
    """Behaviours, keys of a person, fault effects and chances are all named."""
    words = [*Answer, *Effect, *Chaos.__struct_fields__, *Person.__struct_fields__]
    assert [word for word in words if not re.search(rf"[`\s]{re.escape(word)}[`\s,]", DOCUMENT)] == []


def test_every_control_route_is_described() -> None:
    """Each control route is in the table."""
    routes = [route.resource for route in create_app(EmulatorConfig()).router.routes() if route.resource]
    paths = {resource.canonical for resource in routes if resource.canonical.startswith(BASE)}
    last_parts = {path.removeprefix(BASE).split("{")[0].rstrip("/") or path for path in paths}
    tails = {path.rsplit("/", 1)[-1] for path in paths if path.count("/") > 3 and not path.endswith("}")}
    assert [part for part in last_parts if part not in DOCUMENT] == []
    assert [tail for tail in tails if f"/{tail}" not in DOCUMENT] == []


def test_the_scenarios_load(tmp_path: Path) -> None:
    """The examples are scenarios."""
    examples = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    path = tmp_path / "example.toml"
    lengths = []
    for example in examples:
        path.write_text(example)
        lengths.append(len(load(path).step))
    assert lengths == [6, 9, 0]


async def test_the_commands_do_what_is_shown(bench: Bench, tmp_path: Path) -> None:
    """Every command of a console block is run beside the files shown above it; its output is the document's."""
    for block in blocks(DOCUMENT):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    bench.site.pages["/voice"] = "<Response><Hangup/></Response>"
    await bench.control("PUT", "/numbers/+15550100", {"voice_url": bench.url("/voice")})
    typed = [*sessions(DOCUMENT)]
    assert len(typed) == 2
    for one in typed:
        words = shlex.split(one.line)
        more = [] if "--virtual" in words else ["--emulator", bench.emulator.url]
        process = await asyncio.create_subprocess_exec(BIN / words[0], *words[1:], *more, cwd=tmp_path, stdout=PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert shows(one.shown, out.decode().splitlines()), out.decode()


def test_every_command_exists() -> None:
    """The other command lines name commands and options that there are."""
    lines = [line.partition("#")[0] for line in DOCUMENT.splitlines() if line.startswith("    cordboard ")]
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line)[1:]
        command: click.Command | None = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_example_configures() -> None:
    """The Python example's names exist."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    namespace: dict[str, object] = {}
    exec(example.partition("async with")[0], namespace)  # noqa: S102 - our own document
    assert isinstance(namespace["config"], EmulatorConfig)
