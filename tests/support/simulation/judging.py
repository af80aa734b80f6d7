"""Judging a simulated run by every invariant."""

from collections.abc import Sequence

from checker.judging import RULES, Violation, violations
from simulation.evidence import SimulatedLedgers
from simulation.running import Run
from simulation.seams import scaled
from simulation.seen_at_twilio import SIMULATION_RULES

__all__ = ["Violation", "judge"]


def judge(run: Run) -> Sequence[Violation]:
    """Everything that is wrong with a run, a few of each kind."""
    ledgers = SimulatedLedgers(run)
    with scaled(run.world.plan):
        return [*violations(ledgers, RULES), *violations(ledgers, SIMULATION_RULES)]
