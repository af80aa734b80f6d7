"""Bytes and back: one encoder and the decoders of everything that travels on internal topics."""

import msgspec

from schemas.actions import Action
from schemas.cloudevents import SOURCE, SPEC_VERSION, CloudEvent
from schemas.events import EventData
from schemas.events import type_of as event_type
from schemas.records import Inbox
from schemas.results import RESULT_TYPE, Result
from schemas.state import StateRecord
from schemas.times import rfc3339

_encoder = msgspec.json.Encoder()
_inbox: msgspec.json.Decoder[Inbox] = msgspec.json.Decoder(Inbox)
_action: msgspec.json.Decoder[Action] = msgspec.json.Decoder(Action)
_state = msgspec.json.Decoder(StateRecord)

encode = _encoder.encode


def decode_inbox(value: bytes) -> Inbox:
    """An inbox record. Raises `msgspec.MsgspecError`."""
    return _inbox.decode(value)


def decode_action(value: bytes) -> Action:
    """An action. Raises `msgspec.MsgspecError`."""
    return _action.decode(value)


def decode_state(value: bytes) -> StateRecord:
    """A state record. Raises `msgspec.MsgspecError`."""
    return _state.decode(value)


def event(name: str, *, event_id: str, subject: str, at_ms: int, data: EventData) -> bytes:
    """A `cordboard.event.…` as structured JSON."""
    return _cloud_event(event_type(name), event_id, subject, at_ms, encode(data))


def result(*, event_id: str, subject: str, at_ms: int, data: Result) -> bytes:
    """A `cordboard.result.v1` as structured JSON."""
    return _cloud_event(RESULT_TYPE, event_id, subject, at_ms, encode(data))


def _cloud_event(type_: str, event_id: str, subject: str, at_ms: int, data: bytes) -> bytes:
    return encode(
        CloudEvent(
            id=event_id,
            source=SOURCE,
            type=type_,
            specversion=SPEC_VERSION,
            subject=subject,
            time=rfc3339(at_ms),
            data=msgspec.Raw(data),
        )
    )
