"""Machines compiled into flat tables: declared with `transitions`, looked up per record (design.md section 5).

A table is read from the `Machine` object itself, so the declaration stays the one specification; a property test drives
both side by side. `conditions` and `unless` of a row name guards, `after` names effects; all are functions of the
turn and the leg concerned (`""` where there is none).
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from transitions import Machine

from engine.core.turn import Turn

Guard = Callable[[Turn, str], bool]
Act = Callable[[Turn, str], None]
Row = dict[str, Any]


class Arc(NamedTuple):
    """One way out of a state, taken when every guard gives what is expected; `target` is a member of the states."""

    guards: tuple[tuple[Guard, bool], ...]
    target: Any
    effects: tuple[Act, ...]


Table = dict[tuple[str, str], tuple[Arc, ...]]


def machine_of(states: list[str], rows: tuple[Row, ...]) -> Machine:
    """The declared machine: no model, no automatic transitions."""
    return Machine(model=None, states=states, initial=states[0], transitions=[dict(row) for row in rows],
                   auto_transitions=False)  # fmt: skip


def compile_table(
    machine: Machine, states: type[StrEnum], guards: Mapping[str, Guard], effects: Mapping[str, Act]
) -> Table:
    """`(state, trigger) -> arcs in order` of a declared machine whose states are the members of `states`.

    Raises `KeyError` for a guard or an effect, `ValueError` for a state that is not defined.
    """
    table: Table = {}
    for trigger, event in machine.events.items():
        for source, transitions in event.transitions.items():
            table[source, trigger] = tuple(
                Arc(
                    guards=tuple((guards[str(item.func)], item.target) for item in transition.conditions),
                    target=states(transition.dest if transition.dest is not None else source),
                    effects=tuple(effects[str(name)] for name in transition.after),
                )
                for transition in transitions
            )
    return table


def choose(table: Table, turn: Turn, state: str, trigger: str, leg: str) -> Arc | None:
    """The first arc whose guards hold, or None: the pair is not expected here."""
    for arc in table.get((state, trigger), ()):
        for guard, expected in arc.guards:
            if guard(turn, leg) is not expected:
                break
        else:
            return arc
    return None
