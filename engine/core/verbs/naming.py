"""Which leg a command means: an id, or a bare role where only one live leg has it."""

from engine.core.turn import Turn
from schemas.state import LIVE_LEG_STATES, Leg, LegState


def named(turn: Turn, name: str) -> Leg | str:
    """The leg meant, or the reason why there is none: `unknown_leg` or `ambiguous_leg`."""
    leg = turn.find(name)
    if leg is not None:
        return leg
    live = [leg for leg in turn.call.legs if leg.role.value == name and leg.state in LIVE_LEG_STATES]
    if len(live) == 1:
        return live[0]
    return "ambiguous_leg" if live else "unknown_leg"


def joined(turn: Turn, name: str) -> Leg | str:
    """The leg meant if it is in the room, or the reason why not (also `leg_not_joined`)."""
    leg = named(turn, name)
    return "leg_not_joined" if isinstance(leg, Leg) and leg.state is not LegState.JOINED else leg
