"""Judging a chaos run by the invariants that hold wherever the real code runs, partition by partition."""

from collections.abc import Callable

from chaos.evidence import ChaosLedgers, Evidence
from checker.judging import RULES, Violation, violations

_MOST = 20


def judge(evidence: Evidence, say: Callable[[str], None]) -> list[Violation]:
    """Everything that is wrong, a few of each kind."""
    found = list(violations(ChaosLedgers(evidence, None), RULES))
    for partition in range(evidence.facts.partitions):
        say(f"judging partition {partition + 1} of {evidence.facts.partitions}")
        found.extend(violations(ChaosLedgers(evidence, partition), RULES))
    return found[:_MOST]
