"""Judging a run by every invariant."""

from collections.abc import Sequence
from itertools import islice

import msgspec

from simulation.invariants import LOG_INVARIANTS
from simulation.invariants_twilio import TWILIO_INVARIANTS
from simulation.ledgers import Ledgers
from simulation.running import Run
from simulation.seams import scaled

_MOST = 5


class Violation(msgspec.Struct, frozen=True):
    """One thing that is wrong: the invariant's name and what it found."""

    invariant: str
    what: str


def judge(run: Run) -> Sequence[Violation]:
    """Everything that is wrong with a run, a few of each kind."""
    ledgers = Ledgers(run)
    found: list[Violation] = []
    with scaled(run.world.plan):
        for invariant in (*LOG_INVARIANTS, *TWILIO_INVARIANTS):
            wrongs = islice(invariant(ledgers), _MOST)
            found.extend(Violation(invariant.__name__, what) for what in wrongs)
    return found
