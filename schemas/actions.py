"""What the engine wants done at Twilio: one REST command each, with a derived id and a deadline."""

from enum import StrEnum

import msgspec

from schemas.prompts import Prompt


class OnDoubt(StrEnum):
    """What a worker does when it cannot be proven whether a creation reached Twilio (reliability.md 3.3)."""

    FAIL = "fail"
    RETRY = "retry"


class _Action(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """What all actions have. `at` is when the cause was taken, `deadline` the last moment to begin sending, both ms."""

    id: str
    call_id: str
    account_sid: str
    at: int
    deadline: int
    leg: str | None = None


class CreateParticipant(_Action, frozen=True, tag="create_participant", omit_defaults=True, kw_only=True):
    """Dial a leg straight into the room with `label` = the leg id. `to` is Twilio's address, not a target text.

    `room` is the friendly name; `conference_sid` is used instead once it is known. `from_` empty: the account's number.
    `detect_message_end`: a machine is told after its tone, and not at its first word.
    """

    room: str
    to: str
    from_: str = ""
    conference_sid: str | None = None
    timeout_s: int = 20
    end_on_exit: bool = False
    muted: bool = False
    early_media: bool = False
    detect_machine: bool = False
    detect_message_end: bool = False
    on_doubt: OnDoubt = OnDoubt.FAIL


class CreateCall(_Action, frozen=True, tag="create_call", omit_defaults=True, kw_only=True):
    """Dial a leg that hears `whisper` before our TwiML lets it into `room` (empty: the first one of its call)."""

    to: str
    from_: str = ""
    room: str = ""
    whisper: Prompt | None = None
    timeout_s: int = 20
    detect_machine: bool = False
    on_doubt: OnDoubt = OnDoubt.FAIL


class UpdateParticipant(_Action, frozen=True, tag="update_participant", omit_defaults=True, kw_only=True):
    """Change a participant. Only what is set is sent. `coach` is the CallSid to coach, empty to stop coaching."""

    conference_sid: str
    call_sid: str
    hold: bool | None = None
    hold_audio: str | None = None
    muted: bool | None = None
    end_on_exit: bool | None = None
    coach: str | None = None
    announce: Prompt | None = None


class RemoveParticipant(_Action, frozen=True, tag="remove_participant", omit_defaults=True, kw_only=True):
    """Take a participant out of the conference (DELETE)."""

    conference_sid: str
    call_sid: str


class EndConference(_Action, frozen=True, tag="end_conference", omit_defaults=True, kw_only=True):
    """End the room for all. `call_sids` are hung up one by one where Twilio refuses because it has not started."""

    conference_sid: str
    call_sids: tuple[str, ...] = ()


class HangUp(_Action, frozen=True, tag="hang_up", omit_defaults=True, kw_only=True):
    """End one Twilio call in whatever state it is."""

    call_sid: str


class RedirectCall(_Action, frozen=True, tag="redirect_call", omit_defaults=True, kw_only=True):
    """Take a leg out of the room to hear `announce`, and to leave a message if `voicemail`; after it the call ends."""

    call_sid: str
    announce: Prompt
    voicemail: bool = False


class RejoinRoom(_Action, frozen=True, tag="rejoin_room", omit_defaults=True, kw_only=True):
    """Let a leg that has come out of a conference into `room` (a friendly name), by redirecting its own call."""

    call_sid: str
    room: str
    wait_audio: str | None = None
    """What its policy plays to who waits there alone: the policy for new calls may have changed since."""


class AnnounceAll(_Action, frozen=True, tag="announce_all", omit_defaults=True, kw_only=True):
    """Everybody in the room hears a prompt."""

    conference_sid: str
    announce: Prompt


class RecordingStatus(StrEnum):
    """What a call's recording can be told to be. `stopped` is final."""

    PAUSED = "paused"
    IN_PROGRESS = "in-progress"
    STOPPED = "stopped"


class StartRecording(_Action, frozen=True, tag="start_recording", omit_defaults=True, kw_only=True):
    """Record one Twilio call, two channels, until it ends or is told to stop. Twilio has no key against a second one.

    The leg's own call is recorded and not the conference, so that the recording lasts through transfers.
    """

    call_sid: str


class UpdateRecording(_Action, frozen=True, tag="update_recording", omit_defaults=True, kw_only=True):
    """Pause, resume or stop a recording."""

    call_sid: str
    recording_sid: str
    status: RecordingStatus


class TaskEnd(StrEnum):
    """How a task is ended: the work is done, nobody wants it any more, or the worker still writes it up."""

    COMPLETED = "completed"
    CANCELED = "canceled"
    WRAPPING = "wrapping"


class ReservationAnswer(StrEnum):
    """What we say to a reservation once the worker's leg has told."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class CreateTask(_Action, frozen=True, tag="create_task", omit_defaults=True, kw_only=True):
    """Ask TaskRouter for a worker. The attributes carry `queue`, `call_id`, `call_sid` and `task`, and the context.

    `conference_sid` and `original_task` (a SID) go with them where they are known: a transfer to a queue.
    """

    task: str
    queue: str
    call_sid: str
    context: dict[str, str] = {}
    conference_sid: str | None = None
    original_task: str | None = None


class UpdateTask(_Action, frozen=True, tag="update_task", omit_defaults=True, kw_only=True):
    """End a task."""

    task: str
    task_sid: str
    status: TaskEnd
    reason: str = ""


class TaskConference(msgspec.Struct, frozen=True, gc=False):
    """What TaskRouter's own conference instruction writes into a task: the room and the CallSids of the two in it."""

    room_name: str
    sid: str
    worker: str
    customer: str


class AnnotateTask(_Action, frozen=True, tag="annotate_task", omit_defaults=True, kw_only=True):
    """Merge the call's id, and the conference where one is given, into a task's attributes. The others stay."""

    task: str
    task_sid: str
    conference: TaskConference | None = None


class UpdateReservation(_Action, frozen=True, tag="update_reservation", omit_defaults=True, kw_only=True):
    """Answer a reservation."""

    task: str
    task_sid: str
    reservation_sid: str
    status: ReservationAnswer


class LookUp(_Action, frozen=True, tag="look_up", omit_defaults=True, kw_only=True):
    """Look at Twilio and report what is there. Changes nothing.

    The room's participants, the calls named, and the recording `recording_sid` of the call `recorded_sid`.
    """

    room: str
    conference_sid: str | None = None
    call_sids: tuple[str, ...] = ()
    recording_sid: str | None = None
    recorded_sid: str = ""


Action = (
    CreateParticipant | CreateCall | UpdateParticipant | RemoveParticipant | EndConference | HangUp | AnnounceAll
    | RedirectCall | RejoinRoom | StartRecording | UpdateRecording
    | CreateTask | UpdateTask | AnnotateTask | UpdateReservation | LookUp
)  # fmt: skip

CREATING = (CreateParticipant, CreateCall)


def action_type(action: Action) -> str:
    """The action's type as it stands in messages, `create_participant`."""
    return str(type(action).__struct_config__.tag)
