"""Judging a run by invariants: what each of them finds, a few of each."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import msgspec

from checker.ledgers import Ledgers
from checker.log_rules import LOG_RULES, Invariant, Wrong
from checker.twilio_rules import TWILIO_RULES

RULES: tuple[Invariant, ...] = (*LOG_RULES, *TWILIO_RULES)
"""Those that hold wherever the real code runs."""
_MOST = 5
_LedgersT = TypeVar("_LedgersT", bound=Ledgers)


class Violation(msgspec.Struct, frozen=True):
    """One thing that is wrong: the invariant's name and what it found."""

    invariant: str
    what: str


def violations(ledgers: _LedgersT, rules: Iterable[Callable[[_LedgersT], Wrong]]) -> Iterator[Violation]:
    """What is wrong by these rules, a few of each kind."""
    for rule in rules:
        for what in islice(rule(ledgers), _MOST):
            yield Violation(rule.__name__, what)
