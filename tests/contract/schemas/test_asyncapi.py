"""The AsyncAPI document: valid by AsyncAPI's own schema, complete, and its examples are messages that we take."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.jsonschema import DRAFT7

from published import GENERATED
from schemas.asyncapi import BINARY
from schemas.commands import COMMANDS
from schemas.commands import type_of as command_type
from schemas.events import EVENTS
from schemas.events import type_of as event_type
from schemas.intake import command_of, decode_command
from schemas.results import RESULT_TYPE, Outcome
from schemas.topics import Topic
from vectors import VECTORS

_DOCUMENT: dict[str, Any] = json.loads((GENERATED / "asyncapi.json").read_bytes())
_MESSAGES: dict[str, dict[str, Any]] = _DOCUMENT["components"]["messages"]
_OFFICIAL = json.loads((VECTORS / "asyncapi-3.0.0-kafka.json").read_bytes())
_HERE = "urn:test:asyncapi"
_REGISTRY: Registry[Any] = Registry().with_resource(_HERE, DRAFT7.create_resource(_DOCUMENT))
# Words of JSON Schema that came after draft-07, which AsyncAPI's own schema format is made of.
_LATER = {"$defs", "prefixItems", "unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas",
          "minContains", "maxContains", "$anchor", "$dynamicRef"}  # fmt: skip


def _official_errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in validator_for(_OFFICIAL)(_OFFICIAL).iter_errors(document)]


def _parts(part: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        yield path, part
        for name, inner in part.items():
            yield from _parts(inner, f"{path}/{name}")
    elif isinstance(part, list):
        for index, inner in enumerate(part):
            yield from _parts(inner, f"{path}/{index}")


def _valid(pointer: str, value: object) -> bool:
    return Draft7Validator({"$ref": _HERE + pointer}, registry=_REGISTRY).is_valid(value)


def _examples() -> list[tuple[str, dict[str, Any]]]:
    return [(name, example) for name, message in _MESSAGES.items() for example in message.get("examples", [])]


def test_it_is_asyncapi() -> None:
    """The document is valid by the schema that AsyncAPI publishes for its version 3.0.0, Kafka's bindings included."""
    assert _DOCUMENT["asyncapi"] == "3.0.0"
    assert _official_errors(_DOCUMENT) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document["info"].pop("title"),
        lambda document: document["operations"]["sendCommand"].update(action="publish"),
        lambda document: document["components"]["messages"][RESULT_TYPE].update(payloads={}),
        lambda document: document["components"]["messages"][RESULT_TYPE]["bindings"]["kafka"].update(keys={}),
        lambda document: document["components"]["schemas"]["Hold"].update(type="objekt"),
        lambda document: document["channels"]["events"]["bindings"]["kafka"].update(partitions="many"),
    ],
)
def test_the_official_schema_finds_mistakes(spoil: Callable[[dict[str, Any]], object]) -> None:
    """A misspelt word anywhere is found: the check can fail."""
    document = copy.deepcopy(_DOCUMENT)
    spoil(document)

    assert _official_errors(document) != []


def test_the_channels_are_the_public_topics() -> None:
    """Three topics are public; the internal ones are nobody's contract."""
    assert {name: channel["address"] for name, channel in _DOCUMENT["channels"].items()} == {
        "commands": Topic.COMMANDS.value,
        "events": Topic.EVENTS.value,
        "deadLetters": Topic.DEAD_LETTERS.value,
    }


def test_operations_are_the_other_services_own() -> None:
    """Seen from outside: commands are sent, results and events received, and a command is answered by a result."""
    operations = _DOCUMENT["operations"]

    assert {(each["action"], each["channel"]["$ref"]) for each in operations.values()} == {
        ("send", "#/channels/commands"),
        ("receive", "#/channels/events"),
        ("receive", "#/channels/deadLetters"),
    }
    assert operations["sendCommand"]["reply"]["messages"] == [{"$ref": f"#/channels/events/messages/{RESULT_TYPE}"}]


def test_every_message_is_on_its_channel() -> None:
    """All commands in both modes on one channel, the result and all events on the other, and nothing twice."""
    on = {name: set(channel["messages"]) for name, channel in _DOCUMENT["channels"].items()}
    commands = {command_type(name) for name in COMMANDS}

    assert on["commands"] == commands | {name + BINARY for name in commands}
    assert on["events"] == {RESULT_TYPE, *(event_type(name) for name in EVENTS)}
    assert set(_MESSAGES) == on["commands"] | on["events"] | on["deadLetters"]


def test_every_reference_leads_somewhere() -> None:
    """No reference in the document is dangling, and none leads outside."""
    resolver = _REGISTRY.resolver(_HERE)
    refs = {part["$ref"] for _, part in _parts(_DOCUMENT) if isinstance(part.get("$ref"), str)}

    assert refs
    for ref in refs:
        assert ref.startswith("#/")
        assert resolver.lookup(_HERE + ref).contents


def test_every_named_schema_is_used() -> None:
    """Nothing lies in the document that no message refers to."""
    refs = {part["$ref"] for _, part in _parts(_DOCUMENT) if isinstance(part.get("$ref"), str)}

    assert {f"#/components/schemas/{name}" for name in _DOCUMENT["components"]["schemas"]} <= refs


def test_every_message_has_a_key() -> None:
    """What the Kafka key of a message is, is said for each of them."""
    for name, message in _MESSAGES.items():
        assert message["bindings"]["kafka"]["key"]["description"], name


def test_binary_mode_has_its_headers() -> None:
    """In binary mode the required attributes are required headers, and the value is the data alone."""
    for name in COMMANDS:
        message = _MESSAGES[command_type(name) + BINARY]
        subject = [] if name == "call.dial" else ["ce_subject"]
        assert message["headers"]["required"] == ["ce_specversion", "ce_id", "ce_source", "ce_type", *subject]
        assert message["contentType"] == "application/json"
        assert "ce_deadline" in message["headers"]["properties"]


def test_only_words_that_asyncapi_knows() -> None:
    """Schemas keep to what draft-07 and 2020-12 share, so that AsyncAPI's tools read them."""
    found = [f"{path}: {word}" for path, part in _parts(_DOCUMENT) for word in _LATER & set(part)]

    assert found == []


def test_every_command_and_outcome_has_an_example() -> None:
    """Each command has an example in both modes, and each outcome one of the result."""
    with_examples = {name for name, _ in _examples()}

    assert {command_type(name) for name in COMMANDS} <= with_examples
    assert {command_type(name) + BINARY for name in COMMANDS} <= with_examples
    assert {example["payload"]["data"]["outcome"] for name, example in _examples() if name == RESULT_TYPE} == set(
        Outcome
    )


@pytest.mark.parametrize(("name", "example"), _examples(), ids=[name for name, _ in _examples()])
def test_every_example_is_valid(name: str, example: dict[str, Any]) -> None:
    """An example is what its own message says: payload and headers."""
    assert _valid(f"#/components/messages/{name}/payload", example["payload"])
    assert "headers" not in example or _valid(f"#/components/messages/{name}/headers", example["headers"])
    assert not _valid(f"#/components/messages/{name}/payload", "no message")


@pytest.mark.parametrize("name", COMMANDS)
def test_both_modes_of_an_example_are_the_same_command(name: str) -> None:
    """We take the examples of both modes, as the same command."""
    (structured,) = _MESSAGES[command_type(name)]["examples"]
    (binary,) = _MESSAGES[command_type(name) + BINARY]["examples"]
    one = decode_command({}, json.dumps(structured["payload"]).encode())
    other = decode_command(binary["headers"], json.dumps(binary["payload"]).encode())

    assert command_of(one, at_ms=0, deadline_s=60).invalid is None
    assert (one.id, one.source, one.type, one.subject) == (other.id, other.source, other.type, other.subject)
    assert json.loads(bytes(one.data)) == json.loads(bytes(other.data))
