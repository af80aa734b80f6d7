"""A supervisor becomes the agent: what the supervision machine asks and does in a take-over.

The room must not end with the former agent, and that has to be seen before anybody is removed (N2).
"""

from engine.core import flags
from engine.core.supervisions import change, current, disarm, tell, watch
from engine.core.table import Act, Guard
from engine.core.turn import CALL, LEG, Turn
from schemas.state import LIVE_LEG_STATES, Leg, LegState, Role, SupervisionState


def _former(turn: Turn, leg_id: str) -> Leg | None:
    return turn.find(current(turn, leg_id).former)


def former_gone(turn: Turn, leg_id: str) -> bool:
    """Whether the agent whose place is taken is no longer in the room."""
    former = _former(turn, leg_id)
    return former is None or former.state not in LIVE_LEG_STATES


def former_let_go(turn: Turn, leg_id: str) -> bool:
    """Whether Twilio shows that the room outlives the former agent."""
    former = _former(turn, leg_id)
    return former is None or not former.observed.end_on_exit


def former_leaving(turn: Turn, leg_id: str) -> bool:
    """Whether the former agent has been asked to go."""
    former = _former(turn, leg_id)
    return former is not None and former.state is LegState.LEAVING


def take_over(turn: Turn, leg_id: str) -> None:
    """The leg is an agent from now on, so the customer is never without one; the room ends with the right leg."""
    former = _former(turn, leg_id)
    turn.update(leg_id, role=Role.AGENT)
    if former is not None and (former.observed.end_on_exit or former.desired.end_on_exit):
        flags.let_go(turn, former.leg)
        flags.end_with(turn, leg_id)
    watch(turn, leg_id)
    turn.stimulate(CALL, "agent_joined", leg_id)


def remove_former(turn: Turn, leg_id: str) -> None:
    """The former agent goes."""
    former = _former(turn, leg_id)
    if former is not None:
        turn.stimulate(LEG, "remove", former.leg)


def give_back(turn: Turn, leg_id: str) -> None:
    """The former agent cannot be let go without the room: all stays as it was."""
    turn.update(leg_id, role=Role.SUPERVISOR)
    flags.let_go(turn, leg_id)
    tell(turn, leg_id, "failed", reason=current(turn, leg_id).reason)
    change(turn, leg_id, former=None, command=None)


def tell_taken_over(turn: Turn, leg_id: str) -> None:
    """The supervisor is the agent."""
    disarm(turn, leg_id)
    former = current(turn, leg_id).former
    tell(turn, leg_id, "taken_over", from_=SupervisionState.BARGED.value, to="taken_over", replaced=former)


TAKEOVER_GUARDS: dict[str, Guard] = {
    "former_gone": former_gone,
    "former_let_go": former_let_go,
    "former_leaving": former_leaving,
}
TAKEOVER_EFFECTS: dict[str, Act] = {
    "take_over": take_over,
    "remove_former": remove_former,
    "give_back": give_back,
    "tell_taken_over": tell_taken_over,
}
