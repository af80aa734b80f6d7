"""A deliberate bug about workers that stand still; see `bugs`."""

from collections.abc import Sequence

from actions import worker
from cordboard.log.stall import StallGuard
from simulation.plan import Effect, Fault, Where

Patch = tuple[object, str, object]
SLEEPS = tuple(
    Fault(Where.LOG, Effect.PAUSE_AFTER, nth, seconds=12.8, on="append", topic="call.ledger") for nth in range(1, 4)
)
"""Its worker stands still when an intent has just been written, until a successor has looked for it and dialled."""


class _NeverStill(StallGuard):
    @property
    def stood_still(self) -> bool:
        return False


def sends_after_sleeping() -> Sequence[Patch]:
    """A request leaves although its worker has stood still since the intent was written."""
    return [(worker, "StallGuard", _NeverStill)]
