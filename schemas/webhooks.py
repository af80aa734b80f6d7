"""Twilio's callbacks as typed views over the form (twilio-facts.md section 2). Tolerant: unknown fields are left aside.

The record in the inbox keeps the whole form; these structs are read from it. Values are text on the wire; msgspec's
lax mode turns `true` and `12` into what the fields say.
"""

from enum import StrEnum

import msgspec
from msgspec import field


class Source(StrEnum):
    """Which callback a webhook is: by the route it came to, never by guessing from its fields."""

    VOICE = "voice"
    JOINING = "joining"
    STATUS = "status"
    CONFERENCE = "conference"
    AMD = "amd"
    RECORDING = "recording"
    DIAL_ACTION = "dial_action"
    ENQUEUE_ACTION = "enqueue_action"
    CONVERSATION_ACTION = "conversation_action"
    CONVERSATION_STATUS = "conversation_status"
    VOICEMAIL = "voicemail"
    ASSIGNMENT = "assignment"
    TASK = "task"


class _Form(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    """Base of the views: Twilio's PascalCase names."""


class VoiceRequest(_Form, frozen=True, rename="pascal", gc=False):
    """A TwiML request for a call that begins: a number's voice URL or the browser's TwiML app."""

    call_sid: str
    account_sid: str
    call_status: str = ""
    direction: str = ""
    from_: str = field(default="", name="From")
    to: str = ""
    application_sid: str | None = None


class CallProgress(_Form, frozen=True, rename="pascal", gc=False):
    """A call status callback. `sequence_number` counts per call from 0; arrival order is not guaranteed."""

    call_sid: str
    call_status: str
    account_sid: str = ""
    sequence_number: int | None = None
    timestamp: str | None = None
    call_duration: int | None = None
    sip_response_code: str | None = None
    answered_by: str | None = None
    direction: str = ""


class ConferenceEvent(_Form, frozen=True, rename="pascal", gc=False):
    """A conference status callback."""

    conference_sid: str
    status_callback_event: str
    account_sid: str = ""
    friendly_name: str = ""
    sequence_number: int | None = None
    timestamp: str | None = None
    call_sid: str | None = None
    participant_label: str | None = None
    muted: bool | None = None
    hold: bool | None = None
    coaching: bool | None = None
    call_sid_to_coach: str | None = None
    start_conference_on_enter: bool | None = None
    end_conference_on_exit: bool | None = None
    reason_participant_left: str | None = None
    participant_call_status: str | None = None
    reason_conference_ended: str | None = None
    call_sid_ending_conference: str | None = None


class MachineDetection(_Form, frozen=True, rename="pascal", gc=False):
    """An answering-machine callback."""

    call_sid: str
    answered_by: str
    account_sid: str = ""
    machine_detection_duration: int | None = None


class RecordingProgress(_Form, frozen=True, rename="pascal", gc=False):
    """A recording status callback."""

    recording_sid: str
    recording_status: str
    account_sid: str = ""
    call_sid: str | None = None
    conference_sid: str | None = None
    recording_duration: int | None = None
    recording_channels: str | None = None


class VoicemailLeft(_Form, frozen=True, rename="pascal", gc=False):
    """The `<Record action>` request: what was recorded, nothing where there is no duration."""

    call_sid: str
    account_sid: str = ""
    recording_sid: str | None = None
    recording_duration: int | None = None


class Assignment(_Form, frozen=True, rename="pascal", gc=False):
    """TaskRouter's assignment callback: a worker is reserved for a task. The attributes are JSON text."""

    task_sid: str
    reservation_sid: str
    account_sid: str = ""
    worker_sid: str = ""
    worker_attributes: str = "{}"
    task_attributes: str = "{}"
    task_queue_name: str = ""


class TaskEvent(_Form, frozen=True, rename="pascal", gc=False):
    """A TaskRouter event about a task or a reservation. `sid` is the event's own.

    `task_canceled_reason` is `hangup` where the caller gave up in the queue, `redirected` where the call was led away.
    """

    event_type: str
    sid: str
    account_sid: str = ""
    task_sid: str = ""
    reservation_sid: str | None = None
    task_attributes: str = "{}"
    task_queue_name: str = ""
    task_canceled_reason: str = ""
    worker_attributes: str = "{}"


class QueueLeft(_Form, frozen=True, rename="pascal", gc=False):
    """The `<Enqueue action>` request: the caller is in TaskRouter's queue no more. `queue_time` is in seconds."""

    call_sid: str
    queue_result: str
    account_sid: str = ""
    queue_time: int | None = None


class DialEnded(_Form, frozen=True, rename="pascal", gc=False):
    """The `<Dial action>` request of a leg whose `<Dial><Conference>` ended."""

    call_sid: str
    call_status: str = ""
    account_sid: str = ""
    dial_call_status: str = ""


class ConversationEnded(_Form, frozen=True, rename="pascal", gc=False):
    """The `<Connect action>` request: how a `<Conversation>` ended. `call_status` is that of the leg that waited."""

    call_sid: str
    result: str
    account_sid: str = ""
    call_status: str = ""
    worker_initiated: bool | None = None
    dial_call_status: str = ""
    dial_call_sid: str | None = None
    dial_call_duration: int | None = None
    recording_sid: str | None = None
    recording_duration: int | None = None

    @property
    def failure(self) -> str | None:
        """Why nobody was connected; None where somebody was.

        Twilio's own walk-through has the Result `no-answer`, its tables `dialed-call-incomplete` with the
        DialCallStatus `no-answer`: both are taken (state-machines.md section 9). A Result that nobody has described
        counts as `internal_error`. A leg that answered and was gone before the two were connected has declined.
        """
        if self.result == "session-success":
            return None
        if self.result in {"dialed-call-incomplete", "no-answer"}:
            return _UNREACHED.get(self.dial_call_status or self.result, "failed")
        reason = self.result.replace("-", "_")
        return reason if reason in CONVERSATION_FAILURES else "internal_error"


_UNREACHED = {
    "completed": "rejected",
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "cancelled",
}
CONVERSATION_FAILURES = frozenset(
    {"failed_create_conversation", "no_other_participants", "invalid_conversation", "no_existing_conversation",
     "internal_error"}
)  # fmt: skip


class ConversationProgress(_Form, frozen=True, rename="pascal", gc=False):
    """A `<Conversation>` status callback. `sequence_number` counts from 1 per session; there is no `CallSid` in it."""

    dial_call_sid: str
    status: str
    account_sid: str = ""
    conversation_sid: str | None = None
    worker_initiated: bool | None = None
    sequence_number: int | None = None
    timestamp: str | None = None


Form = (
    VoiceRequest | CallProgress | ConferenceEvent | MachineDetection | RecordingProgress | DialEnded | VoicemailLeft
    | Assignment | TaskEvent | ConversationEnded | ConversationProgress | QueueLeft
)  # fmt: skip

FORMS: dict[Source, type[Form]] = {
    Source.VOICE: VoiceRequest,
    Source.JOINING: VoiceRequest,
    Source.STATUS: CallProgress,
    Source.CONFERENCE: ConferenceEvent,
    Source.AMD: MachineDetection,
    Source.RECORDING: RecordingProgress,
    Source.DIAL_ACTION: DialEnded,
    Source.ENQUEUE_ACTION: QueueLeft,
    Source.CONVERSATION_ACTION: ConversationEnded,
    Source.CONVERSATION_STATUS: ConversationProgress,
    Source.VOICEMAIL: VoicemailLeft,
    Source.ASSIGNMENT: Assignment,
    Source.TASK: TaskEvent,
}

_decoders = {source: msgspec.json.Decoder(form, strict=False) for source, form in FORMS.items()}


def read_form(source: Source, params: bytes | msgspec.Raw) -> Form:
    """The typed view of a form given as a JSON object of text values. Raises `msgspec.ValidationError`.

    A number or switch that came empty counts as absent: Twilio sends some fields so (twilio-facts.md 2.1).
    """
    try:
        return _decoders[source].decode(params)
    except msgspec.ValidationError:
        given = {name: value for name, value in msgspec.json.decode(params, type=dict[str, str]).items() if value}
        return msgspec.convert(given, FORMS[source], strict=False)


def record_id(source: Source, form: Form) -> str:
    """What makes two deliveries the same callback: source, SIDs, event and sequence (twilio-facts.md 2.10)."""
    match form:
        case CallProgress():  # what comes most is asked for first
            return f"status.{form.call_sid}.{form.call_status}.{_order(form.sequence_number, form.timestamp)}"
        case ConferenceEvent():
            order = _order(form.sequence_number, form.timestamp)
            return f"conference.{form.conference_sid}.{form.status_callback_event}.{form.call_sid or ''}.{order}"
        case VoiceRequest() | DialEnded() | VoicemailLeft() | ConversationEnded():
            return f"{source.value}.{form.call_sid}"
        case ConversationProgress():
            order = _order(form.sequence_number, form.timestamp)
            return f"conversation_status.{form.dial_call_sid}.{form.status}.{order}"
        case MachineDetection():
            return f"amd.{form.call_sid}.{form.answered_by}"
        case RecordingProgress():
            return f"recording.{form.recording_sid}.{form.recording_status}"
        case Assignment() | TaskEvent():
            return f"task.{form.sid}" if isinstance(form, TaskEvent) else f"assignment.{form.reservation_sid}"
        case QueueLeft():
            return f"enqueue_action.{form.call_sid}.{form.queue_result}"


GIVEN_BACK = frozenset({"error", "system-error", "queue-full", "leave"})
"""Results of `<Enqueue>` after which the caller is still on the line and hears what the action answers."""

LED_AWAY = frozenset({"hangup", "redirected", "redirected-from-bridged"})
"""Results of `<Enqueue>` after which nobody runs what the action answers."""


def _order(sequence: int | None, timestamp: str | None) -> str:
    return str(sequence) if sequence is not None else (timestamp or "")
