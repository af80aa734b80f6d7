"""How a replay is told: a table for every call that differs, one line in the end; or a JSON document for each."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from cordboard.app.output import cause_in_words, clock_time
from cordboard.app.replay.differences import ABSENT, CallReport, Difference
from schemas.times import rfc3339

_SHOWN = 60
_WIDEST = 120


class Summary(msgspec.Struct, frozen=True):
    """What was replayed and how it came out, in numbers. `skipped` calls could not be stepped."""

    calls: int
    records: int
    differing: int
    differences: int
    skipped: int


def summed(reports: Iterable[CallReport]) -> Summary:
    """The numbers of all reports."""
    listed = list(reports)
    return Summary(
        calls=sum(not one.skipped for one in listed),
        records=sum(one.records for one in listed),
        differing=sum(bool(one.differences) for one in listed),
        differences=sum(len(one.differences) for one in listed),
        skipped=sum(bool(one.skipped) for one in listed),
    )


def documents(reports: Iterable[CallReport], summary: Summary) -> Iterator[dict[str, Any]]:
    """For programs: every call, then the summary."""
    yield from (msgspec.to_builtins(report) for report in reports)
    yield {"summary": msgspec.to_builtins(summary)}


def heading(report: CallReport) -> str:
    """The line over the table of a call."""
    since = ", stepped from a recorded state on" if report.resumed else ""
    count = len(report.differences)
    return f"{report.call_id}  {count} difference{'' if count == 1 else 's'} in {report.records} records{since}"


def rows(report: CallReport) -> Iterator[tuple[str, ...]]:
    """The rows of a call's table: when, because of what, and what was then and is now."""
    for one in report.differences[:_SHOWN]:
        at = "" if one.at is None else clock_time(rfc3339(one.at))
        yield at, _cause(one), f"{one.kind.replace('_', ' ')} {one.what}", _short(one.then), _short(one.now)
    left = len(report.differences) - _SHOWN
    if left > 0:
        yield "", "", f"and {left} more: --json has all", "", ""


def ending(summary: Summary) -> str:
    """The last line."""
    skipped = (
        f"; {summary.skipped} calls left out, which began before what the log still holds" if summary.skipped else ""
    )
    what = f"{summary.records} records of {summary.calls} calls replayed"
    if not summary.differing:
        return f"{what}: no difference{skipped}"
    return f"{what}: {summary.differing} calls differ, {summary.differences} differences{skipped}"


def _cause(one: Difference) -> str:
    return "" if one.cause is None else cause_in_words(one.cause)


def _short(value: str | None) -> str:
    if value is None:
        return ABSENT
    return value if len(value) <= _WIDEST else f"{value[:_WIDEST]}…"
