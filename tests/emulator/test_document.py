"""docs/emulator.md says what is there: switches, control routes, behaviours, and a scenario that loads."""

import re
from pathlib import Path

import pytest

from emulator import EmulatorConfig, Switches, create_app
from emulator.control import BASE
from emulator.faults import Chaos, Effect
from emulator.people import Answer, Person
from emulator.scenario import load

DOCUMENT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
U14 = {"u14_gone_status", "u14_state_status", "u14_full_status", "u14_coach_status"}
"""Named in one line of the table by their middle parts."""


@pytest.mark.parametrize("name", sorted(set(Switches.__struct_fields__) - U14))
def test_every_switch_is_described(name: str) -> None:
    """Each switch stands in the table."""
    assert f"`{name}`" in DOCUMENT


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


def test_the_scenario_loads(tmp_path: Path) -> None:
    """The example is a scenario."""
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(example)
    assert len(load(path).step) == 6


def test_the_example_configures() -> None:
    """The Python example's names exist."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    namespace: dict[str, object] = {}
    exec(example.partition("async with")[0], namespace)  # noqa: S102 - our own document
    assert isinstance(namespace["config"], EmulatorConfig)
