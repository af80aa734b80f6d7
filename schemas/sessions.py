"""A call inside a Conversations service, as the state of the call carries it (twilio-facts.md 2.9)."""

from enum import StrEnum

import msgspec


class SessionState(StrEnum):
    """Where a `<Connect><Conversation>` is (twilio-facts.md 2.9). `closing`: the dialled leg is over."""

    CONNECTING = "connecting"
    DIALING = "dialing"
    RINGING = "ringing"
    TALKING = "talking"
    CLOSING = "closing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABANDONED = "abandoned"


LIVE_SESSION_STATES = frozenset(
    {SessionState.CONNECTING, SessionState.DIALING, SessionState.RINGING, SessionState.TALKING, SessionState.CLOSING}
)


class Session(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A call that the Conversations service `service_sid` has taken: no room, and nothing to steer but its end.

    `waiting` is the leg that called, `leg` the one that the service dialled. `heard` is the highest SequenceNumber of
    its status callbacks. `talked`: the dialled leg has answered. `result` is Twilio's word for the end, `reason` ours
    for a failure, `outcome` what the waiting leg was led to then; `caller_gone`: it has hung up.
    """

    state: SessionState
    service_sid: str
    waiting: str
    leg: str | None = None
    conversation_sid: str | None = None
    heard: int = 0
    talked: bool = False
    worker_initiated: bool = False
    result: str | None = None
    reason: str | None = None
    outcome: str | None = None
    caller_gone: bool = False
    duration_s: int | None = None
