"""The simulation counts only because it catches deliberate bugs: each one alone, within a bounded number of seeds."""

import gc
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from simulation.bugs import BUGS, Bug, planted
from simulation.draw import draw
from simulation.judging import Violation, judge
from simulation.running import carry_out
from simulation.shrink import shrink
from simulation.story import story

MOST_SEEDS = 600
# What a process had begun when it was killed is never awaited: that is the point.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Leave nothing of a killed process for the next test to be warned of."""
    yield
    gc.collect()


def _caught(bug: Bug) -> tuple[int, Violation] | None:
    """The first seed at which one of the invariants that must object does."""
    for seed in range(MOST_SEEDS):
        plan = draw(seed)
        with planted(bug):
            violations = judge(carry_out(replace(plan, faults=(*plan.faults, *bug.faults))))
        objection = next((v for v in violations if v.invariant.startswith(bug.caught_by)), None)
        if objection is not None:
            return seed, objection
    return None


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_every_planted_bug_is_caught(bug: Bug) -> None:
    """A bug that somebody might write is found, and by the invariant that is there for it."""
    assert _caught(bug) is not None, f"{bug.name} was not caught in {MOST_SEEDS} seeds"


def test_there_are_enough_of_them() -> None:
    """Twelve at least, none of them twice."""
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 12


@pytest.mark.slow
def test_a_failure_is_told_by_the_shortest_story_found() -> None:
    """Shrinking leaves out what does not matter: a lost event needs few calls and hardly a fault."""
    bug = next(bug for bug in BUGS if bug.name == "outbox_not_published_again")
    with planted(bug):
        seed, objection = _caught(bug) or pytest.fail("not caught")
        plan = draw(seed)
        smallest = shrink(plan, [objection])
        run = carry_out(smallest)
        told = story(smallest, judge(run), run)
    assert len(smallest.calls) <= min(2, len(plan.calls))
    assert len(smallest.faults) <= min(2, len(plan.faults))
    assert f"WRONG {objection.invariant}" in told
    assert f"make simulate SEEDS={seed}" in told
