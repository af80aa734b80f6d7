"""What a transfer does once the initiator talks to the target first: consult, swap, merge, and who hears whom.

The customer is held from before the target is dialled; at any moment exactly one of customer and target is with the
initiator, unless they are merged. Guards and effects of the transfer machine, like those in `transfers`.
"""

from engine.core import flags
from engine.core.table import Act, Guard
from engine.core.transfers import change, comfort, current, release_initiator, tell, unhold_customer
from engine.core.turn import Turn
from schemas.commands import TransferMode
from schemas.state import Leg, LegState, TransferState

CONSULT = "consult"


def _target(turn: Turn) -> Leg | None:
    return turn.find(current(turn).leg)


def consults(turn: Turn, leg_id: str) -> bool:
    """Whether the initiator is to talk to the target before the customer does (warm, or consult only)."""
    return current(turn).mode is not TransferMode.COLD


def customer_ready(turn: Turn, leg_id: str) -> bool:
    """Whether the customer is on hold where the target is to be talked to alone."""
    customer = turn.customer
    return not consults(turn, leg_id) or (customer is not None and customer.observed.hold)


def target_in(turn: Turn, leg_id: str) -> bool:
    """Whether the target is in the room."""
    target = _target(turn)
    return target is not None and target.state is LegState.JOINED


def alerts(turn: Turn, leg_id: str) -> bool:
    """Whether the policy only tells of a consult that goes on too long."""
    return turn.call.policy.consult_limit == "alert"


def merges(turn: Turn, leg_id: str) -> bool:
    """Whether the policy merges a consult that goes on too long."""
    return turn.call.policy.consult_limit == "merge" and current(turn).mode is TransferMode.WARM


def begin_consult(turn: Turn, leg_id: str) -> None:
    """They talk; the customer stays on hold, and a limit may run."""
    limit_s = current(turn).consult_limit_s or turn.call.policy.consult_limit_s
    if limit_s:
        turn.arm(CONSULT, limit_s * 1000)


def stop_consult_limit(turn: Turn, leg_id: str) -> None:
    """The consult is no longer what is going on."""
    turn.disarm(CONSULT)


def tell_consult_limit(turn: Turn, leg_id: str) -> None:
    """They have talked longer than the limit; nothing is done to them for it."""
    tell(turn, "transfer.consult_limit", reason="consult_limit")


def blame_consult_limit(turn: Turn, leg_id: str) -> None:
    """The limit ends it."""
    change(turn, reason="consult_limit")


def blame_target_left(turn: Turn, leg_id: str) -> None:
    """The target went away before anything was decided."""
    leg = turn.find(leg_id)
    change(turn, reason=(leg.reason if leg is not None and leg.reason != "hung_up" else None) or "target_left")


def hold_target(turn: Turn, leg_id: str) -> None:
    """The target waits while the initiator talks to the customer; one that still rings is held on arrival."""
    target = _target(turn)
    if target is not None and target.state is LegState.JOINED:
        flags.hold(turn, target.leg)


def unhold_target(turn: Turn, leg_id: str) -> None:
    """The target hears again."""
    target = _target(turn)
    if target is not None and target.state is LegState.JOINED:
        flags.unhold(turn, target.leg)


def talk_to_customer(turn: Turn, leg_id: str) -> None:
    """Initiator and customer talk, the target waits."""
    hold_target(turn, leg_id)
    unhold_customer(turn, leg_id)


def talk_to_target(turn: Turn, leg_id: str) -> None:
    """Initiator and target talk, the customer waits."""
    comfort(turn, leg_id)
    unhold_target(turn, leg_id)


def join_all(turn: Turn, leg_id: str) -> None:
    """Everybody hears everybody."""
    unhold_target(turn, leg_id)
    unhold_customer(turn, leg_id)


def hand_over_all(turn: Turn, leg_id: str) -> None:
    """Customer and target are put together and the initiator goes."""
    join_all(turn, leg_id)
    release_initiator(turn, leg_id)


def swapped_quietly(turn: Turn) -> bool:
    """Whether a swap has been observed: who talks is unheld, who waits is held or still rings."""
    transfer, customer, target = current(turn), turn.customer, _target(turn)
    if customer is None:
        return False
    with_customer = transfer.state is TransferState.SWAPPED
    waiting = target is None or target.state is not LegState.JOINED or target.observed.hold is with_customer
    return customer.observed.hold is not with_customer and waiting


def merged(turn: Turn) -> bool:
    """Whether a merge has been observed: customer and target unheld, the target in."""
    customer, target = turn.customer, _target(turn)
    together = customer is not None and target is not None and target.state is LegState.JOINED
    return together and not any(leg.observed.hold for leg in (customer, target) if leg is not None)


CONSULT_GUARDS: dict[str, Guard] = {
    "consults": consults,
    "customer_ready": customer_ready,
    "target_in": target_in,
    "alerts": alerts,
    "merges": merges,
}
CONSULT_EFFECTS: dict[str, Act] = {
    "begin_consult": begin_consult,
    "stop_consult_limit": stop_consult_limit,
    "tell_consult_limit": tell_consult_limit,
    "blame_consult_limit": blame_consult_limit,
    "blame_target_left": blame_target_left,
    "hold_target": hold_target,
    "talk_to_customer": talk_to_customer,
    "talk_to_target": talk_to_target,
    "join_all": join_all,
    "hand_over_all": hand_over_all,
}
