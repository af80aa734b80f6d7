"""The CloudEvents envelope as JSON Schema: which attributes each kind of message has. Pure.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md and contracts.md section 4.
"""

from typing import Any

from schemas.cloudevents import SOURCE, SPEC_VERSION
from schemas.commands import type_of as command_type
from schemas.ids import CALL_ID_PATTERN
from schemas.intake import MAX_ATTRIBUTE

BEGINS_A_CALL = "call.dial"
HEADER_PREFIX = "ce_"

_CALL_ID: dict[str, Any] = {
    "type": "string",
    "pattern": CALL_ID_PATTERN.replace(r"\Z", "$"),
    "description": "The call's id.",
}
_BOUND: dict[str, Any] = {"maxLength": MAX_ATTRIBUTE}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}


def attributes_of_command(name: str) -> dict[str, Any]:
    """Schema of a command's attributes by its short name, without its data."""
    optional = {
        "time": {**_TIME, "description": "When the command was made; for readers, nothing depends on it."},
        "datacontenttype": {"type": "string", "description": "Absent, or application/json."},
        "traceparent": {"type": "string", "description": "W3C Trace Context; goes on to what it causes.", **_BOUND},
        "deadline": {**_TIME, "description": "Last moment to begin the effect (RFC 3339); after it: `expired`."},
    }
    subject = {} if name == BEGINS_A_CALL else {"subject": _CALL_ID}
    return {
        "title": command_type(name),
        "type": "object",
        "properties": {
            "specversion": {"const": SPEC_VERSION},
            "id": {**_text("The producer's idempotency key, together with `source`."), **_BOUND},
            "source": {**_text("Who commands: a URI reference."), "format": "uri-reference", **_BOUND},
            "type": {"const": command_type(name)},
            **subject,
            **{key: _or_null(schema) for key, schema in optional.items()},
        },
        "required": ["specversion", "id", "source", "type", *subject],
    }


def attributes_of_event(type_: str) -> dict[str, Any]:
    """Schema of the attributes of an event or a result of ours by its CloudEvent type, without its data."""
    return {
        "title": type_,
        "type": "object",
        "properties": {
            "specversion": {"const": SPEC_VERSION},
            "id": _text("The same for every delivery of the same message."),
            "source": {"const": SOURCE},
            "type": {"const": type_},
            "subject": _text("The call's id."),
            "time": {**_TIME, "description": "When the cause was taken into the log."},
            "datacontenttype": {"const": "application/json"},
            "traceparent": {"type": "string", "description": "W3C Trace Context of what caused it, where known."},
        },
        "required": ["specversion", "id", "source", "type", "subject", "time"],
    }


def headers_of_command(name: str) -> dict[str, Any]:
    """Schema of the Kafka headers of a command in binary mode; the value is its data alone.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md section 3.2.
    """
    attributes = attributes_of_command(name)
    present = {key: schema for key, schema in attributes["properties"].items() if key != "datacontenttype"}
    return {
        "type": "object",
        "properties": {
            "content-type": {"type": "string", "description": "application/json"},
            **{HEADER_PREFIX + key: _never_null(schema) for key, schema in present.items()},
        },
        "required": [HEADER_PREFIX + key for key in attributes["required"]],
    }


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": "string"}
