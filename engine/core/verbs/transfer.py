"""`call.transfer` and `transfer.cancel`: begin and steer the one active transfer."""

from engine.core import answers, flags, machines, tasks
from engine.core import transfers as machine
from engine.core.assistants import fits
from engine.core.tables.transfers import ACTIVE
from engine.core.turn import CALL, TALKING_ROLES, TRANSFER, Turn
from engine.core.verbs.naming import joined
from schemas import commands
from schemas.commands import Disposition, SteerTransfer, TransferMode
from schemas.ids import command_key
from schemas.records import Command
from schemas.state import Leg, LegState, Role, Transfer, TransferState


def active(turn: Turn) -> Transfer | None:
    """The transfer that is under way, if there is one."""
    transfer = turn.call.transfer
    return transfer if transfer is not None and transfer.state.value in ACTIVE else None


def transfer(turn: Turn, command: Command, data: commands.Transfer) -> None:
    """Begin a transfer; answered when it has ended."""
    initiator = _initiator(turn, data.initiator)
    refusal = initiator if isinstance(initiator, str) else _refusal(turn, data)
    if refusal is not None or isinstance(initiator, str):
        answers.rejected(turn, command, refusal or "unknown_leg")
        return
    _begin(turn, command, data, initiator)
    answers.open_command(turn, command)


def steer(turn: Turn, command: Command, data: SteerTransfer) -> None:
    """`transfer.complete`, `.cancel`, `.swap`, `.merge`: answered when what was asked has been observed."""
    under_way = active(turn)
    trigger = command.name.removeprefix("transfer.")
    if under_way is None or data.transfer not in {None, under_way.transfer}:
        answers.rejected(turn, command, "no_such_transfer")
    elif under_way.mode is TransferMode.CONSULT and trigger in {"complete", "merge"}:
        answers.rejected(turn, command, "consult_only")
    elif under_way.mode is TransferMode.COLD and trigger in {"swap", "merge"}:
        answers.rejected(turn, command, "not_consulting")
    elif machines.transfer_takes(turn, trigger):
        answers.open_command(turn, command)
        turn.stimulate(TRANSFER, trigger)
    else:
        late = under_way.state in {TransferState.COMPLETING, TransferState.CANCELLING, TransferState.FALLBACK}
        answers.rejected(turn, command, "too_late" if late else "not_allowed", under_way.state.value)


def _initiator(turn: Turn, name: str | None) -> Leg | str:
    """Who hands over: the leg named, else the only agent in the room."""
    if name is not None:
        leg = joined(turn, name)
        return "not_an_agent" if isinstance(leg, Leg) and leg.role not in TALKING_ROLES else leg
    talking = [leg for leg in turn.call.legs if leg.role in TALKING_ROLES and leg.state is LegState.JOINED]
    if not talking:
        return "no_initiator"
    return talking[0] if len(talking) == 1 else "ambiguous_initiator"


def _refusal(turn: Turn, data: commands.Transfer) -> str | None:
    if not turn.customer_present():
        return "no_customer"
    if not turn.config.queues and any(tasks.queue_of(target) for target in data.targets):
        return "taskrouter_not_configured"
    if not fits(data.targets, turn.call.call_id, {**turn.call.context, **(data.context or {})}):
        return "context_too_large"
    return None


def _dispositions(data: commands.Transfer) -> dict[str, Disposition]:
    chosen = data.on_failure
    if chosen is None:
        return {}
    named = ((name, getattr(chosen, name)) for name in chosen.__struct_fields__)
    return {name: value for name, value in named if value is not None}


def _begin(turn: Turn, command: Command, data: commands.Transfer, initiator: Leg) -> None:
    number = turn.call.counts.get("transfer", 0) + 1
    turn.set(
        counts={**turn.call.counts, "transfer": number},
        transfer=Transfer(
            transfer=f"transfer-{number}", mode=data.mode, state=TransferState.PREPARING, initiator=initiator.leg,
            targets=tuple(data.targets), started_at=turn.at, release=data.release,
            consult_limit_s=data.consult_limit_s or 0,
            ring_timeout_s=data.ring_timeout_s or turn.call.policy.ring_timeout_s,
            on_failure=_dispositions(data), command=command_key(command.command_source, command.command_id),
        ),
        context={**turn.call.context, **(data.context or {})},
    )  # fmt: skip
    machine.tell(turn, "transfer.started", to=TransferState.PREPARING.value)
    customer = turn.customer
    if data.mode is not TransferMode.COLD and customer is not None:
        flags.hold(turn, customer.leg)
    for leg in turn.call.legs:
        if leg.leg == initiator.leg or (leg.role is Role.CUSTOMER and leg.state is LegState.JOINED):
            flags.let_go(turn, leg.leg)
    turn.arm(machine.TIMER, machine.SETTLE_WITHIN_MS)
    turn.stimulate(CALL, "transfer_started")
