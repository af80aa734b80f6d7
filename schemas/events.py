"""What the world is told: `cordboard.event.NAME.v1`. `EVENTS` is the catalogue: name to data struct.

Every event says what changed (`from`, `to`), what caused it (`cause`: id of the record) and what a reader needs to
understand it alone. Phone numbers stand only where a reader dials or shows them (`target`).
"""

import msgspec
from msgspec import field

TYPE_PREFIX = "cordboard.event."
TYPE_SUFFIX = ".v1"


class _Data(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What all event data has."""

    cause: str


class CallEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`call.…`: the call moved from one state to another, or something happened to it as a whole."""

    from_: str | None = field(default=None, name="from")
    to: str | None = None
    reason: str | None = None
    leg: str | None = None
    direction: str | None = None
    room: str | None = None
    duration_s: float | None = None


class LegEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`leg.…`: a leg moved to the state that the event is named after, or one of its flags changed."""

    leg: str
    role: str
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    reason: str | None = None
    call_sid: str | None = None
    target: str | None = None
    by: str | None = None


class TransferEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`transfer.…`: the transfer moved, or one of its attempts failed."""

    transfer: str
    mode: str
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    reason: str | None = None
    initiator: str | None = None
    leg: str | None = None
    target: str | None = None
    disposition: str | None = None


class HoldEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`hold.…`: a hold was reminded of or ended. `duration_s` counts from the confirmed hold."""

    leg: str
    duration_s: float
    count: int | None = None


class SupervisionEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`supervision.…`: who listens to whom, for the audit. `supervisor` is the leg, `target` who it is.

    `mode` is the mode meant, `coach` the coached leg, `replaced` the agent whose place was taken.
    """

    supervisor: str
    mode: str
    target: str | None = None
    coach: str | None = None
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    reason: str | None = None
    replaced: str | None = None


class RecordingEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`recording.…`: the recording moved to the state that the event is named after.

    `recording_sid` is Twilio's `RE…`, `duration_s` the length that Twilio tells with `completed`, else the length of
    the pause that has ended.
    """

    from_: str | None = field(default=None, name="from")
    to: str | None = None
    leg: str | None = None
    recording_sid: str | None = None
    reason: str | None = None
    duration_s: float | None = None


class TaskRouterEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`task.…`: the search for a worker moved. `leg` is the worker's of the present reservation."""

    task: str
    queue: str
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    reason: str | None = None
    leg: str | None = None
    task_sid: str | None = None


class VoicemailEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`voicemail.…`: the customer was asked for a message and left one, or did not."""

    leg: str
    duration_s: int = 0
    recording_sid: str | None = None


class ConversationEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`conversation.…`: the session of a Conversations service moved to the state that the event is named after.

    `leg` is the one that the service dialled. `result` is Twilio's word for the end, `reason` ours for a failure,
    `outcome` what the caller is led to: `voicemail`, `announce_end`, `wait`, `announce`, `hang_up`. `duration_s` is
    the talk's.
    """

    service_sid: str
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    reason: str | None = None
    leg: str | None = None
    conversation_sid: str | None = None
    worker_initiated: bool = False
    result: str | None = None
    outcome: str | None = None
    duration_s: float | None = None


class ActionEvent(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`action.…`: something asked of Twilio did not go as asked."""

    action: str
    action_type: str
    outcome: str
    leg: str | None = None
    reason: str | None = None
    code: int | None = None
    status: int | None = None


class FactIgnored(_Data, frozen=True, omit_defaults=True, kw_only=True):
    """`fact.ignored`: a record changed nothing; `reason` says why (`duplicate`, `stale`, `late`, `not_expected`…)."""

    fact: str
    reason: str
    state: str | None = None
    leg: str | None = None


EventData = (
    CallEvent | LegEvent | TransferEvent | HoldEvent | SupervisionEvent | RecordingEvent | VoicemailEvent
    | TaskRouterEvent | ConversationEvent | ActionEvent | FactIgnored
)  # fmt: skip

CALL_EVENTS = (
    "call.created", "call.waiting", "call.connected", "call.held", "call.resumed", "call.transferring", "call.orphaned",
    "call.recovered", "call.customer_left", "call.abandoned", "call.unanswered", "call.cancelled", "call.wrap_up",
    "call.ringing", "call.rescued", "call.dropped", "call.reaped", "call.quarantined", "call.ended",
)  # fmt: skip
LEG_EVENTS = (
    "leg.planned", "leg.dialing", "leg.ringing", "leg.answered", "leg.joined", "leg.leaving", "leg.left", "leg.failed",
    "leg.lost", "leg.adopted", "leg.held", "leg.unheld", "leg.muted", "leg.unmuted", "leg.modified", "leg.drift",
)  # fmt: skip
TRANSFER_EVENTS = (
    "transfer.started", "transfer.dialing", "transfer.consulting", "transfer.swapped", "transfer.three_way",
    "transfer.completing", "transfer.awaiting_target", "transfer.cancelling", "transfer.fallback",
    "transfer.attempt_failed", "transfer.race", "transfer.target_arrived", "transfer.consult_limit",
    "transfer.completed", "transfer.cancelled", "transfer.failed", "transfer.abandoned",
)  # fmt: skip
HOLD_EVENTS = ("hold.reminder", "hold.limit", "hold.ended")
SUPERVISION_EVENTS = (
    "supervision.started", "supervision.mode_changed", "supervision.customer_held", "supervision.failed",
    "supervision.ended", "supervision.taken_over",
)  # fmt: skip
RECORDING_EVENTS = (
    "recording.started", "recording.paused", "recording.resumed", "recording.stopped", "recording.completed",
    "recording.failed", "recording.absent",
)  # fmt: skip
TASK_EVENTS = (
    "task.creating", "task.pending", "task.reserved", "task.assigned", "task.wrapping", "task.completed",
    "task.canceled", "task.failed",
)  # fmt: skip
CONVERSATION_EVENTS = (
    "conversation.connecting", "conversation.dialing", "conversation.ringing", "conversation.talking",
    "conversation.closing", "conversation.succeeded", "conversation.failed", "conversation.abandoned",
)  # fmt: skip
VOICEMAIL_EVENTS = ("voicemail.recorded", "voicemail.empty")
ACTION_EVENTS = ("action.failed", "action.expired", "action.unknown")

EVENTS: dict[str, type[EventData]] = {
    **dict.fromkeys(CALL_EVENTS, CallEvent),
    **dict.fromkeys(LEG_EVENTS, LegEvent),
    **dict.fromkeys(TRANSFER_EVENTS, TransferEvent),
    **dict.fromkeys(HOLD_EVENTS, HoldEvent),
    **dict.fromkeys(SUPERVISION_EVENTS, SupervisionEvent),
    **dict.fromkeys(RECORDING_EVENTS, RecordingEvent),
    **dict.fromkeys(TASK_EVENTS, TaskRouterEvent),
    **dict.fromkeys(CONVERSATION_EVENTS, ConversationEvent),
    **dict.fromkeys(VOICEMAIL_EVENTS, VoicemailEvent),
    **dict.fromkeys(ACTION_EVENTS, ActionEvent),
    "fact.ignored": FactIgnored,
}


def type_of(name: str) -> str:
    """The CloudEvent type of an event's name."""
    return f"{TYPE_PREFIX}{name}{TYPE_SUFFIX}"


def name_of(event_type: str) -> str | None:
    """The event's name behind a CloudEvent type, or None for another kind of message."""
    if not (event_type.startswith(TYPE_PREFIX) and event_type.endswith(TYPE_SUFFIX)):
        return None
    return event_type[len(TYPE_PREFIX) : -len(TYPE_SUFFIX)]
