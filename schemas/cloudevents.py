"""The envelope of everything public: CloudEvents 1.0 in JSON, structured; binary mode is accepted for commands.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and its HTTP and Kafka bindings.
"""

from collections.abc import Mapping
from urllib.parse import unquote

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


class _Wire(msgspec.Struct, frozen=True):
    """A structured-mode event as it may come: an attribute of `null` is an absent one (JSON format 1.0.2, 2.2)."""

    id: str
    source: str
    type: str
    specversion: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    traceparent: str | None = None
    deadline: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: msgspec.Raw = msgspec.Raw(b"null")


class InvalidCloudEventError(ValueError):
    """Bytes that are not a CloudEvent 1.0 in JSON."""


_decoder = msgspec.json.Decoder(_Wire)
_HTTP_PREFIX = "ce-"
_PREFIXES = ("ce_", _HTTP_PREFIX)
_ABSENT = b"null"
# RecursionError: brackets nested without end, which must not stop whoever reads the topic.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ATTRIBUTES = frozenset(CloudEvent.__struct_fields__) - {"data"}


def decode_structured(body: bytes) -> CloudEvent:
    """A structured-mode CloudEvent. Unknown attributes are left aside. Raises `InvalidCloudEventError`."""
    try:
        wire = _decoder.decode(body)
        _json(bytes(wire.data))
    except _UNREADABLE as error:
        message = f"not a CloudEvent 1.0 in JSON: {error}"
        raise InvalidCloudEventError(message) from error
    if bytes(wire.data_base64) != _ABSENT:
        message = "data_base64 is not read: expected the data as JSON in `data`"
        raise InvalidCloudEventError(message)
    return _checked(
        CloudEvent(
            id=wire.id,
            source=wire.source,
            type=wire.type,
            specversion=wire.specversion,
            subject=_set(wire.subject),
            time=_set(wire.time),
            datacontenttype="application/json" if wire.datacontenttype is None else wire.datacontenttype,
            traceparent=_set(wire.traceparent),
            deadline=_set(wire.deadline),
            data=wire.data,
        )
    )


def decode_binary(attributes: Mapping[str, str], body: bytes) -> CloudEvent:
    """A binary-mode CloudEvent: attributes from `ce_…` (Kafka) or `ce-…` (HTTP) headers, `body` the data as JSON.

    Raises `InvalidCloudEventError`.
    """
    names = {key.lower()[3:]: _header(key, value) for key, value in attributes.items()}
    known = {name: value for name, value in names.items() if name in _ATTRIBUTES and value is not None}
    data = body or _ABSENT
    try:
        _json(data)
        event = msgspec.convert({**known, "data": msgspec.Raw(data)}, CloudEvent)
    except _UNREADABLE as error:
        message = f"not a CloudEvent 1.0 in binary mode: {error}"
        raise InvalidCloudEventError(message) from error
    return _checked(event)


def is_binary(attributes: Mapping[str, str]) -> bool:
    """Whether the headers announce a binary-mode CloudEvent."""
    return any(key.lower() in {"ce_specversion", "ce-specversion", "ce_type", "ce-type"} for key in attributes)


def _json(data: bytes) -> None:
    """Read all of `data` once: `Raw` is skipped over when it is decoded, without a look at its text."""
    if data != _ABSENT:
        msgspec.json.decode(data)


def _set(value: str | None) -> str | UnsetType:
    return UNSET if value is None else value


def _header(key: str, value: str) -> str | None:
    """The attribute behind a header, None for another header. HTTP's are percent-encoded (HTTP binding 3.1.3.2)."""
    if not key.lower().startswith(_PREFIXES):
        return None
    return unquote(value) if key.lower().startswith(_HTTP_PREFIX) else value


def _checked(event: CloudEvent) -> CloudEvent:
    if event.specversion != SPEC_VERSION:
        message = f"specversion is {event.specversion[:20]!r}: expected {SPEC_VERSION!r}"
        raise InvalidCloudEventError(message)
    for name in ("id", "source", "type"):
        if not getattr(event, name):
            message = f"{name} is empty: CloudEvents 1.0 wants a non-empty string"
            raise InvalidCloudEventError(message)
    return event
