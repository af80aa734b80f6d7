"""How the command line prints: tables and lines for people, one JSON document a line for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

_WIDTH = 160


def print_json(documents: Iterable[Any]) -> None:
    """One JSON document a line."""
    for document in documents:
        click.echo(json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table, or the words for none."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 rich costs a tenth of a second: only for who sees a table
    from rich.console import Console  # noqa: PLC0415 as above
    from rich.table import Table  # noqa: PLC0415 as above
    from rich.text import Text  # noqa: PLC0415 as above

    listed = [tuple(row) for row in rows]
    if not listed:
        click.echo(empty)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else _WIDTH
    Console(width=width, highlight=False).print(table)


def clock_time(rfc3339: str | None) -> str:
    """The time of day of an RFC 3339 time in UTC, `10:11:12.345`."""
    return (rfc3339 or "").partition("T")[2].removesuffix("Z")


def event_line(event: Mapping[str, Any]) -> str:
    """An event in one line: when, what, and what changed."""
    name = str(event.get("type", "")).removeprefix("cordboard.event.").removesuffix(".v1")
    name = "result" if name == "cordboard.result" else name
    return f"{clock_time(event.get('time')):<12}  {name:<24}  {words_of(name, event.get('data') or {})}".rstrip()


def words_of(name: str, data: Mapping[str, Any]) -> str:
    """What the data of an event says, in the order in which one reads it."""
    if name == "result":
        return _result(data)
    parts = []
    if data.get("leg"):
        parts.append(str(data["leg"]))
    if data.get("from") or data.get("to"):
        parts.append(f"{data.get('from') or '—'} → {data.get('to') or '—'}")
    told = {"leg", "from", "to", "cause", "role", "room"}
    parts += [f"{key}={value}" for key, value in data.items() if key not in told and value not in (None, "", [], {})]
    if data.get("cause"):
        parts.append(f"⟵ {cause_in_words(str(data['cause']))}")
    return "  ".join(parts)


def _result(data: Mapping[str, Any]) -> str:
    short = str(data.get("command_type", "")).removeprefix("cordboard.command.").removesuffix(".v1")
    parts = [short, str(data.get("outcome", ""))]
    parts += [f"{key}={data[key]}" for key in ("reason", "detail", "state") if data.get(key)]
    if data.get("allowed"):
        parts.append(f"allowed={', '.join(data['allowed'])}")
    return "  ".join([*parts, f"⟵ command {data.get('command_id', '')}"])


def cause_in_words(cause: str) -> str:
    """The id of a record as what it was: ids are derived from what happened, so they can be read."""
    parts = cause.split(".")
    match parts:
        case ["status", _, status, *_]:
            return f"call status {status}"
        case ["conference", _, event, *_]:
            return f"conference event {event}"
        case ["voice", *_]:
            return "incoming call"
        case ["joining", *_]:
            return "leg asked to join"
        case ["timer", _, *name, _]:
            return f"timer {'.'.join(name)}"
        case ["report", *action, outcome]:
            return f"action {'.'.join(action)} {outcome}"
        case ["amd", *_]:
            return "answering-machine detection"
        case _:
            return f"command {cause.partition('|')[2]}" if "|" in cause else cause
