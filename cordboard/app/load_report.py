"""How `cordboard emulator load` shows its course and its result."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cordboard.app.output import print_table
from emulator.load import Course
from emulator.scenario import Load
from emulator.statistics import Tally

_LINE_S = 5.0
_DOCUMENTS = frozenset({"twiml", "wait-music", "hold-music", "announcement", "queue-music", "whisper"})


@contextmanager
def progress(calls: int) -> Iterator[Callable[[Course], None]]:
    """A bar on a terminal, else a line on stderr now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("calls begun, {task.fields[said]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=calls, said="")
        yield lambda course: bar.update(task, completed=course.started, said=_said(course))


class _Lines:
    """Tells at most one line in five seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_S

    def __call__(self, course: Course) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_S
            click.echo(f"{course.started} of {course.calls} calls begun, {_said(course)}", err=True)


def _said(course: Course) -> str:
    failed = sum(tally.count for key, tally in course.found.requests.items() if not _good(key))
    return f"{course.ended()} ended, {failed} requests failed"


def _good(key: str) -> bool:
    return key.rpartition(" ")[2][:1] in {"2", "3"}


def report(load: Load, course: Course) -> int:
    """Print what became of the calls; returns the exit code, 1 when one did not begin or did not end."""
    ended = course.ended()
    took = f"{course.seconds:.1f} s"
    if abs(course.seconds - course.real_s) > 1.0:
        took += f" of virtual time, {course.real_s:.1f} s of real time"
    click.echo(
        f"{course.started} of {course.calls} calls begun ({load.arrivals}, {load.rate:g}/s, seed {load.seed}), "
        f"{ended} ended, in {took}"
    )
    print_table(("calls", "count"), _calls(course), empty="No call.")
    print_table(
        ("requests to the application", "answer", "count", "p50 ms", "p99 ms"),
        [row for key, tally in sorted(course.found.requests.items()) for row in (_request(key, tally),)],
        empty="Nothing was asked of the application.",
    )
    print_table(
        ("REST requests", "answer", "count", "p50 ms", "p99 ms"),
        [(*key.split(" "), *_figures(tally)) for key, tally in sorted(course.found.rest.items())],
        empty="No REST request came.",
    )
    for reason, count in course.refused.most_common(5):
        click.echo(f"{count} calls could not begin: {reason}", err=True)
    if ended < course.started:
        click.echo(f"{course.started - ended} calls go on: wait longer with --drain", err=True)
    sys.stdout.flush()
    return 0 if course.started == course.calls and ended >= course.started else 1


def _calls(course: Course) -> list[tuple[str, str]]:
    rows = [(f"begun, {name}", str(count)) for name, count in sorted(course.by_caller.items())]
    rows += [(key, str(count)) for key, count in sorted(course.found.calls.items())]
    late = course.lateness.percentile_s(99)
    if late is not None and course.seconds <= course.real_s + 1.0:
        rows.append(("p99 behind their time, ms", f"{late * 1000:.1f}"))
    return rows


def _request(key: str, tally: Tally) -> tuple[str, ...]:
    kind, _, outcome = key.rpartition(" ")
    name = f"{kind} document" if kind in _DOCUMENTS else f"{kind} callback"
    return (name, outcome, *_figures(tally))


def _figures(tally: Tally) -> tuple[str, str, str]:
    percentiles = [tally.percentile_s(percent) or 0.0 for percent in (50, 99)]
    return (str(tally.count), *(f"{seconds * 1000:.1f}" for seconds in percentiles))  # type: ignore[return-value]
