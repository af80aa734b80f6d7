"""What only the simulation can see: every effect at its Twilio, and what Twilio itself has seen go wrong."""

from collections import Counter
from collections.abc import Callable

import msgspec

from checker.log_rules import Wrong, brief, form_of
from checker.twilio_rules import not_carried_out
from engine.core.rescues import MOST_ROOMS
from ingress.webhooks import SOURCES
from schemas.actions import UpdateParticipant
from schemas.records import Webhook
from schemas.state import Direction
from simulation.evidence import SimulatedLedgers
from simulation.network import Callback
from simulation.plan import Effect, Where

_LEFT = frozenset({"customer_left", "abandoned", "hub_ended"})


def i14_setters_once(ledgers: SimulatedLedgers) -> Wrong:
    """What was done once and answered is not done again: a second request has a doubt, or a death, before it."""
    if ledgers.world.script.struck:
        return
    done = Counter((done.action, done.what, done.call_sid) for done in ledgers.world.phones.done)
    for (action, what, _), times in done.items():
        if times > 1:
            yield f"{what} of {action[-14:]} was done {times} times although nothing went wrong"


def i16_never_at_twilio(ledgers: SimulatedLedgers) -> Wrong:
    """What Twilio itself has seen go wrong: a transfer whose target is dialled while somebody ends the room."""
    if any(fault.where is Where.REST and fault.effect is Effect.DELAY for fault in ledgers.world.script.struck):
        return  # a request that the network kept may undo what came after it
    for call_id, wrong in ledgers.world.phones.wrongs:
        if not _gave_up_flags(ledgers, call_id):
            yield wrong


def _gave_up_flags(ledgers: SimulatedLedgers, call_id: str) -> bool:
    """Whether a request to let the room live was not carried out in time (docs/simulation.md)."""
    failed = not_carried_out(ledgers)
    return any(
        isinstance(action, UpdateParticipant) and action.call_id == call_id and action.end_on_exit is False
        for action_id, action in ledgers.actions.items()
        if action_id in failed
    )


def i19_answered_earlier_is_earlier(ledgers: SimulatedLedgers) -> Wrong:
    """What a node has answered before it was sent something else of the same call is in the inbox before that."""
    firsts: dict[tuple[str, frozenset[tuple[str, str]]], tuple[str, int]] = {}
    for records in ledgers.inbox.values():
        for offset, record in enumerate(records):
            if isinstance(record, Webhook):
                params = msgspec.json.decode(record.params, type=dict[str, str])
                firsts.setdefault((record.source, form_of(params)), (record.call_id, offset))
    said = [(SOURCES.get(c.route), form_of(c.form), c) for c in ledgers.world.network.callbacks]
    times = Counter((source, form) for source, form, _ in said)
    told = [
        (*firsts[source, form], callback)
        for source, form, callback in said
        if source is not None and times[source, form] == 1 and (source, form) in firsts
    ]
    for call_id, offset, callback in told:
        nodes = {attempt.node for attempt in callback.attempts}
        if len(nodes) != 1:
            continue  # another node may have been quicker
        began = callback.attempts[0].began
        for other_call, other_offset, other in told:
            if other_call == call_id and other_offset > offset and _answered_before(other, nodes, began):
                yield f"{brief(callback.form)} overtook {brief(other.form)}, which was answered before it came"


def _answered_before(callback: Callback, nodes: set[str], moment: int) -> bool:
    return any(a.node in nodes and a.answered is not None and a.answered < moment for a in callback.attempts)


def i20_nobody_is_lost_with_a_room(ledgers: SimulatedLedgers) -> Wrong:
    """A caller whose call goes on when the conference is lost comes into another, unless something else goes wrong."""
    if any(fault.where is not Where.ROOM for fault in ledgers.world.script.struck):
        return
    for line, rooms in ledgers.world.phones.thrown_out:
        call = ledgers.calls.get(line.sid)
        if call is None or call.direction is not Direction.INBOUND or line.hung_up or line.rooms > rooms:
            continue
        if call.reason in _LEFT and call.room.generation < MOST_ROOMS:
            yield f"{line.sid[-8:]} has lost its room and is said to have left ({call.reason})"


SIMULATION_RULES: tuple[Callable[[SimulatedLedgers], Wrong], ...] = (
    i14_setters_once, i16_never_at_twilio, i19_answered_earlier_is_earlier,
    i20_nobody_is_lost_with_a_room,
)  # fmt: skip
