"""What the services have logged, read once: what the checker and the report need of it."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from checker.ledgers import BROKEN

_NUMBER = b"+1555"


class Said(msgspec.Struct):
    """Counts, and the lines that matter."""

    events: Counter[str]
    assigned: Counter[tuple[str, int]]
    """How often each partition of a topic was assigned to somebody."""
    broken: list[str]
    """Events that must never be said."""
    numbered: list[str]
    """Lines in which there may be somebody's number."""
    tracebacks: int


def read_said(files: Iterable[Path]) -> Said:
    """Read the log files. Lines that are no JSON (a process was killed in the middle of one) count as `unreadable`."""
    said = Said(Counter(), Counter(), [], [], 0)
    for file in files:
        with file.open("rb") as lines:
            for line in lines:
                _read(said, line)
    return said


def _read(said: Said, line: bytes) -> None:
    if _NUMBER in line:
        said.numbered.append(line.decode(errors="replace"))
    try:
        entry: dict[str, Any] = msgspec.json.decode(line)
        event = str(entry["event"])
    except (msgspec.DecodeError, KeyError, TypeError):
        said.events["unreadable"] += 1
        said.tracebacks += line.startswith(b"Traceback")
        return
    said.events[event] += 1
    if event == "ownership.assigned":
        said.assigned.update((entry["topic"], partition) for partition in entry["partitions"])
    if event in BROKEN:
        said.broken.append(line.decode(errors="replace")[:2_000])
