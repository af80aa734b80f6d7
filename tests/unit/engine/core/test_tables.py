"""The compiled tables are the declared machines, and every name in them is defined and used."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transitions import Machine, MachineError

from engine.core import machines
from engine.core.calls import CALL_EFFECTS, CALL_GUARDS
from engine.core.consults import CONSULT_EFFECTS, CONSULT_GUARDS
from engine.core.enqueued import ENQUEUED_EFFECTS, ENQUEUED_GUARDS
from engine.core.holding import HOLD_EFFECTS, HOLD_GUARDS
from engine.core.legs import LEG_EFFECTS, LEG_GUARDS
from engine.core.recordings import RECORDING_EFFECTS, RECORDING_GUARDS
from engine.core.rescues import RESCUE_EFFECTS, RESCUE_GUARDS, RESCUED_EFFECTS
from engine.core.sessions import SESSION_EFFECTS, SESSION_GUARDS
from engine.core.supervisions import SUPERVISION_EFFECTS, SUPERVISION_GUARDS
from engine.core.table import Row, Table, choose, compile_table, machine_of
from engine.core.tables import calls, legs, recordings, sessions, supervisions, tasks, transfers
from engine.core.takeovers import TAKEOVER_EFFECTS, TAKEOVER_GUARDS
from engine.core.tasks import TASK_EFFECTS
from engine.core.transfers import TRANSFER_EFFECTS, TRANSFER_GUARDS
from engine.core.turn import Turn
from engine.core.wrap_up import WRAP_UP_EFFECTS, WRAP_UP_GUARDS
from engine.diagrams import FOLDER, pages

ALL: dict[str, tuple[list[str], tuple[Row, ...], Machine, dict[str, Any], dict[str, Any]]] = {
    "leg": (legs.STATES, legs.LEG_ROWS, machines.LEG_MACHINE, LEG_GUARDS, {**LEG_EFFECTS, **RESCUED_EFFECTS}),
    "call": (
        calls.STATES, calls.CALL_ROWS, machines.CALL_MACHINE,
        {**CALL_GUARDS, **HOLD_GUARDS, **RESCUE_GUARDS, **WRAP_UP_GUARDS},
        {**CALL_EFFECTS, **HOLD_EFFECTS, **RESCUE_EFFECTS, **WRAP_UP_EFFECTS},
    ),
    "transfer": (
        transfers.STATES, transfers.TRANSFER_ROWS, machines.TRANSFER_MACHINE,
        {**TRANSFER_GUARDS, **CONSULT_GUARDS}, {**TRANSFER_EFFECTS, **CONSULT_EFFECTS},
    ),
    "supervision": (
        supervisions.STATES, supervisions.SUPERVISION_ROWS, machines.SUPERVISION_MACHINE,
        {**SUPERVISION_GUARDS, **TAKEOVER_GUARDS}, {**SUPERVISION_EFFECTS, **TAKEOVER_EFFECTS},
    ),
    "recording": (
        recordings.STATES, recordings.RECORDING_ROWS, machines.RECORDING_MACHINE, RECORDING_GUARDS, RECORDING_EFFECTS,
    ),
    "session": (sessions.STATES, sessions.SESSION_ROWS, machines.SESSION_MACHINE, SESSION_GUARDS, SESSION_EFFECTS),
    "task": (
        tasks.STATES, tasks.TASK_ROWS, machines.TASK_MACHINE,
        ENQUEUED_GUARDS, {**TASK_EFFECTS, **ENQUEUED_EFFECTS},
    ),
}  # fmt: skip


class Probe:
    """A model for `transitions`: guards answer as told, effects are noted."""

    def __init__(self, answers: dict[str, bool], effects: list[str]) -> None:
        self.done: list[str] = []
        for name, answer in answers.items():
            setattr(self, name, self._guard(answer=answer))
        for name in effects:
            setattr(self, name, self._effect(name))

    @staticmethod
    def _guard(*, answer: bool) -> Callable[[], bool]:
        return lambda: answer

    def _effect(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)


def compiled(name: str, answers: dict[str, bool], done: list[str]) -> Table:
    """The table of a machine whose guards answer as told and whose effects are noted."""
    states, rows, _, guards, effects = ALL[name]
    return compile_table(
        machine_of(states, rows),
        cast("type[StrEnum]", StrEnum("States", [(state, state) for state in states])),
        {guard: partial(_answering, answers[guard]) for guard in guards},
        {effect: partial(_noting, done, effect) for effect in effects},
    )


def _answering(answer: bool, _turn: Turn, _leg: str) -> bool:
    return answer


def _noting(done: list[str], effect: str, _turn: Turn, _leg: str) -> None:
    done.append(effect)


@pytest.mark.parametrize("name", ALL)
@given(data=st.data())
def test_compiled_table_and_declared_machine_give_equal_answers(name: str, data: st.DataObject) -> None:
    """From any state, whatever the guards say, any walk of triggers has the same states and effects."""
    states, rows, _, guards, effects = ALL[name]
    answers = {guard: data.draw(st.booleans(), label=guard) for guard in guards}
    probe = Probe(answers, list(effects))
    state = data.draw(st.sampled_from(states))
    declared = Machine(model=probe, states=states, initial=state, transitions=[dict(row) for row in rows],
                       auto_transitions=False)  # fmt: skip
    done: list[str] = []
    table = compiled(name, answers, done)
    for trigger in data.draw(st.lists(st.sampled_from(sorted(declared.events)), max_size=8)):
        arc = choose(table, None, state, trigger, "")  # type: ignore[arg-type]
        try:
            moved = declared.events[trigger].trigger(probe)
        except MachineError:
            moved = False
        assert moved is (arc is not None)
        if arc is not None:
            state = arc.target
            for effect in arc.effects:
                effect(None, "")  # type: ignore[arg-type]
        assert probe.state == state  # type: ignore[attr-defined]
        assert probe.done == done


@pytest.mark.parametrize("name", ALL)
def test_every_guard_and_effect_is_used(name: str) -> None:
    """No name is defined that the table does not use: the table is the whole truth."""
    _, rows, _, guards, effects = ALL[name]
    asked = {guard for row in rows for key in ("conditions", "unless") for guard in row.get(key, ())}
    done = {effect for row in rows for effect in row.get("after", ())}

    assert asked == set(guards)
    assert done == set(effects)


@pytest.mark.parametrize("name", ALL)
def test_no_row_hides_behind_an_earlier_one(name: str) -> None:
    """An arc without a guard is the last of its state and trigger: nothing after it could ever be taken."""
    _, _, machine, _, _ = ALL[name]
    for trigger, event in machine.events.items():
        for source, arcs in event.transitions.items():
            unguarded = [bool(arc.conditions) for arc in arcs[:-1]]
            assert all(unguarded), f"{source} × {trigger}: an arc after one without a guard"


@pytest.mark.parametrize("name", ALL)
def test_every_state_can_be_reached(name: str) -> None:
    """Every state is entered by some arc, or is where the machine begins."""
    states, _, machine, _, _ = ALL[name]
    entered = {arc.dest for event in machine.events.values() for arcs in event.transitions.values() for arc in arcs}

    assert set(states) - entered <= {states[0]}


@pytest.mark.parametrize("page", pages())
def test_diagrams_are_fresh(page: str) -> None:
    """The committed diagrams are what the tables say."""
    assert (FOLDER / page).read_text() == pages()[page]
