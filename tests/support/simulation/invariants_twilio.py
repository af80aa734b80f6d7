"""The invariants about Twilio's side: what was done there, in what order, and whether both sides agree in the end."""

from collections import Counter, defaultdict

from engine.core.rescues import MOST_ROOMS
from schemas.actions import CREATING, Action, CreateTask, OnDoubt, UpdateParticipant, UpdateReservation, UpdateTask
from schemas.records import ActionReport
from schemas.state import CallState, Direction
from simulation.centre import OVER
from simulation.invariants import Invariant, Wrong
from simulation.ledgers import Ledgers
from simulation.plan import Effect, Where

_TOLERANCE_MS = 100
_MOST_CREATIONS = 2
_LOOKS_TAKE_S = 9.5
_LEFT = frozenset({"customer_left", "abandoned", "hub_ended"})


def i05_created_once(ledgers: Ledgers) -> Wrong:
    """A creation happens once; an agent's device may be dialled once more, after a doubt and all looks in vain."""
    created: dict[str, list[float]] = defaultdict(list)
    for done in ledgers.world.phones.done:
        if done.what == "create":
            created[done.action].append(done.at_s)
    for action_id, times in created.items():
        action = ledgers.actions.get(action_id)
        if not isinstance(action, CREATING):
            yield f"Twilio has created a call for {action_id!r}, which nobody wanted"
            continue
        allowed = _MOST_CREATIONS if action.on_doubt is OnDoubt.RETRY and ledgers.world.script.struck else 1
        if len(times) > allowed:
            yield f"{action.leg} was created {len(times)} times ({action.on_doubt.value}, at most {allowed})"
        elif len(times) > 1 and times[1] - times[0] < _LOOKS_TAKE_S and not _by_a_zombie(ledgers, action_id):
            yield f"{action.leg} was created again after {times[1] - times[0]:.1f} s, before all looks were over"


def _by_a_zombie(ledgers: Ledgers, action_id: str) -> bool:
    return any(sent.doubtful and sent.action.id == action_id for sent in ledgers.world.sent)


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
    yield from ledgers.run.agreed.disagreements()


def i16_never_at_twilio(ledgers: Ledgers) -> Wrong:
    """What Twilio itself has seen go wrong: a transfer whose target is dialled while somebody ends the room."""
    if any(fault.where is Where.REST and fault.effect is Effect.DELAY for fault in ledgers.world.script.struck):
        return  # a request that the network kept may undo what came after it
    for call_id, wrong in ledgers.world.phones.wrongs:
        if not _gave_up_flags(ledgers, call_id):
            yield wrong


def _gave_up_flags(ledgers: Ledgers, call_id: str) -> bool:
    """Whether a request to let the room live was not carried out in time (docs/simulation.md)."""
    failed = {r.action for rs in ledgers.inbox for r in rs if isinstance(r, ActionReport) and r.outcome.value != "done"}
    return any(
        isinstance(action, UpdateParticipant) and action.call_id == call_id and action.end_on_exit is False
        for action_id, action in ledgers.actions.items()
        if action_id in failed
    )


def i17_all_end(ledgers: Ledgers) -> Wrong:
    """When everybody has gone home, every call has ended, with no command left open, and no task at TaskRouter."""
    by_state: dict[str, list[str]] = defaultdict(list)
    for call in ledgers.calls.values():
        if call.state is not CallState.ENDED:
            by_state[call.state.value].append(call.call_id[-8:])
        elif call.open:
            yield f"{call.call_id[-8:]} has ended with open commands: {[item.name for item in call.open]}"
    for state, calls in by_state.items():
        yield f"still {state} when everybody has gone home: {calls}"
    yield from _open_tasks(ledgers)


def _open_tasks(ledgers: Ledgers) -> Wrong:
    """Of a request about a task that was not carried out for sure nobody can say what became of the task."""
    failed = {r.action for rs in ledgers.inbox for r in rs if isinstance(r, ActionReport) and r.outcome.value != "done"}
    about = (CreateTask, UpdateTask, UpdateReservation)
    doubtful = {a.call_id for a in ledgers.actions.values() if isinstance(a, about) and a.id in failed}
    for task in ledgers.world.centre.tasks.values():
        call = str(task.attributes.get("call_id"))
        if task.status not in OVER and call not in doubtful:
            yield f"task {task.attributes.get('task', 'of the queue')} of {call[-8:]} is left {task.status}"


def i20_nobody_is_lost_with_a_room(ledgers: Ledgers) -> Wrong:
    """A caller whose call goes on when the conference is lost comes into another, unless something else goes wrong."""
    if any(fault.where is not Where.ROOM for fault in ledgers.world.script.struck):
        return
    for line, rooms in ledgers.world.phones.thrown_out:
        call = ledgers.calls.get(line.sid)
        if call is None or call.direction is not Direction.INBOUND or line.hung_up or line.rooms > rooms:
            continue
        if call.reason in _LEFT and call.room.generation < MOST_ROOMS:
            yield f"{line.sid[-8:]} has lost its room and is said to have left ({call.reason})"


TWILIO_INVARIANTS: tuple[Invariant, ...] = (
    i05_created_once, i06_nothing_after_its_deadline, i07_in_order, i14_setters_once, i15_agreement,
    i16_never_at_twilio, i17_all_end, i20_nobody_is_lost_with_a_room,
)  # fmt: skip
