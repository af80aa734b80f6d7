"""Inbox records: everything that can happen to a call, keyed by `call_id`, applied in the order of the log."""

from enum import StrEnum

import msgspec

from schemas.webhooks import Source


class InboxRecord(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True, gc=False):
    """What all of them have. `id` is the same for every delivery of the same thing; `at` is when we took it, ms."""

    id: str
    call_id: str
    at: int


class Webhook(InboxRecord, frozen=True, tag="webhook", omit_defaults=True, gc=False):
    """A verified callback. `params`: the whole form as a JSON object of text; `leg` and `action` come from our URL.

    `answered` is the TwiML that we gave, where the call could have been led elsewhere: `conversation` for a call that
    begins, what its policy had for the caller when a conversation has ended.
    """

    source: Source
    params: msgspec.Raw
    leg: str | None = None
    action: str | None = None
    trace: str | None = None
    parked: bool = False
    answered: str | None = None


class Command(InboxRecord, frozen=True, tag="command", omit_defaults=True, gc=False):
    """A command as the router took it. `name` is the short name; `deadline` bounds the start of its effect, ms.

    `invalid` carries the reason when it could not be read; it is answered `rejected(invalid)`. `parked`: it was refused
    because its call was not there, and comes again to be forgotten.
    """

    command_id: str
    command_source: str
    command_type: str
    data: msgspec.Raw
    deadline: int
    name: str = ""
    invalid: str | None = None
    trace: str | None = None
    parked: bool = False


class ActionOutcome(StrEnum):
    """How an action ended: the worker's four words."""

    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class ParticipantSeen(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A participant as Twilio's list shows it."""

    call_sid: str
    label: str | None = None
    status: str = ""
    hold: bool = False
    muted: bool = False
    end_on_exit: bool = False
    coaching: str | None = None


class CallSeen(msgspec.Struct, frozen=True, gc=False):
    """A Twilio call as a fetch shows it."""

    call_sid: str
    status: str


class RecordingSeen(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A recording as a fetch shows it, in Twilio's own words or `missing`. `duration_s` is the file's."""

    recording_sid: str
    status: str
    duration_s: int | None = None


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a look at Twilio found: the room's live conference and participants, the calls and recording asked for."""

    conference_sid: str | None = None
    conference_status: str | None = None
    participants: tuple[ParticipantSeen, ...] = ()
    calls: tuple[CallSeen, ...] = ()
    recording: RecordingSeen | None = None


class ActionReport(InboxRecord, frozen=True, tag="report", omit_defaults=True, gc=False):
    """The outcome of an action. `code` is Twilio's error code, `status` the HTTP status, `reason` a short word.

    `recording_status` is what Twilio's answer shows the recording to be, in its own words.
    """

    action: str
    action_type: str
    outcome: ActionOutcome
    leg: str | None = None
    code: int | None = None
    status: int | None = None
    reason: str | None = None
    call_sid: str | None = None
    conference_sid: str | None = None
    recording_sid: str | None = None
    recording_status: str | None = None
    task_sid: str | None = None
    attempts: int = 1
    seen: Observation | None = None


class TimerDue(InboxRecord, frozen=True, tag="timer", omit_defaults=True, gc=False):
    """A timer of the call fell due. `due` is the instant it was set for, ms; another `due` means it was re-armed."""

    name: str
    due: int


class Resumed(InboxRecord, frozen=True, tag="resumed", omit_defaults=True, gc=False):
    """An owner has taken the call over after an outage in which callbacks may have been lost: look at Twilio."""


Inbox = Webhook | Command | ActionReport | TimerDue | Resumed
