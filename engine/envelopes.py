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


class Voice:
    """Says things because of one record: about its call, at its own time, in its trace."""

    __slots__ = ("_record", "_time", "_trace")

    def __init__(self, record: Inbox) -> None:
        self._record = record
        self._time = time_of(record.at)
        self._trace = (record.trace or UNSET) if isinstance(record, Webhook | Command) else UNSET

    def event(self, emit: Emit, event_id: str) -> bytes:
        """An event, encoded."""
        return self._say(event_id, _type(emit.name), emit.data)

    def result(self, reply: Reply) -> bytes:
        """The answer to a command, encoded."""
        return self._say(reply.event_id, RESULT_TYPE, reply.result)

    def _say(self, id_: str, type_: str, data: EventData | Result) -> bytes:
        return encode(
            _Envelope(
                id_,
                SOURCE,
                type_,
                SPEC_VERSION,
                self._record.call_id,
                self._time,
                "application/json",
                self._trace,
                data,
            )
        )


def time_of(at_ms: int) -> str:
    """`schemas.times.rfc3339`, of which the part down to the second is remembered."""
    second, ms = divmod(at_ms, 1000)
    return f"{_second(second)}.{ms:03d}Z"


@lru_cache(maxsize=1024)
def _second(at_s: int) -> str:
    return rfc3339(at_s * 1000).removesuffix(".000Z")
