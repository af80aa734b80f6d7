"""The machines drawn from their tables into `docs/machines/`: `python -m engine.diagrams --write` (or `--check`).

The picture is `transitions`' own; the list under it is the whole table in words, guards and effects included.
"""

import sys
from pathlib import Path

from transitions import Machine
from transitions.extensions import GraphMachine

from engine.core.machines import (
    CALL_MACHINE,
    LEG_MACHINE,
    RECORDING_MACHINE,
    SESSION_MACHINE,
    SUPERVISION_MACHINE,
    TASK_MACHINE,
    TRANSFER_MACHINE,
)
from engine.core.table import Row
from engine.core.tables import calls, legs, recordings, sessions, supervisions, tasks, transfers

FOLDER = Path("docs/machines")
MACHINES: dict[str, tuple[Machine, tuple[Row, ...], str]] = {
    "leg": (LEG_MACHINE, legs.LEG_ROWS, "One Twilio call of a call (state-machines.md section 4)."),
    "call": (CALL_MACHINE, calls.CALL_ROWS, "The spine of a call (state-machines.md section 5)."),
    "transfer": (TRANSFER_MACHINE, transfers.TRANSFER_ROWS, "The one active transfer (state-machines.md section 6)."),
    "supervision": (
        SUPERVISION_MACHINE,
        supervisions.SUPERVISION_ROWS,
        "One supervisor of a call (state-machines.md section 7).",
    ),
    "recording": (
        RECORDING_MACHINE,
        recordings.RECORDING_ROWS,
        "The recording of the customer's leg (state-machines.md section 7).",
    ),
    "session": (
        SESSION_MACHINE,
        sessions.SESSION_ROWS,
        "A call that a Conversations service has taken (twilio-facts.md section 2.9).",
    ),
    "task": (TASK_MACHINE, tasks.TASK_ROWS, "One search for a worker through TaskRouter (twilio-facts.md section 5)."),
}


def _picture(machine: Machine, rows: tuple[Row, ...]) -> str:
    drawn = GraphMachine(
        states=list(machine.states),
        initial=machine.initial,
        transitions=[{**row, "after": []} for row in rows],
        auto_transitions=False,
        graph_engine="mermaid",
        show_conditions=True,
        title="title: from state to state",
        model=_Model(machine, rows),
    )
    return str(drawn.get_graph().source)


class _Model:
    """A model whose guards do not matter: only the picture does."""

    def __init__(self, machine: Machine, rows: tuple[Row, ...]) -> None:
        del machine
        for row in rows:
            for guard in (*row.get("conditions", ()), *row.get("unless", ())):
                setattr(self, guard, bool)


def _words(machine: Machine) -> str:
    lines = ["| from | stimulus | if | to | does |", "|---|---|---|---|---|"]
    for trigger, event in machine.events.items():
        for source, arcs in event.transitions.items():
            for arc in arcs:
                guards = ", ".join(f"{'' if item.target else 'not '}{item.func}" for item in arc.conditions)
                does = ", ".join(str(name) for name in arc.after)
                target = arc.dest if arc.dest != source else "same"
                lines.append(f"| {source} | {trigger} | {guards} | {target} | {does} |")
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        f"{name}.md": (
            f"# The {name} machine\n\n{about} Generated from its table in `engine/core/tables/{name}s.py`; "
            "what is not listed is ignored with a reason, and counted.\n\n"
            f"```mermaid\n{_picture(machine, rows).strip()}\n```\n\n{_words(machine)}\n"
        )
        for name, (machine, rows, about) in MACHINES.items()
    }


def main(arguments: list[str]) -> int:
    """Write the pages, or say which are stale. Exit code 1 when one is."""
    stale = [name for name, text in pages().items() if _read(FOLDER / name) != text]
    if "--write" in arguments:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (FOLDER / name).write_text(pages()[name])
        return 0
    for name in stale:
        sys.stderr.write(f"{FOLDER / name} is not what the tables say: run `python -m engine.diagrams --write`\n")
    return 1 if stale else 0


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
