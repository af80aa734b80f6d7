"""Scenario files: people, documents, calls and expectations in TOML or YAML (``docs/emulator.md``).

What a file may say; ``player.py`` plays its steps, ``load.py`` its load.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from emulator.config import EmulatorConfig, NumberConfig
from emulator.errors import EmulatorError
from emulator.faults import Fault
from emulator.people import Person, Seconds, Share

DEFAULT_WITHIN_S = 10.0
DEFAULT_TALK_S = 30.0
YAML = frozenset({".yaml", ".yml"})
Positive = Annotated[float, msgspec.Meta(gt=0.0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class ScenarioError(EmulatorError):
    """The file is no scenario, or a step did not go as it says."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class WorkerStep(_Table, frozen=True, kw_only=True):
    """What a worker does: goes into an ``activity``, or ``accept``, ``reject``, ``time-out`` of its reservation."""

    name: str
    activity: str = ""
    does: str = ""


class RestStep(_Table, frozen=True, kw_only=True):
    """A request to the REST API, as the application would make it; ``path`` is below the account."""

    path: str
    method: Literal["GET", "POST", "DELETE"] = "POST"
    form: dict[str, str] = {}


class Step(_Table, frozen=True, kw_only=True):
    """One step: exactly one of the deeds, and what it needs."""

    call: dict[str, str] | None = None
    """Places a call: ``from``, ``to``, and ``application_sid`` for a browser."""
    name: str = ""
    """What later steps call this call."""
    person: Person | None = None
    """Who places it."""
    expect: str | None = None
    """Waits for an event of this kind (``call.in-progress``, ``conference.participant-join``, ``hears``…)."""
    of: str = ""
    """Whose: a name, or a dialled address."""
    data: dict[str, Any] = {}
    """Parts of the event's data that must be so; a list must hold what is given."""
    within_s: Seconds = DEFAULT_WITHIN_S
    answer: str | None = None
    hang_up: str | None = None
    end_session: str | None = None
    press: str | None = None
    """Digits, pressed by ``of``."""
    rest: RestStep | None = None
    post: str | None = None
    """A URL to post ``json`` to. ``{name}`` here and in ``rest`` stands for that call's or conference's SID."""
    json: dict[str, Any] = {}
    status: int | None = None
    """The HTTP status that ``post`` and ``rest`` must be answered with; by default 200 and any 2xx."""
    fault: Fault | None = None
    pause_s: Seconds | None = None
    worker: WorkerStep | None = None
    """A worker of the contact centre does something."""


DEEDS = ("call", "expect", "answer", "hang_up", "end_session", "press", "rest", "post", "fault", "pause_s", "worker")


class Load(_Table, frozen=True, kw_only=True):
    """Many calls: how many, how fast they come, and who calls."""

    to: str
    calls: Count = 100
    rate: Positive = 10.0
    """Calls a second."""
    arrivals: Literal["even", "poisson"] = "poisson"
    from_: str = msgspec.field(name="from", default="+15551000000")
    """The first caller's number; each call has the next one."""
    application_sid: str = ""
    """Calls come from browsers through this TwiML application instead."""
    seed: int = 0
    callers: tuple[Share, ...] = (Share(name="talk", person=Person(hang_up_after_s=DEFAULT_TALK_S)),)


class Scenario(_Table, frozen=True, kw_only=True):
    """A whole file."""

    title: str
    step: list[Step] = []
    load: Load | None = None
    twiml: dict[str, str] = {}
    """TwiML Bins: documents by name, at ``https://handler.twilio.com/twiml/NAME``."""
    people: dict[str, Person] = {}
    crowd: tuple[Share, ...] = ()
    """Who answers at all other addresses, by chance."""
    numbers: dict[str, NumberConfig] = {}
    emulator: EmulatorConfig | None = None
    """How the emulator is to be that the command starts for this file (``--virtual``)."""


def load(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ScenarioError: it cannot be read, or a step has not exactly one deed.

    """
    try:
        scenario = msgspec.convert(_reader(path)(path.read_text(encoding="utf-8")), Scenario)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    for number, step in enumerate(scenario.step, 1):
        if len(deeds(step)) != 1:
            raise ScenarioError(f"{path}: step {number} has {deeds(step) or 'no deed'}, expected one of {DEEDS}")
    return scenario


def _reader(path: Path) -> Callable[[str], object]:
    if path.suffix not in YAML:
        return tomllib.loads
    try:
        import yaml  # noqa: PLC0415 - for those who have it: TOML needs nothing
    except ImportError:
        raise ScenarioError(f"{path}: YAML needs PyYAML (pip install pyyaml); TOML needs nothing") from None

    def read(text: str) -> object:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ScenarioError(f"{path}: {error}") from error

    return read


def deeds(step: Step) -> list[str]:
    """Return the deeds that a step names."""
    return [name for name in DEEDS if getattr(step, name) is not None]
