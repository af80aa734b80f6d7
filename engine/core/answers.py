"""Commands that were taken and are not answered yet, and the one answer that each gets.

What a command waits for is asked of the state after every record, so the order in which facts arrive does not matter.
"""

from collections.abc import Callable, Sequence

from engine.core import advice, awaited, consults, tasks
from engine.core.effects import Reply
from engine.core.legs import is_over
from engine.core.tables import transfers
from engine.core.tables.commands import NEVER
from engine.core.turn import Turn
from schemas.answers import Answer
from schemas.ids import command_key, result_id
from schemas.records import Command
from schemas.results import Outcome, Result
from schemas.state import Call, CallState, Leg, LegState, OpenCommand, TransferState
from schemas.task_states import TaskState

MOST_ANSWERS = 64

Verdict = tuple[Outcome, str | None] | None
_APPLIED: Verdict = (Outcome.APPLIED, None)
_TRANSFER_OVER = frozenset(TransferState(state) for state in transfers.TERMINAL)
_DOUBTFUL = {"create_unknown": Outcome.UNKNOWN, "expired": Outcome.EXPIRED}


def open_command(
    turn: Turn, command: Command, leg: str | None = None, action: str | None = None, *, task: str | None = None
) -> None:
    """Take a command; it is answered when the effect on `leg` is observed, or `action` has failed."""
    opened = OpenCommand(
        command_key(command.command_source, command.command_id), command.command_id, command.command_source,
        command.command_type, command.name, leg, action, task,
    )  # fmt: skip
    turn.set(open=(*turn.call.open, opened))


def applied(turn: Turn, command: Command, detail: str | None = None) -> None:
    """Answer at once that it is done."""
    _reply(turn, command, Outcome.APPLIED, detail=detail)


def rejected(turn: Turn, command: Command, reason: str, detail: str | None = None) -> None:
    """Answer that it is not allowed, with what is."""
    _reply(turn, command, Outcome.REJECTED, reason=reason, detail=detail or advice.on(turn, reason))


def expired(turn: Turn, command: Command) -> None:
    """Answer that its time was over before it could begin."""
    _reply(turn, command, Outcome.EXPIRED, reason="deadline")


def _reply(
    turn: Turn, command: Command | OpenCommand, outcome: Outcome, reason: str | None = None, detail: str | None = None
) -> None:
    state = turn.call.state.value
    allowed = advice.allowed(turn) if outcome is Outcome.REJECTED else ()
    key = command_key(command.command_source, command.command_id)
    answer = Answer(key, outcome.value, reason, state, allowed, detail)
    turn.set(answers=(*turn.call.answers, answer)[-MOST_ANSWERS:])
    turn.effects.append(_result(command, answer, replayed=False))


def _result(command: Command | OpenCommand, answer: Answer, *, replayed: bool) -> Reply:
    return Reply(
        result_id(command.command_source, command.command_id),
        Result(
            command_id=command.command_id, command_source=command.command_source, command_type=command.command_type,
            outcome=Outcome(answer.outcome), reason=answer.reason, state=answer.state, allowed=answer.allowed,
            replayed=replayed, detail=answer.detail,
        ),
    )  # fmt: skip


def unknown_call(command: Command) -> Reply:
    """The answer to a command for a call that is not there."""
    return _result(command, _unknown(command), replayed=False)


def _unknown(command: Command) -> Answer:
    key = command_key(command.command_source, command.command_id)
    reason = "invalid" if command.invalid is not None else "unknown_call"
    return Answer(key, Outcome.REJECTED.value, reason, None, NEVER, command.invalid)


def remember(turn: Turn, refused: Sequence[Command]) -> None:
    """The call begins with the answers that were given when it was not there."""
    if refused:
        turn.set(answers=(*map(_unknown, refused), *turn.call.answers)[-MOST_ANSWERS:])


def refused(command: Command, reason: str, detail: str) -> Reply:
    """The answer to a command that begins no call."""
    return _result(command, Answer("", Outcome.REJECTED.value, reason, None, NEVER, detail), replayed=False)


def repeated(turn: Turn, command: Command) -> bool:
    """Whether this command was given before; if it was answered, the same answer goes out again."""
    key = command_key(command.command_source, command.command_id)
    if any(item.key == key for item in turn.call.open):
        turn.ignore("duplicate", f"command.{command.name}")
        return True
    given = next((item for item in turn.call.answers if item.key == key), None)
    if given is not None:
        turn.effects.append(_result(command, given, replayed=True))
    return given is not None


def settle(turn: Turn) -> None:
    """Answer every open command whose effect has been reached or cannot be any more."""
    for opened in turn.call.open:
        verdict = _verdict(turn, opened)
        if verdict is not None:
            turn.set(open=tuple(item for item in turn.call.open if item is not opened))
            _reply(turn, opened, *verdict)


def _verdict(turn: Turn, opened: OpenCommand) -> Verdict:
    verdict = _WAITS[opened.name](turn, opened)
    if verdict is None and turn.call.state is CallState.ENDED and not _pending(turn.call, opened.action):
        return Outcome.FAILED, "call_ended"
    return verdict


def _pending(call: Call, action: str | None) -> bool:
    return action is not None and any(item.action.id == action for item in call.pending)


def _worker_joined(turn: Turn, task_id: str) -> Verdict:
    task = tasks.find(turn, task_id)
    if task is None or task.state in {TaskState.CANCELED, TaskState.FAILED}:
        return Outcome.FAILED, (task.reason if task is not None else None) or "failed"
    return _APPLIED if task.state in {TaskState.ASSIGNED, TaskState.COMPLETED} else None


def _leg_joined(turn: Turn, opened: OpenCommand) -> Verdict:
    if opened.task is not None:
        return _worker_joined(turn, opened.task)
    leg = turn.leg(opened.leg or "")
    if leg.state is LegState.JOINED or (leg.joined_at is not None and leg.state is LegState.LEFT):
        return _APPLIED
    return _failed(leg) if is_over(leg) or leg.state is LegState.LEAVING else None


def _failed(leg: Leg) -> Verdict:
    return _DOUBTFUL.get(leg.detail or "", Outcome.FAILED), leg.reason or "failed"


def _customer_joined(turn: Turn, opened: OpenCommand) -> Verdict:
    customer = turn.customer
    if customer is not None and customer.joined_at is not None:
        return _APPLIED
    if customer is not None and is_over(customer):
        return _failed(customer)
    agent = turn.leg(opened.leg or "")
    return _failed(agent) if is_over(agent) else None


def _switched(switch: str, *, to: bool) -> Callable[[Turn, OpenCommand], Verdict]:
    def verdict(turn: Turn, opened: OpenCommand) -> Verdict:
        leg = turn.leg(opened.leg or "")
        if leg.state is not LegState.JOINED:
            return Outcome.FAILED, "leg_left"
        if getattr(leg.observed, switch) is to and getattr(leg.desired, switch) is to:
            return _APPLIED
        return None if getattr(leg.desired, switch) is to else (Outcome.FAILED, "not_confirmed")

    return verdict


def _gone(turn: Turn, opened: OpenCommand) -> Verdict:
    return _APPLIED if is_over(turn.leg(opened.leg or "")) else None


def _transferred(turn: Turn, opened: OpenCommand) -> Verdict:
    transfer = turn.call.transfer
    if transfer is None or transfer.command != opened.key:
        return Outcome.FAILED, "superseded"
    if transfer.state not in _TRANSFER_OVER:
        return None
    if transfer.state is TransferState.COMPLETED:
        return _APPLIED
    return Outcome.FAILED, transfer.reason or transfer.state.value


def _cancelled(turn: Turn, opened: OpenCommand) -> Verdict:
    transfer = turn.call.transfer
    over = transfer is None or transfer.state in _TRANSFER_OVER
    if not over:
        return None
    completed = transfer is not None and transfer.state is TransferState.COMPLETED
    return (Outcome.FAILED, "too_late") if completed else _APPLIED


def _completed(turn: Turn, opened: OpenCommand) -> Verdict:
    transfer = turn.call.transfer
    if transfer is not None and transfer.state is TransferState.COMPLETED:
        return _APPLIED
    over = transfer is None or transfer.state in _TRANSFER_OVER
    return (Outcome.FAILED, (transfer.reason or transfer.state.value) if transfer else opened.name) if over else None


def _steered(
    reached: Callable[[Turn], bool], states: frozenset[TransferState]
) -> Callable[[Turn, OpenCommand], Verdict]:
    def verdict(turn: Turn, opened: OpenCommand) -> Verdict:
        transfer = turn.call.transfer
        if transfer is None or transfer.state not in states:
            return Outcome.FAILED, transfer.state.value if transfer is not None else "no_such_transfer"
        return _APPLIED if reached(turn) else None

    return verdict


def _announced(turn: Turn, opened: OpenCommand) -> Verdict:
    return None if _pending(turn.call, opened.action) else _APPLIED


def _ended(turn: Turn, opened: OpenCommand) -> Verdict:
    return _APPLIED if turn.call.state is CallState.ENDED else None


def fail_action(turn: Turn, action: str, outcome: Outcome, reason: str) -> None:
    """An action that a command waited for did not succeed."""
    for opened in turn.call.open:
        if opened.action == action:
            turn.set(open=tuple(item for item in turn.call.open if item is not opened))
            _reply(turn, opened, outcome, reason=reason)


_WAITS: dict[str, Callable[[Turn, OpenCommand], Verdict]] = {
    "call.dial": _customer_joined,
    "call.connect": _leg_joined,
    "call.add": _leg_joined,
    "call.remove": _gone,
    "call.hold": _switched("hold", to=True),
    "call.resume": _switched("hold", to=False),
    "call.mute": _switched("muted", to=True),
    "call.unmute": _switched("muted", to=False),
    "call.transfer": _transferred,
    "transfer.complete": _completed,
    "transfer.cancel": _cancelled,
    "transfer.swap": _steered(
        consults.swapped_quietly, frozenset({TransferState.SWAPPED, TransferState.CONSULTING, TransferState.DIALING})
    ),
    "transfer.merge": _steered(consults.merged, frozenset({TransferState.THREE_WAY})),
    "call.announce": _announced,
    "call.supervise": awaited.mode_reached,
    "supervision.switch": awaited.mode_reached,
    "supervision.leave": awaited.supervisor_gone,
    "supervision.takeover": awaited.taken_over,
    "recording.start": awaited.recording_began,
    "recording.pause": awaited.recording_paused,
    "recording.resume": awaited.recording_resumed,
    "recording.stop": awaited.recording_stopped,
    "call.end": _ended,
}
