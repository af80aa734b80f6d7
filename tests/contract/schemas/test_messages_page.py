"""The reference page: every example on it is valid, is read by our own readers, and none is missing."""

import json
from typing import Any

import msgspec
import pytest

from checkout import ROOT
from published import page_examples, validator
from schemas.cloudevents import decode_structured
from schemas.commands import COMMANDS, decode_data, name_of, type_of
from schemas.events import EVENTS
from schemas.events import name_of as event_name_of
from schemas.events import type_of as event_type
from schemas.ids import result_id
from schemas.intake import command_of, decode_command
from schemas.results import RESULT_TYPE, Outcome, Result

_EXAMPLES = list(page_examples())
_MAIN_EVENTS = {
    "call.created", "call.connected", "call.held", "call.orphaned", "call.ended", "leg.joined", "leg.failed",
    "transfer.started", "transfer.completed", "hold.reminder", "fact.ignored",
}  # fmt: skip


def _of(prefix: str) -> list[dict[str, Any]]:
    return [example for example in _EXAMPLES if example["type"].startswith(prefix)]


def _ids(examples: list[dict[str, Any]]) -> list[str]:
    return [example["type"] for example in examples]


def test_every_command_is_shown() -> None:
    """The page has an example of each command, in the order of the catalogue."""
    assert _ids(_of("cordboard.command.")) == [type_of(name) for name in COMMANDS]


def test_every_outcome_is_shown() -> None:
    """The page has a result for each way in which a command can end, and a replayed one."""
    results = [example["data"] for example in _of(RESULT_TYPE)]

    assert {result["outcome"] for result in results} == set(Outcome)
    assert any(result["replayed"] for result in results)
    assert any(result["detail"] == "no_change" for result in results)


def test_the_main_events_are_shown() -> None:
    """The page has examples of the events that most readers wait for, and names every other."""
    page = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")

    assert {event_type(name) for name in _MAIN_EVENTS} <= set(_ids(_of("cordboard.event.")))
    assert [name for name in EVENTS if f"`{name}`" not in page] == []


def test_nothing_else_is_shown() -> None:
    """Every JSON block is a command, a result or an event."""
    assert len(_of("cordboard.command.")) + len(_of(RESULT_TYPE)) + len(_of("cordboard.event.")) == len(_EXAMPLES)


@pytest.mark.parametrize("example", _EXAMPLES, ids=_ids(_EXAMPLES))
def test_every_example_is_valid(example: dict[str, Any]) -> None:
    """An example is valid by the committed schema of its type."""
    kind = example["type"]
    folder = "commands" if name_of(kind) else "events" if event_name_of(kind) else "results"

    validator(f"{folder}/{kind}.json").validate(example)


@pytest.mark.parametrize("example", _of("cordboard.command."), ids=_ids(_of("cordboard.command.")))
def test_every_command_is_taken(example: dict[str, Any]) -> None:
    """Copied from the page and sent, a command is taken; what it says is what we read, field by field."""
    record = command_of(decode_command({}, json.dumps(example).encode()), at_ms=0, deadline_s=60)
    data = decode_data(record.name, bytes(record.data))

    assert record.invalid is None
    assert msgspec.to_builtins(data) == example["data"]
    assert set(example) <= {"specversion", "id", "source", "type", "subject", "datacontenttype", "deadline", "data"}


@pytest.mark.parametrize("example", _of("cordboard.event."), ids=_ids(_of("cordboard.event.")))
def test_every_event_is_read(example: dict[str, Any]) -> None:
    """A reader that has our structs reads the events of the page, and every field of them is known."""
    event = decode_structured(json.dumps(example).encode())
    name = event_name_of(event.type)
    assert name is not None
    data = msgspec.json.decode(bytes(event.data), type=EVENTS[name])

    assert set(example["data"]) <= {field.encode_name for field in msgspec.structs.fields(type(data))}
    assert data.cause == example["data"]["cause"]


def test_every_result_answers_a_command_of_the_page() -> None:
    """A result names a command that is shown above, and has the one id that this command's result has."""
    commands = {(example["source"], example["id"]): example["type"] for example in _of("cordboard.command.")}

    for example in _of(RESULT_TYPE):
        data = msgspec.convert(example["data"], Result)
        assert commands[data.command_source, data.command_id] == data.command_type
        assert example["id"] == result_id(data.command_source, data.command_id)
        assert set(data.allowed) <= set(COMMANDS)
