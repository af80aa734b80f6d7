"""A look at Twilio, taken as facts: what callbacks should have said comes in here when they did not."""

from engine.core import facts, flags, machines, reaping, recording_facts, rescues, session_facts
from engine.core.turn import Turn
from schemas.actions import LookUp
from schemas.records import Observation, ParticipantSeen
from schemas.state import Flags, Leg, LegState

_IN = frozenset({"connected", ""})


def apply(turn: Turn, seen: Observation, asked: LookUp) -> None:
    """Let what was seen move the legs: who is in the room, who is not, whose call is over.

    What a callback has said of a leg since the look was asked for is newer than the look, or may be: of such a leg only
    the end of its call is taken, which nothing can undo. The same holds for a call that the look did not ask for.
    """
    since = asked.at
    statuses = {call.call_sid: call.status for call in seen.calls}
    if turn.call.in_conversation:
        session_facts.looked(turn, statuses)
        return
    found = {item.label or item.call_sid: item for item in seen.participants}
    by_sid = {item.call_sid: item for item in seen.participants}
    recording_facts.seen(turn, seen.recording)
    lost = rescues.vanished(turn, seen, since)
    if lost:
        rescues.lose(turn)
    for leg in turn.live():
        if lost or (leg.heard_at is not None and leg.heard_at >= since):
            _absent(turn, leg, statuses.get(leg.call_sid or ""), ended_only=True)
            continue
        item = found.get(leg.leg) or (by_sid.get(leg.call_sid) if leg.call_sid else None)
        if item is not None:
            _present(turn, leg, item, seen.conference_sid)
        else:
            unasked = leg.call_sid is not None and leg.call_sid not in asked.call_sids
            _absent(turn, leg, statuses.get(leg.call_sid or ""), ended_only=unasked)
    reaping.looked(turn, since)


def _present(turn: Turn, leg: Leg, item: ParticipantSeen, conference_sid: str | None) -> None:
    leg = facts.bind(turn, leg, item.call_sid)
    if item.status not in _IN:
        machines.move_leg(turn, "ringing" if item.status == "ringing" else "created", leg.leg)
        return
    turn.update(leg.leg, conference_sid=conference_sid)
    coached = turn.by_sid(item.coaching)
    shown = Flags(
        hold=item.hold,
        muted=item.muted,
        coaching=coached.leg if coached is not None else None,
        end_on_exit=item.end_on_exit,
    )
    if leg.state is LegState.JOINED:
        flags.observe(turn, leg.leg, shown)
    elif machines.move_leg(turn, "joined", leg.leg) and turn.leg(leg.leg).state is LegState.JOINED:
        facts.arrive(turn, leg.leg, shown)


def _absent(turn: Turn, leg: Leg, status: str | None, *, ended_only: bool = False) -> None:
    """Not in the room: over if its call is, gone if it was in; on its way, it is lost when Twilio has no call."""
    if status in facts.OVER:
        turn.reason = facts.ending_of(leg, status)
        machines.move_leg(turn, "ended", leg.leg)
    elif not ended_only and (
        leg.state in {LegState.JOINED, LegState.LEAVING}
        or (leg.state is LegState.PLANNED and status is None)
        or (status is None and leg.call_sid is not None)
    ):
        machines.move_leg(turn, "gone", leg.leg)
