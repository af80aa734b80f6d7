"""The envelope of everything public: CloudEvents 1.0 in JSON, structured; binary mode is accepted for commands.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and its HTTP and Kafka bindings.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

STRUCTURED = "application/cloudevents+json"
SPEC_VERSION = "1.0"
SOURCE = "/cordboard"


class CloudEvent(msgspec.Struct, frozen=True):
    """One event, command or result. `data` stays raw JSON until the `type` says what it is."""

    id: str
    source: str
    type: str
    specversion: str
    subject: str | UnsetType = UNSET
    time: str | UnsetType = UNSET
    datacontenttype: str | UnsetType = "application/json"
    traceparent: str | UnsetType = UNSET
    deadline: str | UnsetType = UNSET
    data: msgspec.Raw = msgspec.Raw(b"null")


class InvalidCloudEventError(ValueError):
    """Bytes that are not a CloudEvent 1.0 in JSON."""


_decoder = msgspec.json.Decoder(CloudEvent)
_PREFIXES = ("ce_", "ce-")


def decode_structured(body: bytes) -> CloudEvent:
    """A structured-mode CloudEvent. Unknown attributes are left aside. Raises `InvalidCloudEventError`."""
    try:
        event = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"not a CloudEvent 1.0 in JSON: {error}"
        raise InvalidCloudEventError(message) from error
    return _checked(event)


def decode_binary(attributes: Mapping[str, str], body: bytes) -> CloudEvent:
    """A binary-mode CloudEvent: attributes from `ce_…` (Kafka) or `ce-…` (HTTP) headers, `body` the data.

    Raises `InvalidCloudEventError`.
    """
    names = {key.lower()[3:]: value for key, value in attributes.items() if key.lower().startswith(_PREFIXES)}
    known = {name: value for name, value in names.items() if name in CloudEvent.__struct_fields__ and name != "data"}
    try:
        msgspec.json.decode(body or b"null")
        event = msgspec.convert({**known, "data": msgspec.Raw(body or b"null")}, CloudEvent)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"not a CloudEvent 1.0 in binary mode: {error}"
        raise InvalidCloudEventError(message) from error
    return _checked(event)


def is_binary(attributes: Mapping[str, str]) -> bool:
    """Whether the headers announce a binary-mode CloudEvent."""
    return any(key.lower() in {"ce_specversion", "ce-specversion", "ce_type", "ce-type"} for key in attributes)


def _checked(event: CloudEvent) -> CloudEvent:
    if event.specversion != SPEC_VERSION:
        message = f"specversion is {event.specversion[:20]!r}: expected {SPEC_VERSION!r}"
        raise InvalidCloudEventError(message)
    for name in ("id", "source", "type"):
        if not getattr(event, name):
            message = f"{name} is empty: CloudEvents 1.0 wants a non-empty string"
            raise InvalidCloudEventError(message)
    return event
