"""A call as the ops port shows it (contracts.md section 3): names there are fixed. Pure projection of the state."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from schemas.actions import action_type
from schemas.state import Call, Flags, Leg
from schemas.times import rfc3339

NO_ATTEMPTS: Mapping[str, int] = MappingProxyType({})


class FlagsView(msgspec.Struct, frozen=True):
    """The four switches of a leg."""

    hold: bool
    muted: bool
    coaching: str | None
    end_on_exit: bool


class LegView(msgspec.Struct, frozen=True):
    """One leg."""

    leg: str
    role: str
    state: str
    call_sid: str | None
    target: str | None
    reason: str | None
    observed: FlagsView
    desired: FlagsView


class RoomView(msgspec.Struct, frozen=True):
    """The conference."""

    name: str
    sid: str | None


class TransferView(msgspec.Struct, frozen=True):
    """The active or last transfer."""

    transfer: str
    mode: str
    state: str
    initiator: str | None
    target: str | None
    started_at: str
    reason: str | None


class SupervisionView(msgspec.Struct, frozen=True):
    """One supervisor."""

    supervisor: str
    state: str
    coach: str | None


class ConversationView(msgspec.Struct, frozen=True):
    """The session of a Conversations service. `leg` is the one that it dialled."""

    state: str
    service_sid: str
    sid: str | None
    leg: str | None
    worker_initiated: bool
    result: str | None
    reason: str | None
    outcome: str | None


class RecordingView(msgspec.Struct, frozen=True):
    """The recording."""

    state: str
    sid: str | None


class TimerView(msgspec.Struct, frozen=True):
    """A timer that is set."""

    name: str
    due: str


class PendingView(msgspec.Struct, frozen=True):
    """An action that is not confirmed yet."""

    id: str
    type: str
    since: str
    attempts: int


class QuarantineView(msgspec.Struct, frozen=True):
    """What is missing in a call: its last record that became a dead letter, why, when, and how many there were."""

    record: str
    reason: str
    at: str
    records: int


class CallView(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/calls/{call_id}`."""

    call_id: str
    state: str
    version: int
    direction: str
    account_sid: str
    created_at: str
    ended_at: str | None
    room: RoomView
    context: dict[str, str]
    legs: tuple[LegView, ...]
    transfer: TransferView | None
    supervisions: tuple[SupervisionView, ...]
    recording: RecordingView
    conversation: ConversationView | None
    timers: tuple[TimerView, ...]
    pending_actions: tuple[PendingView, ...]
    quarantined: QuarantineView | None


class CallSummary(msgspec.Struct, frozen=True):
    """One entry of `GET /v1/calls`. `legs` counts the legs that are alive."""

    call_id: str
    state: str
    direction: str
    created_at: str
    ended_at: str | None
    legs: int


def _flags(flags: Flags) -> FlagsView:
    return FlagsView(hold=flags.hold, muted=flags.muted, coaching=flags.coaching, end_on_exit=flags.end_on_exit)


def _leg(leg: Leg) -> LegView:
    return LegView(
        leg=leg.leg,
        role=leg.role.value,
        state=leg.state.value,
        call_sid=leg.call_sid,
        target=leg.target,
        reason=leg.reason,
        observed=_flags(leg.observed),
        desired=_flags(leg.desired),
    )


def _transfer(call: Call) -> TransferView | None:
    transfer = call.transfer
    if transfer is None:
        return None
    return TransferView(
        transfer=transfer.transfer,
        mode=transfer.mode.value,
        state=transfer.state.value,
        initiator=transfer.initiator,
        target=transfer.leg,
        started_at=rfc3339(transfer.started_at),
        reason=transfer.reason,
    )


def _quarantine(call: Call) -> QuarantineView | None:
    found = call.quarantined
    return None if found is None else QuarantineView(found.record, found.reason, rfc3339(found.at), found.records)


def _conversation(call: Call) -> ConversationView | None:
    session = call.session
    if session is None:
        return None
    return ConversationView(
        state=session.state.value,
        service_sid=session.service_sid,
        sid=session.conversation_sid,
        leg=session.leg,
        worker_initiated=session.worker_initiated,
        result=session.result,
        reason=session.reason,
        outcome=session.outcome,
    )


def view_of(call: Call, attempts: Mapping[str, int] = NO_ATTEMPTS) -> CallView:
    """The public view of a call. `attempts` by action id; an action that is not in it has not been begun."""
    return CallView(
        call_id=call.call_id,
        state=call.state.value,
        version=call.version,
        direction=call.direction.value,
        account_sid=call.account_sid,
        created_at=rfc3339(call.created_at),
        ended_at=None if call.ended_at is None else rfc3339(call.ended_at),
        room=RoomView(name=call.room.name, sid=call.room.sid),
        context=call.context,
        legs=tuple(_leg(leg) for leg in call.legs),
        transfer=_transfer(call),
        supervisions=tuple(
            SupervisionView(item.supervisor, item.state.value, item.coach) for item in call.supervisions
        ),
        recording=RecordingView(state=call.recording.state.value, sid=call.recording.sid),
        conversation=_conversation(call),
        timers=tuple(TimerView(name, rfc3339(due)) for name, due in sorted(call.timers.items())),
        pending_actions=tuple(
            PendingView(item.action.id, action_type(item.action), rfc3339(item.since), attempts.get(item.action.id, 0))
            for item in call.pending
        ),
        quarantined=_quarantine(call),
    )


def summary_of(call: Call) -> CallSummary:
    """A call in a list."""
    return CallSummary(
        call_id=call.call_id,
        state=call.state.value,
        direction=call.direction.value,
        created_at=rfc3339(call.created_at),
        ended_at=None if call.ended_at is None else rfc3339(call.ended_at),
        legs=sum(leg.state.value not in {"left", "failed", "lost"} for leg in call.legs),
    )
