"""How the command line prints: tables and lines for people, one JSON document a line for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from schemas.commands import TYPE_PREFIX, TYPE_SUFFIX
from schemas.intake import command_record_id
from schemas.results import RESULT_TYPE

_WIDTH = 160
_PLAIN = {
    "voice": "incoming call",
    "joining": "leg asked to join",
    "amd": "answering-machine detection",
    "assignment": "TaskRouter assignment",
    "task": "TaskRouter event",
    "enqueue_action": "left the queue",
    "voicemail": "message left",
    "conversation_action": "conversation result",
}


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
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else _WIDTH
    Console(width=width, highlight=False).print(table)


def clock_time(rfc3339: str | None) -> str:
    """The time of day of an RFC 3339 time in UTC, `10:11:12.345`."""
    return (rfc3339 or "").partition("T")[2].removesuffix("Z")


def commands_in(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The commands that these events answer, by the id of the record that each of them was: causes name that one."""
    results = (event["data"] for event in events if event.get("type") == RESULT_TYPE)
    return {command_record_id(data["command_source"], data["command_id"]): _short(data) for data in results}


def event_line(event: Mapping[str, Any], commands: Mapping[str, str] | None = None) -> str:
    """An event in one line: when, what, and what changed. `commands`: see `commands_in`."""
    name = str(event.get("type", "")).removeprefix("cordboard.event.").removesuffix(".v1")
    name = "result" if name == "cordboard.result" else name
    words = _words(name, event.get("data") or {}, commands or {})
    return f"{clock_time(event.get('time')):<12}  {name:<24}  {words}".rstrip()


def _words(name: str, data: Mapping[str, Any], commands: Mapping[str, str]) -> str:
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
        cause = str(data["cause"])
        parts.append(f"⟵ {commands.get(cause) or cause_in_words(cause)}")
    return "  ".join(parts)


def _result(data: Mapping[str, Any]) -> str:
    parts = [_short(data).removeprefix("command "), str(data.get("outcome", ""))]
    parts += [f"{key}={data[key]}" for key in ("reason", "detail", "state") if data.get(key)]
    if data.get("allowed"):
        parts.append(f"allowed={', '.join(data['allowed'])}")
    return "  ".join([*parts, f"⟵ command {data.get('command_id', '')}"])


def _short(data: Mapping[str, Any]) -> str:
    return "command " + str(data.get("command_type", "")).removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX)


def cause_in_words(cause: str) -> str:
    """The id of a record as what it was: ids are derived from what happened, so they can be read."""
    match cause.split("."):
        case ["status", _, status, *_]:
            words = f"call status {status}"
        case ["conference", _, event, *_]:
            words = f"conference event {event}"
        case ["conversation_status", _, status, *_]:
            words = f"conversation {status}"
        case ["timer", _, *name, _]:
            words = f"timer {'.'.join(name)}"
        case ["report", *action, outcome]:
            words = f"action {'.'.join(action)} {outcome}"
        case [one, *_]:
            words = "a command" if one.startswith("command-") else _PLAIN.get(one, cause)
    return words
