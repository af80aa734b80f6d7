"""The AsyncAPI 3.0 document of the public topics, as a service that uses Cordboard sees them. Pure.

What it is not: the internal topics (no contract), the ops port and Twilio's side (docs say those).

Payloads use what draft-07 and 2020-12 have in common, since AsyncAPI's own schema format is a superset of draft-07.
Sources: https://www.asyncapi.com/docs/reference/specification/v3.0.0 and
https://github.com/asyncapi/bindings/blob/v3.0.0/kafka/README.md (binding version 0.5.0).
"""

import inspect
import json

from schemas import examples
from schemas.commands import COMMANDS
from schemas.commands import type_of as command_type
from schemas.envelopes import HEADER_PREFIX, attributes_of_command, attributes_of_event, headers_of_command
from schemas.events import EVENTS
from schemas.events import type_of as event_type
from schemas.json_schemas import Schema, components
from schemas.results import RESULT_TYPE, Result
from schemas.topics import POLICIES, Topic

VERSION = "1.0.0"
STRUCTURED = "application/cloudevents+json"
KAFKA_BINDING = "0.5.0"
BINARY = ".binary"
_REF = "#/components/schemas/{name}"
_INFO = """How other services steer calls and learn about them: commands on one topic, results and events on another.

Written from their side: `send` is what they publish, `receive` what they read. Topic names may have a prefix in front
(`CORDBOARD_TOPIC_PREFIX`). Readers leave unknown fields aside; a breaking change is a new version of a type."""


def asyncapi() -> Schema:
    """The document, as JSON has it."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:cordboard:asyncapi",
        "info": {
            "title": "Cordboard",
            "version": VERSION,
            "description": _INFO,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": STRUCTURED,
        "servers": {"kafka": _server()},
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": components(_data_types(), _REF).named},
    }


def _server() -> Schema:
    return {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "description": "The cluster of `CORDBOARD_LOG`.",
        "variables": {"bootstrap": {"default": "localhost:9092", "description": "host:port of a broker"}},
    }


def _channels() -> Schema:
    return {
        "commands": _channel(Topic.COMMANDS, "What other services want done.", [*_command_messages()]),
        "events": _channel(Topic.EVENTS, "Results of commands, and what happens to calls.", [*_event_messages()]),
        "deadLetters": _channel(
            Topic.DEAD_LETTERS, "What could not be read or placed, with its bytes as they came.", ["dead_letter"]
        ),
    }


def _channel(topic: Topic, description: str, messages: list[str]) -> Schema:
    settings = POLICIES[topic].settings
    return {
        "address": topic.value,
        "description": description,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic.value,
                "topicConfiguration": {
                    "cleanup.policy": settings["cleanup.policy"].split(","),
                    "retention.ms": int(settings["retention.ms"]),
                    "max.message.bytes": int(settings["max.message.bytes"]),
                },
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operations() -> Schema:
    return {
        "sendCommand": {
            "action": "send",
            "channel": {"$ref": "#/channels/commands"},
            "summary": "Command a call. Exactly one result answers it: same `command_id` and `command_source`.",
            "reply": {
                "channel": {"$ref": "#/channels/events"},
                "messages": [{"$ref": f"#/channels/events/messages/{RESULT_TYPE}"}],
            },
        },
        "receiveEvent": {
            "action": "receive",
            "channel": {"$ref": "#/channels/events"},
            "summary": "Results and events; those of one call in order. A redelivery repeats its `id`.",
        },
        "receiveDeadLetter": {
            "action": "receive",
            "channel": {"$ref": "#/channels/deadLetters"},
            "summary": "For operators: look, mend, and have it put back in by the ops port.",
        },
    }


def _messages() -> Schema:
    return {**_command_messages(), **_event_messages(), "dead_letter": _dead_letter()}


def _command_messages() -> Schema:
    structured = {command_type(name): _structured_command(name, data) for name, data in COMMANDS.items()}
    binary = {command_type(name) + BINARY: _binary_command(name, data) for name, data in COMMANDS.items()}
    return {**structured, **binary}


def _structured_command(name: str, data: type) -> Schema:
    return {
        **_named(command_type(name), data),
        "contentType": STRUCTURED,
        "payload": _payload(attributes_of_command(name), data),
        "bindings": _keyed("Anything, or nothing: commands are re-keyed by their call."),
        "examples": [{"name": name, "payload": json.loads(examples.command(name))}],
    }


def _binary_command(name: str, data: type) -> Schema:
    event = json.loads(examples.command(name))
    payload = event.pop("data")
    headers = {HEADER_PREFIX + key: value for key, value in event.items() if key != "datacontenttype"}
    return {
        **_named(command_type(name), data),
        "summary": f"{_summary(data)} In binary mode: attributes in headers, the value is the data.",
        "contentType": "application/json",
        "headers": headers_of_command(name),
        "payload": _ref(data),
        "bindings": _keyed("Anything, or nothing: commands are re-keyed by their call."),
        "examples": [{"name": name, "headers": headers, "payload": payload}],
    }


def _event_messages() -> Schema:
    return {
        RESULT_TYPE: {
            **_published(RESULT_TYPE, Result),
            "examples": [
                {
                    "name": example.outcome.value,
                    "summary": example.title,
                    "payload": json.loads(examples.result(example)),
                }
                for example in examples.RESULTS
            ],
        },
        **{event_type(name): _event(name, data) for name, data in EVENTS.items()},
    }


def _event(name: str, data: type) -> Schema:
    message = _published(event_type(name), data)
    if name not in examples.EVENT_DATA:
        return message
    return {**message, "examples": [{"name": name, "payload": json.loads(examples.event(name))}]}


def _published(type_: str, data: type) -> Schema:
    return {
        **_named(type_, data),
        "contentType": STRUCTURED,
        "payload": _payload(attributes_of_event(type_), data),
        "bindings": _keyed("The call's id: everything about a call is in one partition, in order."),
    }


def _dead_letter() -> Schema:
    text = {"type": "string"}
    return {
        "name": "dead_letter",
        "title": "Dead letter",
        "summary": "The bytes of a message as they came, whatever they are.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                "reason": {**text, "description": "Why, in one word."},
                "detail": {**text, "description": "What was wrong and what was expected."},
                "source_topic": {**text, "description": "Where it came from."},
            },
            "required": ["reason", "detail", "source_topic"],
        },
        "payload": {"type": "string", "format": "binary"},
        "bindings": _keyed("As it came."),
    }


def _payload(attributes: Schema, data: type) -> Schema:
    required = [*attributes["required"], *(["data"] if _needs_data(data) else [])]
    return {**attributes, "properties": {**attributes["properties"], "data": _ref(data)}, "required": required}


def _needs_data(data: type) -> bool:
    schema = components([data]).named[data.__name__]
    return bool(schema["required"]) or "oneOf" in schema


def _named(type_: str, data: type) -> Schema:
    return {"name": type_, "title": type_, "summary": _summary(data)}


def _summary(data: type) -> str:
    return (inspect.getdoc(data) or "").partition("\n")[0]


def _keyed(description: str) -> Schema:
    return {"kafka": {"key": {"type": "string", "description": description}, "bindingVersion": KAFKA_BINDING}}


def _ref(data: type) -> Schema:
    return {"$ref": _REF.format(name=data.__name__)}


def _data_types() -> list[type]:
    return [*dict.fromkeys([*COMMANDS.values(), Result, *EVENTS.values()])]
