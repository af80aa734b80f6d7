"""`call.supervise`, `supervision.switch`, `.leave`, `.takeover`: who may listen and speak, and to whom."""

from fnmatch import fnmatchcase

from engine.core import answers, supervisions
from engine.core.assistants import fits
from engine.core.dialling import dial
from engine.core.turn import SUPERVISION, TALKING_ROLES, Turn
from engine.core.verbs.naming import joined, named
from schemas.commands import SteerSupervision, Supervise, SupervisionMode, SwitchSupervision
from schemas.ids import command_key
from schemas.records import Command
from schemas.state import Leg, Role, Supervision, SupervisionState
from schemas.targets import TargetKind, parse_target

_MODES = frozenset(supervisions.REACHED.values())


def supervise(turn: Turn, command: Command, data: Supervise) -> None:
    """Dial a supervisor, who comes in muted; answered when the mode is reached."""
    refusal = _refusal(turn, data)
    coached = _coached(turn, data.mode, data.coach) if refusal is None else None
    if refusal is not None or isinstance(coached, str):
        answers.rejected(turn, command, refusal or str(coached))
        return
    leg = dial(turn, Role.SUPERVISOR, data.supervisor, muted=True)
    coach = coached.leg if coached is not None else None
    supervision = Supervision(leg, SupervisionState.DIALING, data.mode, coach=coach, command=_key(command))
    supervisions.add(turn, supervision)
    supervisions.tell(turn, leg, "started", to=supervision.state.value)
    answers.open_command(turn, command, leg)


def _refusal(turn: Turn, data: Supervise) -> str | None:
    if parse_target(data.supervisor).kind is TargetKind.QUEUE:
        return "not_a_person"
    if not permitted(turn, data.supervisor, data.mode):
        return "not_permitted"
    if not fits((data.supervisor,), turn.call.call_id, turn.call.context):
        return "context_too_large"
    active = supervisions.active(turn)
    if any(turn.leg(item.supervisor).target == data.supervisor for item in active):
        return "already_supervising"
    return "too_many_supervisors" if len(active) >= supervisions.MOST_ACTIVE else None


def permitted(turn: Turn, target: str, mode: SupervisionMode) -> bool:
    """Whether the policy lets this supervisor (a target) be in this mode."""
    return any(fnmatchcase(target, pattern) for pattern in getattr(turn.call.policy.supervision, mode.value))


def _coached(turn: Turn, mode: SupervisionMode, name: str | None) -> Leg | str | None:
    """The agent to coach, None for the other modes, or the reason why there is none."""
    if mode is not SupervisionMode.COACH:
        return None
    leg = joined(turn, name) if name is not None else _only(turn.talking(), "no_agent")
    if isinstance(leg, str):
        return leg
    if leg.role not in TALKING_ROLES:
        return "not_an_agent"
    return "coached_on_hold" if leg.observed.hold else leg


def _only(legs: list[Leg], nobody: str) -> Leg | str:
    if len(legs) > 1:
        return "ambiguous_agent"
    return legs[0] if legs else nobody


def _steered(turn: Turn, name: str) -> Supervision | str:
    """The supervision meant, or the reason why there is none."""
    leg = named(turn, name)
    if isinstance(leg, str):
        return leg
    supervision = supervisions.of(turn, leg.leg)
    return supervision if supervision is not None and supervision.state not in supervisions.OVER else "not_supervising"


def switch(turn: Turn, command: Command, data: SwitchSupervision) -> None:
    """Change the mode; answered when Twilio shows it."""
    supervision = _steered(turn, data.supervisor)
    if isinstance(supervision, str):
        answers.rejected(turn, command, supervision)
        return
    coached = _coached(turn, data.mode, data.coach)
    refusal = _switch_refusal(turn, supervision, data) or (coached if isinstance(coached, str) else None)
    if refusal is not None or isinstance(coached, str):
        answers.rejected(turn, command, refusal or str(coached))
        return
    _switch(turn, command, supervision, data.mode, coached)


def _switch(turn: Turn, command: Command, supervision: Supervision, mode: SupervisionMode, coached: Leg | None) -> None:
    leg, coach = supervision.supervisor, coached.leg if coached is not None else None
    if (mode, coach) == (supervision.wanted, supervision.coach):
        answers.applied(turn, command, "no_change")
        return
    supervisions.change(
        turn, leg, wanted=mode, coach=coach, command=_key(command), reason=None, lost_coach=None, tries=0
    )
    turn.stimulate(SUPERVISION, "mode", leg)
    answers.open_command(turn, command, leg)


def _switch_refusal(turn: Turn, supervision: Supervision, data: SwitchSupervision) -> str | None:
    if supervision.state is SupervisionState.DIALING:
        return "leg_not_joined"
    if supervision.state is SupervisionState.LEAVING:
        return "leaving"
    if supervision.state not in _MODES:
        return "busy"
    target = turn.leg(supervision.supervisor).target or ""
    return None if permitted(turn, target, data.mode) else "not_permitted"


def leave(turn: Turn, command: Command, data: SteerSupervision) -> None:
    """Let a supervisor go; answered when the leg has gone."""
    leg = named(turn, data.supervisor)
    supervision = supervisions.of(turn, leg.leg) if isinstance(leg, Leg) else None
    if isinstance(leg, str) or supervision is None or supervision.state is SupervisionState.TAKEN_OVER:
        answers.rejected(turn, command, leg if isinstance(leg, str) else "not_supervising")
    elif supervision.state in supervisions.OVER:
        answers.applied(turn, command, "no_change")
    elif supervision.state is SupervisionState.TAKING_OVER:
        answers.rejected(turn, command, "busy")
    else:
        answers.open_command(turn, command, leg.leg)
        turn.stimulate(SUPERVISION, "leave", leg.leg)


def takeover(turn: Turn, command: Command, data: SteerSupervision) -> None:
    """Make a barged supervisor the agent; answered when the former agent has gone."""
    supervision = _steered(turn, data.supervisor)
    if isinstance(supervision, str):
        answers.rejected(turn, command, supervision)
        return
    former = _only(turn.talking(), "")
    if supervision.state is not SupervisionState.BARGED:
        answers.rejected(turn, command, "not_barged")
    elif former == "ambiguous_agent":
        answers.rejected(turn, command, "ambiguous_agent")
    else:
        leg = supervision.supervisor
        replaced = former.leg if isinstance(former, Leg) else None
        supervisions.change(turn, leg, former=replaced, command=_key(command), reason=None)
        turn.stimulate(SUPERVISION, "takeover", leg)
        answers.open_command(turn, command, leg)


def _key(command: Command) -> str:
    return command_key(command.command_source, command.command_id)
