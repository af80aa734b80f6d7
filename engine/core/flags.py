"""A leg's switches: what is wanted, what Twilio shows, and what to do when the two differ.

A switch counts as turned only when Twilio's own event, or a look at the room, says so; sending the request is not
enough. A change that is not confirmed in time is looked up, and given up if it still is not there.
"""

from msgspec.structs import replace

from engine.core.turn import CALL, Turn
from schemas.actions import LookUp, UpdateParticipant
from schemas.events import HoldEvent
from schemas.state import Flags, Leg, LegState, RecordingState, Role

CONFIRM = "confirm"
UNCONFIRMED = "unconfirmed"
CONFIRM_WITHIN_MS = 5_000
FLAGS_WITHIN_MS = 30_000
_UNFINISHED = frozenset({RecordingState.ON, RecordingState.PAUSED, RecordingState.STOPPING})
_SWITCHES = (("hold", "held", "unheld"), ("muted", "muted", "unmuted"))


def hold(turn: Turn, leg_id: str, audio: str | None = None) -> None:
    """Want the leg on hold. End-on-exit goes first: Twilio ignores a change of it while the leg is held (N2)."""
    let_go(turn, leg_id)
    leg = turn.leg(leg_id)
    if not leg.desired.hold:
        turn.update(leg_id, desired=replace(leg.desired, hold=True))
        _request(turn, leg, hold=True, hold_audio=audio or turn.call.policy.hold_audio)


def unhold(turn: Turn, leg_id: str) -> None:
    """Want the leg off hold."""
    leg = turn.leg(leg_id)
    if leg.desired.hold:
        turn.update(leg_id, desired=replace(leg.desired, hold=False))
        _request(turn, leg, hold=False)


def mute(turn: Turn, leg_id: str, *, muted: bool) -> None:
    """Want the leg muted or not."""
    leg = turn.leg(leg_id)
    if leg.desired.muted is not muted:
        turn.update(leg_id, desired=replace(leg.desired, muted=muted))
        _request(turn, leg, muted=muted)


def let_go(turn: Turn, leg_id: str) -> None:
    """Want the room to outlive the leg."""
    leg = turn.leg(leg_id)
    if leg.desired.end_on_exit:
        turn.update(leg_id, desired=replace(leg.desired, end_on_exit=False))
        _request(turn, leg, end_on_exit=False)


def end_with(turn: Turn, leg_id: str) -> None:
    """Want the room to end with the leg. Not while it is held: Twilio would say yes and do nothing."""
    leg = turn.leg(leg_id)
    if not leg.desired.end_on_exit and not leg.observed.hold and not leg.desired.hold:
        turn.update(leg_id, desired=replace(leg.desired, end_on_exit=True))
        _request(turn, leg, end_on_exit=True)


def observe(turn: Turn, leg_id: str, seen: Flags) -> bool:
    """Take what Twilio shows of a joined leg; whether it was news."""
    leg = turn.leg(leg_id)
    known = leg.observed
    if seen == known:
        return False
    # While something asked for is not confirmed, what is shown may be the answer to an older request, and no drift.
    wanted = leg.desired if CONFIRM in turn.call.timers else _wanted_after(leg.desired, known, seen)
    drifted = wanted != leg.desired
    leg = turn.update(leg_id, observed=seen, desired=wanted)
    for switch, on, off in _SWITCHES:
        if getattr(seen, switch) != getattr(known, switch):
            turn.tell_leg(f"leg.{on if getattr(seen, switch) else off}", leg)
    if (seen.end_on_exit, seen.coaching) != (known.end_on_exit, known.coaching):
        turn.tell_leg("leg.modified", leg)
    if drifted:
        turn.tell_leg("leg.drift", leg, reason="not_asked")
    if seen.hold != known.hold:
        _held(turn, leg)
    if not any_unconfirmed(turn):
        turn.disarm(CONFIRM)
        turn.disarm(UNCONFIRMED)
    return True


def _wanted_after(wanted: Flags, known: Flags, seen: Flags) -> Flags:
    """What is wanted now: a switch that nobody asked for and that Twilio turned is taken as it is."""
    turned = {
        name: getattr(seen, name)
        for name in Flags.__struct_fields__
        if getattr(wanted, name) == getattr(known, name) != getattr(seen, name)
    }
    return replace(wanted, **turned) if turned else wanted


def _held(turn: Turn, leg: Leg) -> None:
    if leg.observed.hold:
        turn.update(leg.leg, held_at=turn.at)
    else:
        tell_hold_ended(turn, leg.leg)
    if leg.role is Role.CUSTOMER and leg.observed.hold:
        turn.stimulate_supervisions("customer_held")
    if leg.role is Role.CUSTOMER:
        turn.stimulate(CALL, "customer_held" if leg.observed.hold else "customer_unheld", leg.leg)


def tell_hold_ended(turn: Turn, leg_id: str) -> None:
    """If the leg was held, it is no more: resumed, gone, or in another room; say how long it was."""
    leg = turn.leg(leg_id)
    if leg.held_at is not None:
        turn.emit("hold.ended", HoldEvent(cause=turn.cause, leg=leg_id, duration_s=(turn.at - leg.held_at) / 1000))
        turn.update(leg_id, held_at=None)


def may_yet_end(turn: Turn, leg_id: str) -> bool:
    """Whether a request about ending with the leg is still on its way: what is shown may be older than it.

    One that lets the room end may overtake what is shown; one that forbids it may yet fail behind it.
    """
    pending = (item.action for item in turn.call.pending)
    return any(
        isinstance(act, UpdateParticipant) and act.leg == leg_id and act.end_on_exit is not None for act in pending
    )


def any_unconfirmed(turn: Turn) -> bool:
    """Whether some joined leg's switches are not as wanted."""
    return any(leg.state is LegState.JOINED and leg.desired != leg.observed for leg in turn.call.legs)


def confirm_due(turn: Turn) -> None:
    """The wanted switches have not been shown in time: look."""
    if any_unconfirmed(turn):
        look_up(turn)
        turn.arm(UNCONFIRMED, CONFIRM_WITHIN_MS)


def give_up(turn: Turn, leg_ids: tuple[str, ...] | None = None) -> None:
    """Accept what Twilio shows: the commands that wanted otherwise fail."""
    for leg in turn.call.legs:
        if leg.state is LegState.JOINED and leg.desired != leg.observed and (leg_ids is None or leg.leg in leg_ids):
            turn.tell_leg("leg.drift", turn.update(leg.leg, desired=leg.observed), reason="not_confirmed")


def look_up(turn: Turn) -> None:
    """Look at Twilio: what it shows comes back as a report and is taken as facts."""
    call = turn.call
    if any(isinstance(item.action, LookUp) for item in call.pending):
        return
    sids = tuple(leg.call_sid for leg in turn.live() if leg.call_sid)
    turn.request(
        LookUp(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
               deadline=turn.at + FLAGS_WITHIN_MS, room=call.room.name, conference_sid=call.room.sid, call_sids=sids,
               **_recorded(turn))
    )  # fmt: skip


def _recorded(turn: Turn) -> dict[str, str]:
    """The recording, while its file is not known to be finished."""
    item, leg = turn.call.recording, turn.find(turn.call.recording.leg)
    if item.state not in _UNFINISHED or item.sid is None or leg is None or leg.call_sid is None:
        return {}
    return {"recording_sid": item.sid, "recorded_sid": leg.call_sid}


def _request(
    turn: Turn, leg: Leg, *, hold: bool | None = None, hold_audio: str | None = None, muted: bool | None = None,
    end_on_exit: bool | None = None,
) -> None:  # fmt: skip
    """One aspect per request: Twilio refuses some combinations (twilio-facts.md 3.3)."""
    turn.request(
        UpdateParticipant(
            id=turn.next_action_id(), call_id=turn.call.call_id, account_sid=turn.call.account_sid, at=turn.at,
            deadline=turn.deadline or turn.at + FLAGS_WITHIN_MS, leg=leg.leg,
            conference_sid=leg.conference_sid or turn.call.room.sid or "", call_sid=leg.call_sid or "",
            hold=hold, hold_audio=hold_audio, muted=muted, end_on_exit=end_on_exit,
        )
    )  # fmt: skip
    turn.disarm(UNCONFIRMED)
    turn.arm(CONFIRM, CONFIRM_WITHIN_MS)
