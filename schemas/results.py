"""The one terminal answer to every command (contracts.md section 4)."""

from enum import StrEnum

import msgspec

RESULT_TYPE = "cordboard.result.v1"


class Outcome(StrEnum):
    """How a command ended. Each command ends in exactly one of these."""

    APPLIED = "applied"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Result(msgspec.Struct, frozen=True):
    """Data of a `cordboard.result.v1` event. `state` is the call's state when it was answered, None for no call."""

    command_id: str
    command_source: str
    command_type: str
    outcome: Outcome
    reason: str | None = None
    state: str | None = None
    allowed: tuple[str, ...] = ()
    replayed: bool = False
    detail: str | None = None
