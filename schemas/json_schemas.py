"""JSON Schemas (draft 2020-12) of everything that travels, made from the msgspec structs. Pure: types in, schemas out.

What it is not: the AsyncAPI document (`schemas.asyncapi`) and the files (`schemas.generate`).

Every schema stands alone: what it refers to lies in its own `$defs`, so that any validator can read it without a
resolver. Rules that a struct checks in code (`__post_init__`) are repeated here; a test holds both together.
"""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from schemas.actions import Action
from schemas.commands import COMMANDS, Announce
from schemas.commands import type_of as command_type
from schemas.envelopes import attributes_of_command, attributes_of_event
from schemas.events import EVENTS
from schemas.events import type_of as event_type
from schemas.prompts import Prompt
from schemas.records import Inbox
from schemas.results import RESULT_TYPE, Result
from schemas.state import StateRecord
from schemas.view import CallSummary, CallView

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LOCAL_REF = "#/$defs/{name}"
INTERNAL = "Internal to Cordboard, no contract: it changes without notice."

Schema = dict[str, Any]
"""A JSON Schema as JSON has it."""


class Components(NamedTuple):
    """Schemas of some types, and the named schemas that they refer to."""

    roots: tuple[Schema, ...]
    named: dict[str, Schema]


def _exactly_one_of(*names: str) -> list[Schema]:
    return [{"required": [name], "properties": {name: {"type": "string"}}} for name in names]


_RULES: dict[str, Schema] = {
    Prompt.__name__: {"oneOf": _exactly_one_of("say", "play")},
    Announce.__name__: {"oneOf": _exactly_one_of("say", "play")},
    # A result says everything, also what is null: readers need no defaults.
    Result.__name__: {"required": list(Result.__struct_encode_fields__)},
}


def components(types: Iterable[Any], ref_template: str = LOCAL_REF) -> Components:
    """Schemas of `types`, in their order, and of every struct and enum behind them."""
    roots, named = msgspec.json.schema_components(types, ref_template=ref_template)
    ruled = {name: {**named[name], **_RULES.get(name, {})} for name in sorted(named)}
    return Components(tuple(_tidy(root) for root in roots), _tidy(ruled))


def command_data_schemas() -> dict[str, Schema]:
    """Schema of the data of every command, by CloudEvent type: what a message in binary mode has as its value."""
    return {
        command_type(name): _standalone(f"data:{command_type(name)}", data, title=f"Data of {command_type(name)}")
        for name, data in COMMANDS.items()
    }


def command_schemas() -> dict[str, Schema]:
    """Schema of every command as a CloudEvent in structured mode, by CloudEvent type."""
    return {
        command_type(name): _message(attributes_of_command(name), data, data_optional=_has_no_required_field(data))
        for name, data in COMMANDS.items()
    }


def result_schemas() -> dict[str, Schema]:
    """Schema of the result as a CloudEvent, by CloudEvent type."""
    return {RESULT_TYPE: _message(attributes_of_event(RESULT_TYPE), Result)}


def event_schemas() -> dict[str, Schema]:
    """Schema of every event as a CloudEvent, by CloudEvent type."""
    return {event_type(name): _message(attributes_of_event(event_type(name)), data) for name, data in EVENTS.items()}


def view_schemas() -> dict[str, Schema]:
    """Schemas of what the ops port shows of a call."""
    return {
        "call.v1": _standalone("view:call.v1", CallView),
        "call_summary.v1": _standalone("view:call_summary.v1", CallSummary),
    }


def internal_schemas() -> dict[str, Schema]:
    """Schemas of the internal topics, each marked as such: for operators who look into them."""
    kinds = {"inbox_record": Inbox, "action": Action, "state_record": StateRecord}
    return {
        name: _standalone(f"internal:{name}", kind, title=name) | {"$comment": INTERNAL, "x-internal": True}
        for name, kind in kinds.items()
    }


def _standalone(urn: str, kind: Any, **more: str) -> Schema:  # noqa: ANN401 - a type or a union of types
    (root,), named = components([kind])
    name = root.get("$ref", "").rpartition("/")[2]
    body = named[name] if name else root
    return {**_head(urn), **body, **more, **_defs(body, named)}


def _message(attributes: Schema, data: type, *, data_optional: bool = False) -> Schema:
    (root,), named = components([data])
    optional: Schema = {"anyOf": [root, {"type": "null"}]}
    required = [*attributes["required"], *([] if data_optional else ["data"])]
    body = {
        **attributes,
        "description": inspect.getdoc(data) or "",
        "properties": {**attributes["properties"], "data": optional if data_optional else root},
        "required": required,
    }
    return {**_head(f"message:{attributes['title']}"), **body, **_defs(root, named)}


def _head(urn: str) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:cordboard:{urn}"}


def _defs(body: Schema, named: dict[str, Schema]) -> Schema:
    used = _reachable(body, named)
    return {"$defs": {name: schema for name, schema in named.items() if name in used}} if used else {}


def _reachable(body: Schema, named: dict[str, Schema]) -> set[str]:
    found: set[str] = set()
    waiting = set(_referred(body))
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(_referred(named[name])) - found
    return found


def _referred(part: Any) -> Iterator[str]:  # noqa: ANN401 - any part of a schema
    if isinstance(part, dict):
        if isinstance(ref := part.get("$ref"), str):
            yield ref.rpartition("/")[2]
        for inner in part.values():
            yield from _referred(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _referred(inner)


def _has_no_required_field(data: type) -> bool:
    (_,), named = components([data])
    schema = named[data.__name__]
    return not schema["required"] and "oneOf" not in schema


def _tidy(part: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Docstrings without their indentation; patterns as ECMA 262 has them, where `$` is the very end."""
    if isinstance(part, list):
        return [_tidy(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    tidied = {key: _tidy(value) for key, value in part.items()}
    if isinstance(description := part.get("description"), str):
        tidied["description"] = inspect.cleandoc(description)
    if isinstance(pattern := part.get("pattern"), str):
        tidied["pattern"] = pattern.replace(r"\Z", "$")
    return tidied
