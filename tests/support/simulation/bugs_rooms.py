"""Deliberate bugs about rooms that are lost and commands that came before their call; see `bugs`."""

from collections.abc import Sequence

from engine.core import answers, rescues
from simulation.plan import Effect, Fault, Where

Patch = tuple[object, str, object]
LOST = tuple(Fault(Where.ROOM, Effect.ENDS, at_s=at_s) for at_s in (4.0, 9.0, 14.0))
"""The first call loses its room three times."""
LATE = (Fault(Where.LOG, Effect.DELAY, 1, seconds=3.0, on="publish", topic="call.inbox"),)
"""What begins the first call is long on its way, and commands for it are not."""


def refused_again_is_carried_out() -> Sequence[Patch]:
    """A call does not learn what was refused before it began."""
    return [(answers, "remember", lambda *_: None)]


def nobody_is_rescued() -> Sequence[Patch]:
    """A lost conference is taken for one that its people have left."""
    return [(rescues, "lost_with", lambda *_: False), (rescues, "lost_by", lambda *_: False)]
