"""`call.connect` and `call.add`: bring somebody into the call."""

from engine.core import answers, tasks
from engine.core.assistants import fits
from engine.core.dialling import dial, role_of
from engine.core.turn import Turn
from schemas.commands import Add, Connect
from schemas.prompts import Prompt, prompt_of
from schemas.records import Command
from schemas.state import Role
from schemas.targets import TargetKind, parse_target


def connect(turn: Turn, command: Command, data: Connect) -> None:
    """Dial an agent; answered when the leg has joined or cannot."""
    whisper = data.whisper or prompt_of(turn.call.policy.whisper)
    _bring(turn, command, role_of(data.to), data.to, data.from_, data.ring_timeout_s, whisper)


def add(turn: Turn, command: Command, data: Add) -> None:
    """Dial anybody else: an AI agent for an `app:` target, a third party for the rest, unless a role is given."""
    is_app = parse_target(data.to).kind is TargetKind.APP
    role = Role(data.role.value) if data.role is not None else (Role.AI if is_app else Role.THIRD)
    _bring(turn, command, role, data.to, data.from_, data.ring_timeout_s, None)


def _bring(
    turn: Turn,
    command: Command,
    role: Role,
    to: str,
    from_: str | None,
    ring_timeout_s: int | None,
    whisper: Prompt | None,
) -> None:
    if tasks.queued(turn):
        answers.rejected(
            turn, command, "caller_in_queue", "TaskRouter's queue: nobody else can be brought to the caller"
        )
        return
    queue = tasks.queue_of(to)
    if queue is not None and not turn.config.queues:
        answers.rejected(turn, command, "taskrouter_not_configured")
        return
    if queue is not None:
        task = tasks.search(turn, role, queue, whisper=whisper, from_=from_, ring_timeout_s=ring_timeout_s)
        answers.open_command(turn, command, task=task)
        return
    if not fits((to,), turn.call.call_id, turn.call.context):
        answers.rejected(turn, command, "context_too_large")
        return
    leg = dial(turn, role, to, from_=from_, ring_timeout_s=ring_timeout_s, whisper=whisper)
    answers.open_command(turn, command, leg)
