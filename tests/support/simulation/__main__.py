"""`make simulate SEEDS=…`: run seeds, with a progress bar, and tell the shortest story of each that fails.

SEEDS is a number (`17`), or a range (`0-2000`, the last one not included).
"""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulation.draw import draw
from simulation.judging import Violation, judge
from simulation.running import carry_out
from simulation.shrink import judged, shrink
from simulation.story import story

_CHUNK = 25
_MOST_STORIES = 5


def main(arguments: Sequence[str]) -> int:
    """Run; 0 when every seed is good, 1 when one is not, 2 for wrong usage."""
    console = Console(stderr=True)
    try:
        seeds = seeds_of(arguments[0] if arguments else "0-2000")
    except ValueError as error:
        console.print(f"SEEDS: {error}", markup=False)
        return 2
    bad = list(_failing(seeds, console))
    for seed in bad[:_MOST_STORIES]:
        _tell(seed, console)
    console.print(f"{len(seeds)} seeds, {len(bad)} bad{': ' if bad else ''}{' '.join(map(str, bad))}", markup=False)
    return 1 if bad else 0


def seeds_of(text: str) -> range:
    """The seeds that a text names. Raises `ValueError`."""
    first, dash, end = text.partition("-")
    if not first.isdigit() or (dash and not end.isdigit()):
        raise ValueError(f"{text!r}: expected a seed such as 17, or a range such as 0-2000")
    return range(int(first), int(end) if dash else int(first) + 1)


def run_seed(seed: int) -> Sequence[Violation]:
    """Carry a seed out and judge it."""
    return judge(carry_out(draw(seed)))


def _failing(seeds: range, console: Console) -> Iterator[int]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[bad]} bad"), TimeRemainingColumn())
    bad = 0
    with Progress(*columns, console=console) as progress, ProcessPoolExecutor(os.cpu_count()) as pool:
        task = progress.add_task("seeds", total=len(seeds), bad=0)
        for seed, failed in zip(seeds, pool.map(_is_bad, seeds, chunksize=_CHUNK), strict=True):
            bad += failed
            progress.update(task, advance=1, bad=bad)
            if failed:
                yield seed


def _is_bad(seed: int) -> bool:
    return bool(run_seed(seed))


def _tell(seed: int, console: Console) -> None:
    plan = draw(seed)
    smallest = shrink(plan, judged(plan))
    run = carry_out(smallest)
    console.print(story(smallest, judge(run), run), markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
