"""The locks are complete: every version pinned, every file hashed, every declared range satisfied, no index named."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from checkout import ROOT

_LOCKS = ("runtime", "dev", "build")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_RUNTIME = [Requirement(line) for line in _PROJECT["dependencies"]]
_DEV = [Requirement(line) for line in _PROJECT["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("lock", _LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    """Nothing can be installed that was not the very file that was locked."""
    entries = _entries(lock)

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", _LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    """Where packages come from is the business of the machine that installs."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()

    assert re.findall(r"https?:|file:|--index|--find|--extra-index|--trusted", text) == []


@pytest.mark.parametrize(("lock", "declared"), [("runtime", _RUNTIME), ("dev", [*_RUNTIME, *_DEV])])
def test_a_lock_satisfies_what_is_declared(lock: str, declared: list[Requirement]) -> None:
    """A range that was changed without `make lock` is found here."""
    pins = _pins(lock)
    unsatisfied = {
        str(wanted): pins.get(canonicalize_name(wanted.name), "missing")
        for wanted in declared
        if pins.get(canonicalize_name(wanted.name), "missing") not in _Satisfying(wanted)
    }

    assert unsatisfied == {}, "run `make lock`"


def test_tests_run_with_what_is_shipped() -> None:
    """The development lock pins the versions of the runtime lock."""
    development = _pins("dev")

    assert {name: development.get(name) for name in _pins("runtime")} == _pins("runtime")


@pytest.mark.parametrize("wanted", _RUNTIME, ids=lambda wanted: str(wanted.name))
def test_every_dependency_has_a_cap(wanted: Requirement) -> None:
    """A new major version arrives by decision, not by date."""
    assert any(limit.operator in {"<", "=="} for limit in wanted.specifier)


@pytest.mark.parametrize("wanted", [*_RUNTIME, *_DEV], ids=lambda wanted: str(wanted.name))
def test_every_dependency_has_a_reason(wanted: Requirement) -> None:
    """docs/decisions/dependencies.md says in a line why it is there."""
    reasons = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()

    assert f"| `{wanted.name}` |" in reasons


class _Satisfying:
    """The versions that a requirement allows; anything that is no version is none of them."""

    def __init__(self, wanted: Requirement) -> None:
        self._wanted = wanted

    def __contains__(self, version: str) -> bool:
        return version != "missing" and self._wanted.specifier.contains(Version(version), prereleases=True)


def _entries(lock: str) -> list[str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", text)) if entry.strip()]


def _pins(lock: str) -> dict[str, str]:
    pinned = (re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", entry) for entry in _entries(lock))
    return {canonicalize_name(pin[1]): pin[2] for pin in pinned if pin}
