"""The other way to run the same tables: trigger the declared `transitions` machine at every lookup of a step.

One model for each machine, set to the state and triggered: the cheapest use of the library there is. A model for each
call would cost more, because adding one walks the list of all.
"""

from collections.abc import Callable
from typing import Any

from transitions import Machine, MachineError, Transition

from engine.core import machines
from engine.core.table import Arc, Guard, Table
from engine.core.turn import Turn


class _Driven:
    """A machine with the one model through which it is triggered."""

    def __init__(self, machine: Machine, table: Table) -> None:
        self.turn: Turn | None = None
        self.leg = ""
        self._taken = -1
        self._model: Any = type("Model", (), {})()
        for trigger, event in machine.events.items():
            for source, transitions in event.transitions.items():
                for number, transition in enumerate(transitions):
                    self._define(transition, table[source, trigger][number])
                    transition.before.append(self._noting(number))
        machine.add_model(self._model, initial=machine.initial)

    def _define(self, transition: Transition, arc: Arc) -> None:
        """What the transition names: its guards, and effects, which the core carries out itself as with a table."""
        for condition, (guard, _) in zip(transition.conditions, arc.guards, strict=True):
            setattr(self._model, str(condition.func), self._asking(guard))
        for name in transition.after:
            setattr(self._model, str(name), _nothing)

    def _noting(self, number: int) -> Callable[[], None]:
        def note() -> None:
            self._taken = number

        return note

    def _asking(self, guard: Guard) -> Callable[[], bool]:
        def ask() -> bool:
            assert self.turn is not None
            return guard(self.turn, self.leg)

        return ask

    def choose(self, table: Table, turn: Turn, state: str, trigger: str, leg: str) -> Arc | None:
        """Trigger, and find the arc that was taken."""
        arcs = table.get((state, trigger))
        if arcs is None:
            return None
        self.turn, self.leg = turn, leg
        self._model.state = str(
            state
        )  # the plain text: the library takes a member of an enum for a state of another kind
        try:
            moved = self._model.trigger(trigger)
        except MachineError:
            return None
        return arcs[self._taken] if moved else None


def _nothing() -> None:
    """An effect that the core carries out."""


def trigger_machines() -> None:
    """From now on, in this process, every lookup triggers a machine."""
    known = vars(machines)
    names = [name.removesuffix("_MACHINE") for name in known if name.endswith("_MACHINE")]
    driven = {id(known[f"{name}_TABLE"]): _Driven(known[f"{name}_MACHINE"], known[f"{name}_TABLE"]) for name in names}

    def choose(table: Table, turn: Turn, state: str, trigger: str, leg: str) -> Arc | None:
        return driven[id(table)].choose(table, turn, state, trigger, leg)

    known["choose"] = choose
