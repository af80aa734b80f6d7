"""The schemas and our own readers give the same verdict: what is valid is read, and what is not is refused."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from published import validator
from schema_strategies import any_json, built, call_ids, times_ms
from schemas import codec
from schemas.actions import Action
from schemas.cloudevents import InvalidCloudEventError
from schemas.commands import COMMANDS, InvalidCommandError, decode_data, type_of
from schemas.events import EVENTS
from schemas.events import type_of as event_type
from schemas.intake import command_of, decode_command
from schemas.records import Inbox
from schemas.results import Outcome, Result
from schemas.state import StateRecord

_ODD = any_json | st.sampled_from(
    ["customer", "client:maria", "queue:x", "https://a/b", "warm", "coach", 1, 0, 601, []]
)
_DATA = {name: built(data) for name, data in COMMANDS.items()}


def _read(name: str, data: object) -> bool:
    try:
        decode_data(name, json.dumps(data).encode())
    except InvalidCommandError:
        return False
    return True


def _changed(draw: st.DrawFn, fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` with one of them gone, replaced, or changed within."""
    name = draw(st.sampled_from([*fields, "reason", "to", "leg"]))
    if isinstance(fields.get(name), dict) and draw(st.booleans()):
        return {**fields, name: _changed(draw, fields[name])}
    if draw(st.booleans()):
        return {key: value for key, value in fields.items() if key != name}
    return {**fields, name: draw(_ODD)}


@st.composite
def _almost_commands(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(COMMANDS)))
    fields = json.loads(codec.encode(draw(_DATA[name])))
    for _ in range(draw(st.integers(0, 2))):
        fields = _changed(draw, fields)
    return name, fields


@given(_almost_commands())
def test_data_is_valid_if_and_only_if_it_is_read(command: tuple[str, dict[str, Any]]) -> None:
    """Data that its schema allows is never refused; data that it does not allow always is."""
    name, fields = command
    schema = validator(f"command_data/{type_of(name)}.json")

    assert schema.is_valid(fields) == _read(name, fields), [error.message for error in schema.iter_errors(fields)]


@given(_almost_commands(), call_ids, st.text(min_size=1, max_size=20))
def test_an_envelope_is_valid_if_and_only_if_it_is_taken(
    command: tuple[str, dict[str, Any]], call_id: str, command_id: str
) -> None:
    """The same holds for the whole CloudEvent, as it is taken from a topic."""
    name, fields = command
    message = {"specversion": "1.0", "id": command_id, "source": "/crm", "type": type_of(name), "data": fields}
    if name != "call.dial":
        message["subject"] = call_id

    record = command_of(decode_command({}, json.dumps(message).encode()), at_ms=0, deadline_s=60)

    assert validator(f"commands/{type_of(name)}.json").is_valid(message) == (record.invalid is None)


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"extension": "x", "time": "2026-11-21T10:00:00Z", "traceparent": None, "deadline": None}, True),
        ({"data": None}, True),
        ({"subject": None}, False),
        ({"subject": "not a call"}, False),
        ({"type": "cordboard.command.call.hold.v2"}, False),
        ({"data": []}, False),
        ({"data": {"leg": "nobody"}}, False),
    ],
)
def test_attributes_are_judged_alike(change: dict[str, object], valid: bool) -> None:
    """Missing, null and wrong attributes of a command mean the same to the schema and to us."""
    message = {
        "specversion": "1.0", "id": "1", "source": "/crm", "type": type_of("call.hold"), "subject": "CA1", **change
    }  # fmt: skip
    record = command_of(decode_command({}, json.dumps(message).encode()), at_ms=0, deadline_s=60)

    assert validator(f"commands/{type_of('call.hold')}.json").is_valid(message) is valid
    assert (record.invalid is None) is valid


@pytest.mark.parametrize("name", ["id", "source", "traceparent"])
@pytest.mark.parametrize("length", [512, 513])
def test_attributes_have_the_same_bound(name: str, length: int) -> None:
    """An attribute that we keep and repeat has a length; the schema says which."""
    message = {"specversion": "1.0", "id": "1", "source": "/crm", "type": type_of("call.end"), "subject": "CA1"}
    message[name] = "x" * length
    try:
        decode_command({}, json.dumps(message).encode())
        taken = True
    except InvalidCloudEventError:
        taken = False

    assert validator(f"commands/{type_of('call.end')}.json").is_valid(message) is taken is (length == 512)


@pytest.mark.parametrize(
    ("whisper", "valid"),
    [
        ({"say": "hello"}, True),
        ({"play": "https://media.example.com/a.mp3"}, True),
        ({"say": "hello", "play": None}, True),
        ({"say": "hello", "voice": "x"}, True),
        ({"say": "hello", "play": "https://media.example.com/a.mp3"}, False),
        ({}, False),
        ({"say": None, "play": None}, False),
        ({"say": ""}, False),
        ({"say": "x" * 4001}, False),
        ({"say": "bell \x07"}, False),
        ({"play": "ftp://media.example.com/a.mp3"}, False),
        ({"play": "https://media example com"}, False),
    ],
)
def test_the_rules_of_prompts_are_in_the_schema(
    whisper: dict[str, object],
    valid: bool,
) -> None:
    """Exactly one of `say` and `play`, each within its limits: checked by code here, and by the schema elsewhere."""
    for name, data in (("call.connect", {"to": "client:maria", "whisper": whisper}), ("call.announce", whisper)):
        assert validator(f"command_data/{type_of(name)}.json").is_valid(data) is valid
        assert _read(name, data) is valid


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=15)  # for each name; events of a kind share their struct
@given(data=st.data(), at_ms=times_ms)
def test_every_event_that_we_write_is_valid(name: str, data: st.DataObject, at_ms: int) -> None:
    """Whatever the engine puts into an event, its schema allows."""
    drawn = data.draw(built(EVENTS[name]))
    event = json.loads(codec.event(name, event_id="CA1.7.e0", subject="CA1", at_ms=at_ms, data=drawn))

    validator(f"events/{event_type(name)}.json").validate(event)


@given(built(Result), times_ms)
def test_every_result_that_we_write_is_valid(result: Result, at_ms: int) -> None:
    """Whatever a command ends in, the schema of the result allows it."""
    event = json.loads(codec.result(event_id="r1", subject="CA1", at_ms=at_ms, data=result))

    validator("results/cordboard.result.v1.json").validate(event)


@pytest.mark.parametrize("name", ["subject", "time", "data", "id", "reason", "state", "allowed", "replayed", "detail"])
def test_a_result_needs_its_attributes(name: str) -> None:
    """The schemas of what we publish are strict: readers may rely on each attribute and field."""
    result = Result(command_id="1", command_source="/crm", command_type=type_of("call.hold"), outcome=Outcome.APPLIED)
    event = json.loads(codec.result(event_id="r1", subject="CA1", at_ms=0, data=result))
    without = copy.deepcopy(event)
    del (without if name in without else without["data"])[name]

    assert validator("results/cordboard.result.v1.json").is_valid(event)
    assert not validator("results/cordboard.result.v1.json").is_valid(without)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("inbox_record", Inbox), ("action", Action), ("state_record", StateRecord)],
    ids=["inbox", "action", "state"],
)
@given(data=st.data())
def test_internal_records_are_valid(path: str, kind: Any, data: st.DataObject) -> None:
    """Operators can trust the schemas of the internal topics as well."""
    record = data.draw(built(kind))

    validator(f"internal/{path}.json").validate(json.loads(codec.encode(record)))
