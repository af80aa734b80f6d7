"""Every seed is a run of the whole system with something going wrong in it, and every run keeps every promise."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from simulation.__main__ import run_seed, seeds_of
from simulation.draw import draw
from simulation.judging import judge
from simulation.running import carry_out
from simulation.shrink import shrink
from simulation.story import story

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2000"))
_ROOT = Path(__file__).parents[2]
# What a process had begun when it was killed is never awaited: that is the point.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Leave nothing of a killed process for the next test to be warned of."""
    yield
    gc.collect()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_promise_is_kept_whatever_goes_wrong() -> None:
    """The twelve invariants hold in thousands of runs; a failure comes with the shortest story that could be found."""
    seeds = range(SEEDS)
    with ProcessPoolExecutor(2) as pool:
        found = pool.map(run_seed, seeds, chunksize=50)
        bad = [seed for seed, violations in zip(seeds, found, strict=True) if violations]
    if bad:
        plan = draw(bad[0])
        smallest = shrink(plan, judge(carry_out(plan)))
        run = carry_out(smallest)
        pytest.fail(f"bad seeds: {bad}\n{story(smallest, judge(run), run)}", pytrace=False)


@pytest.mark.parametrize("seed", range(25))
def test_a_few_seeds_at_once(seed: int) -> None:
    """The first seeds, one by one, for `make fast`."""
    violations = run_seed(seed)
    assert not violations, story(draw(seed), violations)


@pytest.mark.parametrize("seed", [3, 47])
def test_a_seed_is_the_same_run_every_time(seed: int) -> None:
    """The whole history of a run, to the last byte and millisecond, follows from the seed."""
    assert carry_out(draw(seed)).digest() == carry_out(draw(seed)).digest()


def test_a_seed_is_the_same_run_in_every_process() -> None:
    """Neither the order of sets nor anything else of the process leaks into a run."""
    code = "from simulation import draw, running; print(running.carry_out(draw.draw(47)).digest())"
    paths = f"{_ROOT}{os.pathsep}{_ROOT / 'tests' / 'support'}"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }  # fmt: skip
    assert digests == {carry_out(draw(47)).digest() + "\n"}


def test_different_seeds_are_different_runs() -> None:
    """A digest that was the same for all would prove nothing."""
    assert len({carry_out(draw(seed)).digest() for seed in range(10)}) == 10


def test_seeds_are_named_by_number_or_range() -> None:
    """`make simulate` says what it expects."""
    assert seeds_of("17") == range(17, 18)
    assert seeds_of("0-2000") == range(2000)
    with pytest.raises(ValueError, match="expected a seed"):
        seeds_of("all")
