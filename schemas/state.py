"""The state of a call as the engine holds it and as one record of `call.state` carries it.

Everything that must survive is in here: legs, timers, actions not yet confirmed, commands not yet answered and the
answers given. `DEFINITION` is the version of this shape; what an older one wrote is read by `schemas.versions`.
"""

from enum import StrEnum

import msgspec

from schemas.actions import Action
from schemas.answers import Answer
from schemas.commands import Disposition, Release, SupervisionMode, TransferMode
from schemas.ids import FIRST_ROOM
from schemas.policy import DEFAULT_POLICY, Policy
from schemas.prompts import Prompt
from schemas.quarantine import Quarantine
from schemas.recording_state import NO_RECORDING, Recording, RecordingState
from schemas.sessions import LIVE_SESSION_STATES, Session
from schemas.task_states import TaskState

__all__ = ("NO_RECORDING", "Recording", "RecordingState")

DEFINITION = 2
FIRST_DEFINITION = 1
"""The version that did not write its number down."""


class CallState(StrEnum):
    """Where a call is. Each says what we do here and what moves us on (state-machines.md section 5)."""

    RINGING = "ringing"
    WAITING = "waiting"
    IN_CONFERENCE = "in_conference"
    HELD = "held"
    TRANSFERRING = "transferring"
    ORPHANED = "orphaned"
    WRAP_UP = "wrap_up"
    ENDED = "ended"


class LegState(StrEnum):
    """Where a leg is (state-machines.md section 4)."""

    PLANNED = "planned"
    DIALING = "dialing"
    RINGING = "ringing"
    ANSWERED = "answered"
    JOINED = "joined"
    LEAVING = "leaving"
    LEFT = "left"
    FAILED = "failed"
    LOST = "lost"


LIVE_LEG_STATES = frozenset(LegState) - {LegState.LEFT, LegState.FAILED, LegState.LOST}


class TransferState(StrEnum):
    """Where the one active transfer is (state-machines.md section 6)."""

    PREPARING = "preparing"
    DIALING = "dialing"
    CONSULTING = "consulting"
    SWAPPED = "swapped"
    THREE_WAY = "three_way"
    AWAITING_TARGET = "awaiting_target"
    COMPLETING = "completing"
    CANCELLING = "cancelling"
    FALLBACK = "fallback"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ABANDONED = "abandoned"


class SupervisionState(StrEnum):
    """Where a supervisor is (state-machines.md section 7). `taken_over`: an agent now, no supervisor any more."""

    DIALING = "dialing"
    SWITCHING = "switching"
    MONITORING = "monitoring"
    COACHING = "coaching"
    BARGED = "barged"
    TAKING_OVER = "taking_over"
    LEAVING = "leaving"
    LEFT = "left"
    FAILED = "failed"
    TAKEN_OVER = "taken_over"


class Role(StrEnum):
    """What a leg is in the call. The id keeps the role it was made for; the role may change."""

    CUSTOMER = "customer"
    AGENT = "agent"
    TARGET = "target"
    SUPERVISOR = "supervisor"
    AI = "ai"
    THIRD = "third"


class Direction(StrEnum):
    """Who began the call."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Flags(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A leg's switches at Twilio. `coaching` is the coached leg."""

    hold: bool = False
    muted: bool = False
    coaching: str | None = None
    end_on_exit: bool = False


NO_FLAGS = Flags()


class Leg(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One Twilio call of the call.

    `heard` and `spoken` are the highest SequenceNumbers seen from the conference `conference_sid` and from the call
    itself. `ours`: we asked for its departure. `reason` ends with it. `machine`: what becomes of an answering machine.
    """

    leg: str
    role: Role
    state: LegState
    call_sid: str | None = None
    target: str | None = None
    reason: str | None = None
    observed: Flags = NO_FLAGS
    desired: Flags = NO_FLAGS
    conference_sid: str | None = None
    heard: int = -1
    ours: bool = False
    answered_by: str | None = None
    joined_at: int | None = None
    held_at: int | None = None
    doubts: int = 0
    ring_timeout_s: int = 20
    heard_at: int | None = None
    detail: str | None = None
    machine: str = "off"


class Room(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The conference of the call. `sid` is None until Twilio has told it; `started` once two are bridged.

    `adopted`: TaskRouter makes it, named after the task. Of such a room Twilio tells neither `participant-modify` nor
    announcements (twilio-facts.md 5.2). `generation` grows when the call is rescued into a fresh conference; `former`
    are the SIDs of those it has lost.
    """

    name: str
    sid: str | None = None
    started: bool = False
    ending: bool = False
    adopted: bool = False
    generation: int = FIRST_ROOM
    former: tuple[str, ...] = ()


class Transfer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The transfer that is active or was the last.

    `leg` is the target's leg of the present attempt, `next` the index of the next target in `targets`. `command` is
    the key of the command that asked for it.
    """

    transfer: str
    mode: TransferMode
    state: TransferState
    initiator: str | None
    targets: tuple[str, ...]
    started_at: int
    leg: str | None = None
    next: int = 0
    ring_timeout_s: int = 20
    consult_limit_s: int = 0
    release: Release = Release.ON_ANSWER
    on_failure: dict[str, Disposition] = {}
    reason: str | None = None
    disposition: Disposition | None = None
    command: str | None = None
    recall_leg: str | None = None
    task: str | None = None


class Supervision(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One supervisor: `supervisor` is the leg, `wanted` the mode that is or is to be, `coach` the coached leg.

    `previous` is the last state in which a mode was shown. `command` is the key of the command that waits for the
    mode, `action` the switch that is under way, `tries` counts attempts to silence. `lost_coach` is a coached agent
    who has left, `former` the agent who is being replaced in a take-over.
    """

    supervisor: str
    state: SupervisionState
    wanted: SupervisionMode
    coach: str | None = None
    previous: SupervisionState | None = None
    command: str | None = None
    action: str | None = None
    tries: int = 0
    reason: str | None = None
    lost_coach: str | None = None
    former: str | None = None


class PendingAction(msgspec.Struct, frozen=True, gc=False):
    """An action that is wanted and not yet confirmed; published again when the partition is taken over."""

    action: Action
    since: int


class Task(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A search for a worker in a queue: `role` is what the worker becomes, `leg` the one of the present reservation.

    `enqueued`: the caller waits in TaskRouter's own queue (`<Enqueue>`), and TaskRouter makes the conference. Else the
    task is ours and the worker is joined into our room: `whisper`, `from_` and `ring_timeout_s` (0: the policy's) are
    how each worker is dialled.
    """

    task: str
    queue: str
    role: Role
    state: TaskState
    task_sid: str | None = None
    reservation_sid: str | None = None
    leg: str | None = None
    reason: str | None = None
    enqueued: bool = False
    whisper: Prompt | None = None
    from_: str | None = None
    ring_timeout_s: int = 0


class OpenCommand(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A command taken and not yet answered: `leg` is whose effect it waits for, `action` whose failure ends it."""

    key: str
    command_id: str
    command_source: str
    command_type: str
    name: str
    leg: str | None = None
    action: str | None = None
    task: str | None = None


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call. `version` counts its state records; `seen` packs 8-byte digests of the last record ids.

    `definition` is the version of this shape that wrote it. Every new call states it: absent means the first one.
    """

    call_id: str
    state: CallState
    direction: Direction
    account_sid: str
    created_at: int
    room: Room
    version: int = 0
    definition: int = FIRST_DEFINITION
    number: str = ""
    customer: str = ""
    ended_at: int | None = None
    reason: str | None = None
    legs: tuple[Leg, ...] = ()
    counts: dict[str, int] = {}
    transfer: Transfer | None = None
    supervisions: tuple[Supervision, ...] = ()
    recording: Recording = NO_RECORDING
    timers: dict[str, int] = {}
    tasks: tuple[Task, ...] = ()
    pending: tuple[PendingAction, ...] = ()
    open: tuple[OpenCommand, ...] = ()
    answers: tuple[Answer, ...] = ()
    seen: bytes = b""
    policy: Policy = DEFAULT_POLICY
    context: dict[str, str] = {}
    routed: int = 0
    orphan_step: int = 0
    overflowed: bool = False
    reminders: int = 0
    quarantined: Quarantine | None = None
    session: Session | None = None

    @property
    def in_conversation(self) -> bool:
        """Whether a Conversations service has the call."""
        return self.session is not None and self.session.state in LIVE_SESSION_STATES


class StateRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of `call.state`: the atomic step.

    `in_off` is the inbox offset it covers, `owner` the claim's token, `published` the inbox offset up to which
    everything was published before this record was written. `outbox` holds the events of this record's steps that
    were not published when it was written, as CloudEvents in JSON. `call` is None in the record under `~pos`: the
    offset moved, no call did; and in one under `~parked.ID`, whose `parked` inbox record waits until `until` (ms) for
    a call that is not known yet.
    """

    in_off: int
    owner: int
    published: int = -1
    call: Call | None = None
    outbox: tuple[msgspec.Raw, ...] = ()
    parked: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # `Raw | None` can be written and not read
    until: int | None = None
