"""What the engine's shell remembers of refused commands, for who replays an inbox without a shell."""

from engine.core.effects import Park, Step
from engine.refusals import Refusals
from schemas.records import Command


def remember(refusals: Refusals, command: Command, step: Step) -> None:
    """What the shell remembers of a command that found no call."""
    if command.parked:
        refusals.drop(command)
    elif any(isinstance(effect, Park) for effect in step.effects):
        refusals.add(command)
