"""The other way to run the same tables: trigger the declared `transitions` machine at every lookup of a step.

One model for each machine, set to the state and triggered: the cheapest use of the library there is. A model for each
call would cost more, because adding one walks the list of all.
"""

from collections.abc import Callable, Mapping
from typing import Any

from transitions import Machine, MachineError

from engine.core import machines
from engine.core.calls import CALL_EFFECTS, CALL_GUARDS
from engine.core.legs import LEG_EFFECTS, LEG_GUARDS
from engine.core.table import Arc, Guard, Table
from engine.core.transfers import TRANSFER_EFFECTS, TRANSFER_GUARDS
from engine.core.turn import Turn


class _Driven:
    """A machine with the one model through which it is triggered."""

    def __init__(self, machine: Machine, guards: Mapping[str, Guard], effects: Mapping[str, object]) -> None:
        self.turn: Turn | None = None
        self.leg = ""
        self._taken = -1
        model: Any = type("Model", (), {})()
        for name, guard in guards.items():
            setattr(model, name, self._asking(guard))
        for name in effects:
            setattr(model, name, _nothing)  # the core carries effects out itself, as it does with a table
        machine.add_model(model, initial=machine.initial)
        self._model = model
        for event in machine.events.values():
            for transitions in event.transitions.values():
                for number, transition in enumerate(transitions):
                    transition.before.append(self._noting(number))

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
        self._model.state = state
        try:
            moved = self._model.trigger(trigger)
        except MachineError:
            return None
        return arcs[self._taken] if moved else None


def _nothing() -> None:
    """An effect that the core carries out."""


def trigger_machines() -> None:
    """From now on, in this process, every lookup triggers a machine."""
    by_table = {
        id(machines.LEG_TABLE): _Driven(machines.LEG_MACHINE, LEG_GUARDS, LEG_EFFECTS),
        id(machines.CALL_TABLE): _Driven(machines.CALL_MACHINE, CALL_GUARDS, CALL_EFFECTS),
        id(machines.TRANSFER_TABLE): _Driven(machines.TRANSFER_MACHINE, TRANSFER_GUARDS, TRANSFER_EFFECTS),
    }

    def choose(table: Table, turn: Turn, state: str, trigger: str, leg: str) -> Arc | None:
        return by_table[id(table)].choose(table, turn, state, trigger, leg)

    vars(machines)["choose"] = choose
