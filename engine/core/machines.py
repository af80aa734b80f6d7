"""The machines, compiled once at import, and how a stimulus moves one of them.

Nothing here decides: the tables do (`engine.core.tables`), with the guards and effects of the module of each machine.
"""

from engine.core.calls import CALL_EFFECTS, CALL_GUARDS
from engine.core.consults import CONSULT_EFFECTS, CONSULT_GUARDS
from engine.core.enqueued import ENQUEUED_EFFECTS, ENQUEUED_GUARDS
from engine.core.holding import HOLD_EFFECTS, HOLD_GUARDS
from engine.core.legs import LEG_EFFECTS, LEG_GUARDS
from engine.core.recordings import RECORDING_EFFECTS, RECORDING_GUARDS
from engine.core.recordings import change as change_recording
from engine.core.rescues import RESCUE_EFFECTS, RESCUE_GUARDS, RESCUED_EFFECTS
from engine.core.sessions import SESSION_EFFECTS, SESSION_GUARDS
from engine.core.sessions import change as change_session
from engine.core.sessions import tell as tell_session
from engine.core.supervisions import SUPERVISION_EFFECTS, SUPERVISION_GUARDS, of
from engine.core.supervisions import change as change_supervision
from engine.core.table import choose, compile_table, machine_of
from engine.core.tables import calls, legs, recordings, sessions, supervisions, tasks, transfers
from engine.core.takeovers import TAKEOVER_EFFECTS, TAKEOVER_GUARDS
from engine.core.tasks import TASK_EFFECTS
from engine.core.tasks import change as change_task
from engine.core.tasks import find as find_task
from engine.core.tasks import tell as tell_task
from engine.core.transfers import TRANSFER_EFFECTS, TRANSFER_GUARDS, change, tell
from engine.core.turn import CALL, LEG, RECORDING, SESSION, SUPERVISION, TASK, Turn
from engine.core.wrap_up import WRAP_UP_EFFECTS, WRAP_UP_GUARDS
from schemas.sessions import SessionState
from schemas.state import CallState, LegState, RecordingState, SupervisionState, TransferState
from schemas.task_states import TaskState

LEG_MACHINE = machine_of(legs.STATES, legs.LEG_ROWS)
CALL_MACHINE = machine_of(calls.STATES, calls.CALL_ROWS)
TRANSFER_MACHINE = machine_of(transfers.STATES, transfers.TRANSFER_ROWS)
LEG_TABLE = compile_table(LEG_MACHINE, LegState, LEG_GUARDS, {**LEG_EFFECTS, **RESCUED_EFFECTS})
CALL_TABLE = compile_table(
    CALL_MACHINE,
    CallState,
    {**CALL_GUARDS, **HOLD_GUARDS, **RESCUE_GUARDS, **WRAP_UP_GUARDS},
    {**CALL_EFFECTS, **HOLD_EFFECTS, **RESCUE_EFFECTS, **WRAP_UP_EFFECTS},
)
TRANSFER_TABLE = compile_table(
    TRANSFER_MACHINE, TransferState, {**TRANSFER_GUARDS, **CONSULT_GUARDS}, {**TRANSFER_EFFECTS, **CONSULT_EFFECTS}
)
SUPERVISION_MACHINE = machine_of(supervisions.STATES, supervisions.SUPERVISION_ROWS)
RECORDING_MACHINE = machine_of(recordings.STATES, recordings.RECORDING_ROWS)
SUPERVISION_TABLE = compile_table(
    SUPERVISION_MACHINE,
    SupervisionState,
    {**SUPERVISION_GUARDS, **TAKEOVER_GUARDS},
    {**SUPERVISION_EFFECTS, **TAKEOVER_EFFECTS},
)
RECORDING_TABLE = compile_table(RECORDING_MACHINE, RecordingState, RECORDING_GUARDS, RECORDING_EFFECTS)
TASK_MACHINE = machine_of(tasks.STATES, tasks.TASK_ROWS)
TASK_TABLE = compile_table(TASK_MACHINE, TaskState, ENQUEUED_GUARDS, {**TASK_EFFECTS, **ENQUEUED_EFFECTS})
SESSION_MACHINE = machine_of(sessions.STATES, sessions.SESSION_ROWS)
SESSION_TABLE = compile_table(SESSION_MACHINE, SessionState, SESSION_GUARDS, SESSION_EFFECTS)

MOST_MOVES = 256
_SETTLING = frozenset(state for state, trigger in TRANSFER_TABLE if trigger == "settled")

_CALL_EVENTS = {
    CallState.RINGING: "call.ringing",
    CallState.WAITING: "call.waiting",
    CallState.IN_CONFERENCE: "call.connected",
    CallState.HELD: "call.held",
    CallState.TRANSFERRING: "call.transferring",
    CallState.ORPHANED: "call.orphaned",
    CallState.WRAP_UP: "call.wrap_up",
    CallState.ENDED: "call.ended",
}
_WHY = {"hub_lost": "hub_ended"}
_BACK_TO_TALK = {CallState.HELD: "call.resumed", CallState.ORPHANED: "call.recovered"}
_UNTOLD = {TransferState.DIALING}


def drain(turn: Turn) -> None:
    """Handle what was stimulated until nothing is left, then ask the children of the call whether they are settled.

    The bound stops a table that chases its own tail; a property test shows that none does.
    """
    for _ in range(MOST_MOVES):
        if turn.stimuli:
            move(turn, *turn.stimuli.popleft())
        elif not _settles(turn):
            return


def _settles(turn: Turn) -> bool:
    call = turn.call
    return (
        (call.transfer is not None and call.transfer.state in _SETTLING and move_transfer(turn, "settled", ""))
        or any(move_supervision(turn, "settled", item.supervisor) for item in call.supervisions)
        or (call.policy.recording != "off" and move_recording(turn, "settled"))
    )


def move(turn: Turn, machine: str, trigger: str, leg_id: str) -> bool:
    """Move one machine; whether its table knows the pair."""
    if machine == LEG:
        return move_leg(turn, trigger, leg_id)
    if machine == CALL:
        return move_call(turn, trigger, leg_id)
    if machine == SUPERVISION:
        return move_supervision(turn, trigger, leg_id)
    if machine == RECORDING:
        return move_recording(turn, trigger)
    if machine == TASK:
        return move_task(turn, trigger, leg_id)
    if machine == SESSION:
        return move_session(turn, trigger, leg_id)
    return move_transfer(turn, trigger, leg_id)


def expects(turn: Turn, trigger: str, leg_id: str) -> bool:
    """Whether the leg's table has anything for `trigger` where the leg is."""
    return choose(LEG_TABLE, turn, turn.leg(leg_id).state, trigger, leg_id) is not None


def transfer_takes(turn: Turn, trigger: str) -> bool:
    """Whether the transfer's table has anything for `trigger` where the transfer is."""
    transfer = turn.call.transfer
    return transfer is not None and choose(TRANSFER_TABLE, turn, transfer.state, trigger, "") is not None


def move_leg(turn: Turn, trigger: str, leg_id: str) -> bool:
    """Move a leg."""
    leg = turn.leg(leg_id)
    arc = choose(LEG_TABLE, turn, leg.state, trigger, leg_id)
    if arc is None:
        return False
    before = leg.state
    leg = turn.update(leg_id, state=arc.target)
    position = len(turn.effects)
    for effect in arc.effects:
        effect(turn, leg_id)
    if leg.state is not before:
        _tell_leg(turn, leg_id, before, position)
    return True


def _tell_leg(turn: Turn, leg_id: str, before: LegState, position: int) -> None:
    """The event goes before what the effects asked for, with the reason that they found."""
    leg = turn.leg(leg_id)
    effects = turn.effects[position:]
    del turn.effects[position:]
    by = "us" if leg.ours else None
    turn.tell_leg(f"leg.{leg.state}", leg, from_=before, to=leg.state, reason=leg.reason, by=by)
    turn.effects.extend(effects)


def move_call(turn: Turn, trigger: str, leg_id: str) -> bool:
    """Move the call."""
    before = turn.call.state
    arc = choose(CALL_TABLE, turn, before, trigger, leg_id)
    if arc is None:
        return False
    after = arc.target
    turn.set(state=after)
    for effect in arc.effects:
        effect(turn, leg_id)
    if after is not before:
        name = (
            _BACK_TO_TALK.get(before, _CALL_EVENTS[after]) if after is CallState.IN_CONFERENCE else _CALL_EVENTS[after]
        )
        over = after is CallState.ENDED
        reason = turn.call.reason if over else _WHY.get(trigger)
        duration_s = (turn.at - turn.call.created_at) / 1000 if over else None
        turn.tell_call(name, from_=before, to=after, leg=leg_id or None, reason=reason, duration_s=duration_s)
    return True


def move_transfer(turn: Turn, trigger: str, leg_id: str) -> bool:
    """Move the transfer, if there is one."""
    transfer = turn.call.transfer
    if transfer is None:
        return False
    arc = choose(TRANSFER_TABLE, turn, transfer.state, trigger, leg_id)
    if arc is None:
        return False
    before, after = transfer.state, arc.target
    change(turn, state=after)
    position = len(turn.effects)
    for effect in arc.effects:
        effect(turn, leg_id)
    if after is not before and after not in _UNTOLD:
        effects = turn.effects[position:]
        del turn.effects[position:]
        told = turn.call.transfer
        disposition = told.disposition.value if told is not None and told.disposition is not None else None
        tell(turn, f"transfer.{after}", from_=before, to=after, disposition=disposition)
        turn.effects.extend(effects)
    if after is TransferState.COMPLETED and before is not after:
        turn.stimulate_supervisions("transferred")
    return True


def move_supervision(turn: Turn, trigger: str, leg_id: str) -> bool:
    """Move the supervision of a leg, if it has one."""
    supervision = of(turn, leg_id)
    if supervision is None:
        return False
    arc = choose(SUPERVISION_TABLE, turn, supervision.state, trigger, leg_id)
    if arc is None:
        return False
    change_supervision(turn, leg_id, state=arc.target)
    for effect in arc.effects:
        effect(turn, leg_id)
    return True


def move_task(turn: Turn, trigger: str, task_id: str) -> bool:
    """Move a search for a worker."""
    task = find_task(turn, task_id)
    arc = choose(TASK_TABLE, turn, task.state, trigger, task_id) if task is not None else None
    if task is None or arc is None:
        return False
    change_task(turn, task_id, state=arc.target)
    for effect in arc.effects:
        effect(turn, task_id)
    moved = find_task(turn, task_id)
    if moved is not None and moved.state is not task.state:
        tell_task(turn, moved, task.state)
    return True


def move_session(turn: Turn, trigger: str, leg_id: str) -> bool:
    """Move the session of a Conversations service, if there is one."""
    session = turn.call.session
    arc = choose(SESSION_TABLE, turn, session.state, trigger, leg_id) if session is not None else None
    if session is None or arc is None:
        return False
    change_session(turn, state=arc.target)
    if arc.target is not session.state:
        tell_session(turn, session.state)
    for effect in arc.effects:
        effect(turn, leg_id)
    return True


def move_recording(turn: Turn, trigger: str) -> bool:
    """Move the recording."""
    arc = choose(RECORDING_TABLE, turn, turn.call.recording.state, trigger, "")
    if arc is None:
        return False
    change_recording(turn, state=arc.target)
    for effect in arc.effects:
        effect(turn, "")
    return True
