"""After a take-over: which calls are looked at, because what happened meanwhile may not have reached us.

A callback that found no ingress is gone (Twilio tries for 15 s at most). Where ingress and engine are one process,
every live call is looked at after a restart; where ingress ran on, only calls in the middle of something are, so that
a rebalance of many thousand calls does not become a storm at Twilio. The look itself is the core's (`Resumed`).
"""

from collections.abc import Iterable
from enum import StrEnum

from cordboard.log.port import Entry
from engine.calls import Glance
from schemas.codec import encode
from schemas.ids import resumed_record_id
from schemas.records import Resumed
from schemas.state import CallState, LegState

_SETTLED = frozenset({LegState.JOINED.value, LegState.LEFT.value, LegState.FAILED.value, LegState.LOST.value})


class LookAt(StrEnum):
    """Which live calls are looked at after a take-over."""

    EVERY_CALL = "every_call"
    CALLS_IN_FLIGHT = "calls_in_flight"


def in_flight(seen: Glance) -> bool:
    """Whether something was under way: a leg coming or going, a command or an action without its end, a transfer."""
    moving = any(leg.state not in _SETTLED for leg in seen.legs)
    return moving or bool(seen.pending) or bool(seen.open) or seen.state == CallState.TRANSFERRING.value


def resumed(
    calls: Iterable[tuple[str, Glance]], look_at: LookAt, *, partition: int, token: int, at_ms: int
) -> list[Entry]:
    """Inbox entries that have the calls concerned looked at; their ids are the same for the same claim `token`."""
    return [
        Entry(partition, call_id.encode(), encode(Resumed(resumed_record_id(call_id, token), call_id, at_ms)))
        for call_id, seen in calls
        if seen.state != CallState.ENDED.value and (look_at is LookAt.EVERY_CALL or in_flight(seen))
    ]
