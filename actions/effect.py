"""What a request that succeeded has brought about. Pure data."""

import msgspec

from actions.heard import Answer
from schemas.records import Observation


class Effect(msgspec.Struct, frozen=True):
    """The answer, the SIDs that a creation has yielded, and what a look has seen."""

    answer: Answer
    call_sid: str | None = None
    conference_sid: str | None = None
    seen: Observation | None = None
