"""What a request that succeeded has brought about. Pure data."""

import msgspec

from actions.heard import Answer
from schemas.records import Observation


class Effect(msgspec.Struct, frozen=True):
    """The answer, the SIDs that it is about, and what a look has seen.

    `queued_ms`: how long Twilio expects a new call to wait for its turn.
    """

    answer: Answer
    call_sid: str | None = None
    conference_sid: str | None = None
    recording_sid: str | None = None
    recording_status: str | None = None
    task_sid: str | None = None
    queued_ms: int = 0
    seen: Observation | None = None
