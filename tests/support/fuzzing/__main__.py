"""`make fuzz CASES=…`: damaged input of every kind, on all cores, with a progress bar.

CASES is a number of cases (`1000000`), a range (`1000000-2000000`), or one case (`forms:123`), which is then shown with
its whole traceback.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fuzzing.mutation import random_of
from fuzzing.surfaces import SURFACES
from fuzzing.wire import wire

SHARES = {
    "forms": 20, "signatures": 20, "commands": 20, "targets": 10,
    "webhooks": 16, "documents": 6, "policies": 2, "wire": 6,
}  # fmt: skip
"""Cases of each surface in a hundred."""
_CHUNK = 2000
_MOST_SHOWN = 20


def main(arguments: Sequence[str]) -> int:
    """Run; 0 when every case is good, 1 when one is not, 2 for wrong usage."""
    console = Console(stderr=True)
    text = arguments[0] if arguments else "100000"
    try:
        if ":" in text:
            found = run_one(text)
            console.print("\n".join(found) or "good", markup=False)
            return 1 if found else 0
        cases = cases_of(text)
    except ValueError as error:
        console.print(f"CASES: {error}", markup=False)
        return 2
    bad = list(_failures(list(chunks(cases)), console))
    for failure in bad[:_MOST_SHOWN]:
        console.print(failure, markup=False, highlight=False)
    console.print(f"{len(cases)} cases, {len(bad)} bad", markup=False)
    return 1 if bad else 0


def cases_of(text: str) -> range:
    """The cases that a text names. Raises `ValueError`."""
    first, dash, end = text.partition("-")
    if not first.isdigit() or (dash and not end.isdigit()):
        raise ValueError(f"{text!r}: expected 100000, a range such as 100000-200000, or one case such as forms:17")
    return range(int(first), int(end)) if dash else range(int(first))


def chunks(cases: range) -> Iterator[tuple[str, range]]:
    """The cases by surface, in portions: each surface gets its share of the numbers."""
    for surface, share in SHARES.items():
        numbers = range(cases.start * share // 100, cases.stop * share // 100)
        for begin in range(numbers.start, numbers.stop, _CHUNK):
            yield surface, range(begin, min(begin + _CHUNK, numbers.stop))


def run_chunk(chunk: tuple[str, range]) -> list[str]:
    """What went wrong, a line a case."""
    surface, numbers = chunk
    if surface == "wire":
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        return asyncio.run(wire(numbers))
    wrong = []
    for number in numbers:
        try:
            SURFACES[surface](random_of(f"{surface}:{number}"))
        except Exception as error:  # noqa: BLE001 - that nothing is raised is what is tested
            wrong.append(f"{surface}:{number}: {type(error).__name__}: {str(error)[:300]}")
    return wrong


def run_one(case: str) -> list[str]:
    """One case, for who looks for its cause. Raises what it raises, and `ValueError` for a case that cannot be."""
    surface, _, number = case.partition(":")
    if surface not in SHARES or not number.isdigit():
        raise ValueError(f"{case!r}: expected a surface and a number; surfaces are {', '.join(SHARES)}")
    if surface == "wire":
        return asyncio.run(wire([int(number)]))
    SURFACES[surface](random_of(case))
    return []


def _failures(portions: list[tuple[str, range]], console: Console) -> Iterator[str]:
    columns = (TextColumn("{task.fields[surface]:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, ProcessPoolExecutor(os.cpu_count()) as pool:
        task = progress.add_task("cases", total=sum(len(numbers) for _, numbers in portions), surface="")
        for (surface, numbers), wrong in zip(portions, pool.map(run_chunk, portions), strict=True):
            progress.update(task, advance=len(numbers), surface=surface)
            yield from wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
