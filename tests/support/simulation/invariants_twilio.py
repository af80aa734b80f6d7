"""The invariants about Twilio's side: what was done there, in what order, and whether both sides agree in the end."""

from collections import Counter, defaultdict

from schemas.actions import CREATING, Action, CreateCall, CreateParticipant, OnDoubt
from schemas.ids import room_of
from schemas.state import Call, CallState, LegState
from simulation.invariants import Invariant, Wrong
from simulation.ledgers import Ledgers
from simulation.plan import Effect

_TOLERANCE_MS = 100
_MOST_CREATIONS = 2


def i05_created_once(ledgers: Ledgers) -> Wrong:
    """A creation happens once; an agent's device may be dialled once more, after a doubt."""
    created = Counter(done.action for done in ledgers.world.phones.done if done.what == "create")
    for action_id, times in created.items():
        action = ledgers.actions.get(action_id)
        if not isinstance(action, CREATING):
            yield f"Twilio has created a call for {action_id!r}, which nobody wanted"
            continue
        assert isinstance(action, (CreateParticipant, CreateCall))
        allowed = _MOST_CREATIONS if action.on_doubt is OnDoubt.RETRY and _was_doubtful(ledgers) else 1
        if times > allowed:
            yield f"{action.leg} was created {times} times by one action ({action.on_doubt.value}, at most {allowed})"


def _was_doubtful(ledgers: Ledgers) -> bool:
    return bool(ledgers.world.script.struck)


def i06_nothing_after_its_deadline(ledgers: Ledgers) -> Wrong:
    """No request begins after the deadline of its action."""
    for sent in ledgers.world.sent:
        late_ms = sent.at_ms - sent.action.deadline
        if late_ms > _TOLERANCE_MS:
            yield f"{type(sent.action).__name__} was sent {late_ms} ms after its deadline"


def i07_in_order(ledgers: Ledgers) -> Wrong:
    """The requests of a call are made in the order of its versions, by whoever owns it."""
    latest: dict[str, tuple[int, int]] = {}
    for sent in ledgers.world.sent:
        if sent.doubtful:
            continue
        place = _place(sent.action)
        if place < latest.get(sent.action.call_id, (0, 0)):
            yield f"{type(sent.action).__name__} of version {place} was sent after {latest[sent.action.call_id]}"
        latest[sent.action.call_id] = max(place, latest.get(sent.action.call_id, (0, 0)))


def _place(action: Action) -> tuple[int, int]:
    _, version, index = action.id.rsplit(".", 2)
    return int(version), int(index)


def i14_setters_once(ledgers: Ledgers) -> Wrong:
    """What was done once and answered is not done again: a second request has a doubt, or a death, before it."""
    if ledgers.world.script.struck:
        return
    done = Counter((done.action, done.what, done.call_sid) for done in ledgers.world.phones.done)
    for (action, what, _), times in done.items():
        if times > 1:
            yield f"{what} of {action[-14:]} was done {times} times although nothing went wrong"


def i15_agreement(ledgers: Ledgers) -> Wrong:
    """When everything has healed, Cordboard and Twilio show the same calls, legs and switches."""
    shown = ledgers.run.agreed
    for call_id, call in shown.calls.items():
        lines = shown.lines.get(call_id, {})
        if call.state is CallState.ENDED and lines:
            yield f"{call_id[-8:]} has ended and at Twilio there is still {sorted(lines.values())}"
        if call.state is not CallState.ENDED and not lines:
            yield f"{call_id[-8:]} is {call.state.value} and nobody is left at Twilio"
        if call.state is not CallState.ENDED:
            yield from _same_legs(call, shown.places.get(room_of(call_id), {}))
    for call_id, lines in shown.lines.items():
        if call_id not in shown.calls and lines:
            yield f"{call_id[-8:]} is unknown and at Twilio there is {sorted(lines.values())}"


def _same_legs(call: Call, places: dict[str, tuple[bool, bool, bool]]) -> Wrong:
    ours = {
        leg.leg: (leg.observed.hold, leg.observed.muted, leg.observed.end_on_exit)
        for leg in call.legs
        if leg.state is LegState.JOINED
    }
    if ours != places:
        yield f"{call.call_id[-8:]} {call.state.value}: we see {ours}, Twilio has {places} (hold, muted, end on exit)"
    for leg in call.legs:
        if leg.state is LegState.JOINED and leg.desired != leg.observed:
            yield f"{call.call_id[-8:]}: {leg.leg} is wanted {leg.desired} and seen {leg.observed}"


def i16_never_at_twilio(ledgers: Ledgers) -> Wrong:
    """What Twilio itself has seen go wrong: a transfer whose target is dialled while somebody ends the room."""
    yield from ledgers.world.phones.wrongs


def i17_all_end(ledgers: Ledgers) -> Wrong:
    """When everybody has gone home, every call has ended, with no command left open."""
    by_state: dict[str, list[str]] = defaultdict(list)
    for call in ledgers.calls.values():
        if call.state is not CallState.ENDED:
            by_state[call.state.value].append(call.call_id[-8:])
        elif call.open:
            yield f"{call.call_id[-8:]} has ended with open commands: {[item.name for item in call.open]}"
    for state, calls in by_state.items():
        yield f"still {state} when everybody has gone home: {calls}"


TWILIO_INVARIANTS: tuple[Invariant, ...] = (
    i05_created_once, i06_nothing_after_its_deadline, i07_in_order, i14_setters_once, i15_agreement,
    i16_never_at_twilio, i17_all_end,
)  # fmt: skip

DOUBTFUL = frozenset({Effect.ERROR_AFTER, Effect.RESET_AFTER, Effect.TIMEOUT, Effect.TIMEOUT_AFTER, Effect.DELAY})
