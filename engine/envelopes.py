"""Events and results on their way out: CloudEvents 1.0 in structured JSON, encoded in one pass.

The same bytes as `schemas.codec.event` and `.result` make, plus `traceparent`; here because a step may say several
things and this is the hot path. Ids are derived, so that what is said twice carries the same id (design.md section 4).
"""

from functools import lru_cache

import msgspec
from msgspec import UNSET, UnsetType

from engine.core.effects import Emit, Reply
from schemas.cloudevents import SOURCE, SPEC_VERSION
from schemas.codec import encode
from schemas.events import EventData
from schemas.events import type_of as event_type
from schemas.records import Command, Inbox, Webhook
from schemas.results import RESULT_TYPE, Result
from schemas.times import rfc3339

_time = lru_cache(maxsize=256)(rfc3339)
_type = lru_cache(maxsize=256)(event_type)


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    id: str
    source: str
    type: str
    specversion: str
    subject: str
    time: str
    datacontenttype: str
    traceparent: str | UnsetType
    data: EventData | Result


def trace_of(record: Inbox) -> str | UnsetType:
    """The W3C trace that a record belongs to, if it says."""
    if isinstance(record, Webhook | Command) and record.trace is not None:
        return record.trace
    return UNSET


def encode_event(emit: Emit, event_id: str, record: Inbox) -> bytes:
    """An event that `record` caused, at the record's own time."""
    return _encode(event_id, _type(emit.name), record, emit.data)


def encode_result(reply: Reply, record: Inbox) -> bytes:
    """The answer to a command, given because of `record`."""
    return _encode(reply.event_id, RESULT_TYPE, record, reply.result)


def _encode(event_id: str, type_: str, record: Inbox, data: EventData | Result) -> bytes:
    return encode(
        _Envelope(
            event_id,
            SOURCE,
            type_,
            SPEC_VERSION,
            record.call_id,
            _time(record.at),
            "application/json",
            trace_of(record),
            data,
        )
    )
