"""The invariants about Twilio's side: what was done there, in what order, and whether both sides agree in the end."""

from collections import defaultdict

from checker.ledgers import Ledgers
from checker.log_rules import Invariant, Wrong
from schemas.actions import CREATING, Action, CreateTask, OnDoubt, UpdateReservation, UpdateTask
from schemas.records import ActionReport
from schemas.state import CallState

_TOLERANCE_MS = 100
_MOST_CREATIONS = 2
_LOOKS_TAKE_S = 9.5


def i05_created_once(ledgers: Ledgers) -> Wrong:
    """A creation happens once; an agent's device may be dialled once more, after a doubt and all looks in vain."""
    for action_id, times in ledgers.created.items():
        action = ledgers.actions.get(action_id)
        if not isinstance(action, CREATING):
            yield f"Twilio has created a call for {action_id!r}, which nobody wanted"
            continue
        allowed = _MOST_CREATIONS if action.on_doubt is OnDoubt.RETRY and not ledgers.quiet else 1
        if len(times) > allowed:
            yield f"{action.leg} was created {len(times)} times ({action.on_doubt.value}, at most {allowed})"
        elif len(times) > 1 and times[1] - times[0] < _LOOKS_TAKE_S and not ledgers.may_have_slept(action_id):
            yield f"{action.leg} was created again after {times[1] - times[0]:.1f} s, before all looks were over"


def i06_nothing_after_its_deadline(ledgers: Ledgers) -> Wrong:
    """No request begins after the deadline of its action."""
    for sent in ledgers.sent:
        late_ms = sent.at_ms - sent.action.deadline
        if late_ms > _TOLERANCE_MS:
            yield f"{type(sent.action).__name__} was sent {late_ms} ms after its deadline"


def i07_in_order(ledgers: Ledgers) -> Wrong:
    """The requests of a call are made in the order of its versions, by whoever owns it."""
    latest: dict[str, tuple[int, int]] = {}
    for sent in ledgers.sent:
        if sent.doubtful:
            continue
        place = _place(sent.action)
        if place < latest.get(sent.action.call_id, (0, 0)):
            yield f"{type(sent.action).__name__} of version {place} was sent after {latest[sent.action.call_id]}"
        latest[sent.action.call_id] = max(place, latest.get(sent.action.call_id, (0, 0)))


def _place(action: Action) -> tuple[int, int]:
    _, version, index = action.id.rsplit(".", 2)
    return int(version), int(index)


def i15_agreement(ledgers: Ledgers) -> Wrong:
    """When everything has healed, Cordboard and Twilio show the same calls, legs and switches."""
    yield from ledgers.disagreements()


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


def i17_no_task_is_left(ledgers: Ledgers) -> Wrong:
    """No task is left open at TaskRouter.

    Of a request about a task that was not carried out for sure nobody can say what became of the task.
    """
    about = (CreateTask, UpdateTask, UpdateReservation)
    failed = not_carried_out(ledgers)
    doubtful = {a.call_id for a in ledgers.actions.values() if isinstance(a, about) and a.id in failed}
    for task in ledgers.open_tasks:
        if task.call_id not in doubtful:
            yield f"task {task.name} of {task.call_id[-8:]} is left {task.status}"


def not_carried_out(ledgers: Ledgers) -> set[str]:
    """Actions that were not carried out for sure."""
    reports = (r for records in ledgers.inbox.values() for r in records if isinstance(r, ActionReport))
    return {report.action for report in reports if report.outcome.value != "done"}


TWILIO_RULES: tuple[Invariant, ...] = (
    i05_created_once, i06_nothing_after_its_deadline, i07_in_order, i15_agreement, i17_all_end,
    i17_no_task_is_left,
)  # fmt: skip
