"""Timers that fell due. The name says what for; another due time means that it was re-armed since and is not meant."""

from engine.core import (
    calls,
    consults,
    destinations,
    flags,
    holding,
    machines,
    reaping,
    recordings,
    sessions,
    supervisions,
    tasks,
    transfers,
    wrap_up,
)
from engine.core.turn import LEG, RECORDING, SESSION, SUPERVISION, TASK, TRANSFER, Turn
from schemas.records import TimerDue
from schemas.state import LegState

LEG_PREFIX = "leg."

_CALL_TRIGGERS = {
    destinations.WAIT: "max_wait",
    calls.ORPHAN: "orphan_due",
    wrap_up.TIMER: "wrapped",
    holding.REMINDER: "reminder_due",
    holding.LIMIT: "hold_due",
}
_RECORDING_TRIGGERS = {recordings.TIMER: "overdue", recordings.PAUSE: "pause_over"}


def apply(turn: Turn, record: TimerDue) -> None:
    """Let a timer move the call."""
    if turn.call.timers.get(record.name) != record.due:
        turn.ignore("stale_timer", f"timer.{record.name}")
        return
    turn.disarm(record.name)
    if record.name.startswith(LEG_PREFIX):
        turn.stimulate(LEG, "overdue", record.name.removeprefix(LEG_PREFIX))
    elif record.name.startswith(supervisions.PREFIX):
        turn.stimulate(SUPERVISION, "overdue", record.name.removeprefix(supervisions.PREFIX))
    elif record.name.startswith(tasks.TIMER_PREFIX):
        turn.stimulate(TASK, "overdue", record.name.removeprefix(tasks.TIMER_PREFIX))
    elif record.name in _RECORDING_TRIGGERS:
        turn.stimulate(RECORDING, _RECORDING_TRIGGERS[record.name])
    elif record.name in _CALL_TRIGGERS:
        machines.move_call(turn, _CALL_TRIGGERS[record.name], "")
    elif record.name == transfers.TIMER:
        turn.stimulate(TRANSFER, "overdue")
    elif record.name == sessions.TIMER:
        turn.stimulate(SESSION, "overdue")
    elif record.name == consults.CONSULT:
        turn.stimulate(TRANSFER, "consult_due")
    else:
        _other(turn, record.name)


def resume(turn: Turn) -> None:
    """After an outage: what callbacks may have said meanwhile is looked up."""
    if turn.live():
        flags.look_up(turn)
    else:
        turn.ignore("nobody_live", "resumed")


def _other(turn: Turn, name: str) -> None:
    if name == flags.CONFIRM:
        flags.confirm_due(turn)
    elif name == flags.UNCONFIRMED:
        flags.give_up(turn)
    elif name == destinations.END:
        for leg in turn.live():
            turn.stimulate(LEG, "remove" if leg.state is not LegState.LEAVING else "overdue", leg.leg)
    elif name == reaping.REAP:
        reaping.due(turn)
    else:
        turn.ignore("unknown_timer", f"timer.{name}")
