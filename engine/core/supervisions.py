"""What the supervision machine's guards ask and its effects do.

Monitor is muted; coach is unmuted and heard by one agent only; barge is unmuted and heard by all. Microphone and
coaching change in one participant update, so nobody is heard by the wrong ears in between (twilio-facts.md 6.3).
"""

from typing import Any

from msgspec.structs import replace

from engine.core import flags
from engine.core.table import Act, Guard
from engine.core.turn import LEG, SUPERVISION, Turn
from schemas.actions import UpdateParticipant
from schemas.commands import SupervisionMode
from schemas.events import SupervisionEvent
from schemas.state import CallState, Leg, LegState, Supervision, SupervisionState

PREFIX = "supervision."
SWITCH_WITHIN_MS = 10_000
MOST_TRIES = 2
MOST_ACTIVE = 8
MOST_KEPT = 4
REACHED = {
    SupervisionMode.MONITOR: SupervisionState.MONITORING,
    SupervisionMode.COACH: SupervisionState.COACHING,
    SupervisionMode.BARGE: SupervisionState.BARGED,
}
OVER = frozenset({SupervisionState.LEFT, SupervisionState.FAILED, SupervisionState.TAKEN_OVER})


def of(turn: Turn, leg_id: str | None) -> Supervision | None:
    """The supervision of a leg, or None."""
    return next((item for item in turn.call.supervisions if item.supervisor == leg_id), None)


def current(turn: Turn, leg_id: str) -> Supervision:
    """The supervision of a leg. Raises `LookupError` when there is none: nothing may move it then."""
    found = of(turn, leg_id)
    if found is None:
        raise LookupError(leg_id)
    return found


def change(turn: Turn, leg_id: str, **changes: Any) -> Supervision:  # noqa: ANN401 - fields of Supervision
    """Change fields of a supervision; gives the changed one."""
    changed = replace(current(turn, leg_id), **changes)
    turn.set(supervisions=tuple(changed if old.supervisor == leg_id else old for old in turn.call.supervisions))
    return changed


def add(turn: Turn, supervision: Supervision) -> None:
    """Add one; of those that are over only the latest are kept."""
    over = [item for item in turn.call.supervisions if item.state in OVER]
    dropped = over[: max(0, len(over) - MOST_KEPT)]
    turn.set(supervisions=(*(item for item in turn.call.supervisions if item not in dropped), supervision))


def active(turn: Turn) -> list[Supervision]:
    """The supervisions that are not over."""
    return [item for item in turn.call.supervisions if item.state not in OVER]


def tell(turn: Turn, leg_id: str, name: str, **fields: Any) -> None:  # noqa: ANN401 - fields of SupervisionEvent
    """Emit an event about a supervision, with all that an audit asks for."""
    item = current(turn, leg_id)
    shown = {"mode": item.wanted.value, "coach": item.coach, "target": turn.leg(leg_id).target, **fields}
    turn.emit(f"supervision.{name}", SupervisionEvent(cause=turn.cause, supervisor=leg_id, **shown))


def timer(leg_id: str) -> str:
    """The name of a supervision's own timer: how long a switch may take."""
    return f"{PREFIX}{leg_id}"


def acknowledge(turn: Turn, action: str) -> None:
    """Twilio has taken a switch; it is done when it is shown."""
    for item in turn.call.supervisions:
        if item.action == action:
            change(turn, item.supervisor, action=None)


def refused(turn: Turn, action: str, reason: str) -> None:
    """Twilio has not taken a switch, or it is not known whether it has."""
    for item in turn.call.supervisions:
        if item.action == action:
            change(turn, item.supervisor, action=None, reason=reason)
            turn.stimulate(SUPERVISION, "refused", item.supervisor)


def _wants(mode: SupervisionMode) -> Guard:
    def guard(turn: Turn, leg_id: str) -> bool:
        return current(turn, leg_id).wanted is mode

    return guard


def mode_shown(turn: Turn, leg_id: str) -> bool:
    """Whether Twilio shows what the mode wants. Muted is silent, whoever may be coached on paper."""
    item, leg = current(turn, leg_id), turn.leg(leg_id)
    if leg.state is not LegState.JOINED:
        return False
    if item.wanted is SupervisionMode.MONITOR:
        return leg.observed.muted
    return not leg.observed.muted and leg.observed.coaching == item.coach


def acknowledged(turn: Turn, leg_id: str) -> bool:
    """Whether what Twilio shows is younger than the doubt: a muting after one must have been answered."""
    item = current(turn, leg_id)
    return item.tries == 0 or item.action is None


def answered(turn: Turn, leg_id: str) -> bool:
    """Whether the switch itself was answered: an event says that a leg coaches, and not whom (twilio-facts.md 2.5)."""
    return current(turn, leg_id).action is None


def given_up(turn: Turn, leg_id: str) -> bool:
    """Whether muting has been tried often enough."""
    return current(turn, leg_id).tries >= MOST_TRIES


def leg_leaving(turn: Turn, leg_id: str) -> bool:
    """Whether the leg is on its way out, by whatever cause."""
    return turn.leg(leg_id).state is LegState.LEAVING


def call_over(turn: Turn, leg_id: str) -> bool:
    """Whether the call has ended."""
    return turn.call.state is CallState.ENDED


def follows(turn: Turn, leg_id: str) -> bool:
    """Whether the policy lets supervisors stay after a change of agents."""
    return turn.call.policy.supervision.follow


def _other_agent(turn: Turn, leg_id: str) -> Leg | None:
    """An agent in the room, or the target to whom the customer is being handed over."""
    transfer = turn.call.transfer
    new = turn.find(transfer.leg) if transfer is not None else None
    candidates = [*turn.talking(), *([new] if new is not None and new.state is LegState.JOINED else [])]
    return next((leg for leg in candidates if leg.leg != leg_id and not leg.observed.hold), None)


def other_agent(turn: Turn, leg_id: str) -> bool:
    """Whether there is another agent to coach."""
    return _other_agent(turn, leg_id) is not None


def lost_its_agent(turn: Turn, leg_id: str) -> bool:
    """Whether the coached agent is the one who has handed the customer over, and the new one can be coached."""
    item, transfer = current(turn, leg_id), turn.call.transfer
    if transfer is None or transfer.initiator is None or transfer.initiator not in {item.coach, item.lost_coach}:
        return False
    new = turn.find(transfer.leg)
    return new is not None and new.state is LegState.JOINED and not new.observed.hold


def switch(turn: Turn, leg_id: str) -> None:
    """One participant update for microphone and coaching. To be heard is asked for in time or not at all."""
    item, leg = current(turn, leg_id), turn.leg(leg_id)
    muted = item.wanted is SupervisionMode.MONITOR
    coached = turn.find(item.coach)
    soon = min(turn.deadline or turn.at + SWITCH_WITHIN_MS, turn.at + SWITCH_WITHIN_MS)
    action = UpdateParticipant(
        id=turn.next_action_id(), call_id=turn.call.call_id, account_sid=turn.call.account_sid, at=turn.at,
        deadline=turn.at + flags.FLAGS_WITHIN_MS if muted else soon, leg=leg_id,
        conference_sid=leg.conference_sid or turn.call.room.sid or "", call_sid=leg.call_sid or "",
        muted=muted, coach=(coached.call_sid or "") if coached is not None else "",
    )  # fmt: skip
    turn.update(leg_id, desired=replace(leg.desired, muted=muted, coaching=item.coach))
    turn.request(action)
    change(turn, leg_id, action=action.id)
    turn.disarm(flags.UNCONFIRMED)
    turn.arm(flags.CONFIRM, flags.CONFIRM_WITHIN_MS)
    watch(turn, leg_id)


def watch(turn: Turn, leg_id: str) -> None:
    """It should be seen done soon."""
    turn.arm(timer(leg_id), SWITCH_WITHIN_MS)


def disarm(turn: Turn, leg_id: str) -> None:
    """Nothing is awaited that has a limit."""
    turn.disarm(timer(leg_id))


def reached(turn: Turn, leg_id: str) -> None:
    """Twilio shows the mode."""
    disarm(turn, leg_id)
    item = current(turn, leg_id)
    state, before = REACHED[item.wanted], item.previous or SupervisionState.DIALING
    change(turn, leg_id, previous=state, tries=0, reason=None)
    if state is not before or item.coach is not None:
        tell(turn, leg_id, "mode_changed", from_=before.value, to=state.value)


def silence(turn: Turn, leg_id: str) -> None:
    """In doubt nobody is heard: mute, look at what Twilio has, and whoever asked for more is told that it failed."""
    item = current(turn, leg_id)
    tell(turn, leg_id, "failed", reason=item.reason)
    change(turn, leg_id, wanted=SupervisionMode.MONITOR, coach=None, command=None, tries=item.tries + 1)
    switch(turn, leg_id)
    flags.look_up(turn)


def coach_other(turn: Turn, leg_id: str) -> None:
    """Coach another agent who is there."""
    other = _other_agent(turn, leg_id)
    change(turn, leg_id, coach=other.leg if other is not None else None, lost_coach=None)


def coach_new(turn: Turn, leg_id: str) -> None:
    """Coach the agent whom the customer was handed over to."""
    transfer = turn.call.transfer
    new = transfer.leg if transfer is not None else None
    change(turn, leg_id, wanted=SupervisionMode.COACH, coach=new, lost_coach=None, tries=0)


def blame_coach_left(turn: Turn, leg_id: str) -> None:
    """Remember whom the supervisor was coaching, in case that agent has handed over."""
    change(turn, leg_id, reason="coach_left", lost_coach=current(turn, leg_id).coach)


def out(turn: Turn, leg_id: str) -> None:
    """Take the supervisor out of the room, or stop ringing."""
    disarm(turn, leg_id)
    turn.stimulate(LEG, "remove", leg_id)


def look_up(turn: Turn, leg_id: str) -> None:
    """What is awaited has not been seen: look."""
    flags.look_up(turn)


def tell_customer_held(turn: Turn, leg_id: str) -> None:
    """For the audit: from now on the supervisor hears the agents only."""
    tell(turn, leg_id, "customer_held")


def tell_unreached(turn: Turn, leg_id: str) -> None:
    """The supervisor could not be reached."""
    item = change(turn, leg_id, reason=turn.leg(leg_id).reason)
    tell(turn, leg_id, "failed", from_=SupervisionState.DIALING.value, to=item.state.value, reason=item.reason)


def tell_ended(turn: Turn, leg_id: str) -> None:
    """The supervisor has gone."""
    why = current(turn, leg_id).reason
    item = change(turn, leg_id, reason=why or "left", action=None)
    tell(turn, leg_id, "ended", to=item.state.value, reason=why or turn.leg(leg_id).reason)


def _blaming(reason: str) -> Act:
    def effect(turn: Turn, leg_id: str) -> None:
        change(turn, leg_id, reason=reason)

    return effect


SUPERVISION_GUARDS: dict[str, Guard] = {
    "wants_monitor": _wants(SupervisionMode.MONITOR),
    "wants_coach": _wants(SupervisionMode.COACH),
    "wants_barge": _wants(SupervisionMode.BARGE),
    "mode_shown": mode_shown,
    "acknowledged": acknowledged,
    "answered": answered,
    "given_up": given_up,
    "leg_leaving": leg_leaving,
    "call_over": call_over,
    "follows": follows,
    "other_agent": other_agent,
    "lost_its_agent": lost_its_agent,
}
SUPERVISION_EFFECTS: dict[str, Act] = {
    "switch": switch,
    "watch": watch,
    "disarm": disarm,
    "reached": reached,
    "silence": silence,
    "coach_other": coach_other,
    "coach_new": coach_new,
    "out": out,
    "look_up": look_up,
    "tell_customer_held": tell_customer_held,
    "tell_unreached": tell_unreached,
    "tell_ended": tell_ended,
    "blame_deadline": _blaming("not_confirmed"),
    "blame_drift": _blaming("drift"),
    "blame_coach_left": blame_coach_left,
    "blame_transferred": _blaming("transferred"),
}
