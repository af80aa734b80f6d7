"""The policy of a number: what a call does where nobody commands it (contracts.md section 6).

A call keeps a copy of the policy that it began with. Text values are checked where the file is read
(`cordboard.policies`); here stands only their shape.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

CONVERSATION_PREFIX = "conversation:"
Outcome = Literal["voicemail", "announce_end", "wait"]
_Timeout = Annotated[int, Meta(ge=1, le=600)]


class SupervisionRights(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Patterns over a supervisor's target, per mode. `follow`: stay after a transfer and coach the new agent."""

    monitor: tuple[str, ...] = ("*",)
    coach: tuple[str, ...] = ("*",)
    barge: tuple[str, ...] = ("*",)
    follow: bool = False


class ConversationFailure(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What becomes of a caller whom the Conversations service could not connect, by the reason.

    The first five are how the worker's phone ended, the next five Twilio's other results, `default` is for those that
    are not named. `wait` lets the caller into the room of the call, where the policy goes on as for any caller.
    """

    busy: Outcome | None = None
    no_answer: Outcome | None = None
    failed: Outcome | None = None
    rejected: Outcome | None = None
    cancelled: Outcome | None = None
    failed_create_conversation: Outcome | None = None
    no_other_participants: Outcome | None = None
    invalid_conversation: Outcome | None = None
    no_existing_conversation: Outcome | None = None
    internal_error: Outcome | None = None
    default: Outcome = "announce_end"


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The attributes of `<Connect><Conversation>` that are a matter of choice, by Twilio's names (twilio-facts.md 4.5).

    Times in seconds. `method` is that of the action and of both callbacks. The service comes from the route, the URLs
    are ours, what the worker hears alone is the policy's `whisper`.
    """

    inbound_autocreation: bool = True
    routing_assignment_timeout_s: _Timeout = 5
    inbound_timeout_s: _Timeout = 60
    record: (
        Literal[
            "do-not-record",
            "record-from-answer",
            "record-from-ringing",
            "record-from-answer-dual",
            "record-from-ringing-dual",
        ]
        | bool
    ) = "do-not-record"
    trim: Literal["do-not-trim", "trim-silence"] = "do-not-trim"
    status_events: tuple[Literal["call-initiated", "call-ringing", "call-answered", "call-completed"], ...] = (
        "call-initiated",
        "call-ringing",
        "call-answered",
        "call-completed",
    )
    recording_events: tuple[Literal["in-progress", "completed", "absent"], ...] = ("in-progress", "completed", "absent")
    method: Literal["POST", "GET"] = "POST"
    on_failure: ConversationFailure = ConversationFailure(busy="voicemail", no_answer="voicemail")

    @property
    def recorded(self) -> bool:
        """Whether the talk is recorded."""
        return self.record not in {False, "do-not-record"}


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times in seconds; 0 switches a limit off. `route`: `("wait",)`, targets rung in order, or a conversation."""

    route: tuple[str, ...] = ("wait",)
    max_wait_s: int = 300
    max_wait: str = "announce_end"
    wait_audio: str | None = None
    hold_audio: str | None = None
    whisper: str | None = None
    ring_timeout_s: int = 20
    hold_reminder_s: int = 0
    hold_max_s: int = 0
    hold_max: str = "alert"
    orphan: tuple[str, ...] = ("recall", "announce_end")
    orphan_grace_s: int = 30
    consult_limit_s: int = 0
    consult_limit: str = "alert"
    abandoned_consult_s: int = 30
    customer_left: str = "end"
    wrap_up_s: int = 0
    unanswered: str = "end"
    machine: str = "off"
    machine_message: str | None = None
    recording: str = "off"
    max_pause_s: int = 120
    supervision: SupervisionRights = SupervisionRights()
    conversation: Conversation = Conversation()

    @property
    def service_sid(self) -> str | None:
        """The Conversations service (`IS…`) that callers are handed to, or None where they come into the room."""
        first = self.route[0] if self.route else ""
        return first.removeprefix(CONVERSATION_PREFIX) if first.startswith(CONVERSATION_PREFIX) else None


DEFAULT_POLICY = Policy()


class Policies(msgspec.Struct, frozen=True):
    """The policy of every number; a number without its own has the defaults."""

    defaults: Policy = DEFAULT_POLICY
    by_number: dict[str, Policy] = {}

    def of(self, number: str) -> Policy:
        """The policy of `number` (E.164)."""
        policy = self.by_number.get(number, self.defaults)
        return DEFAULT_POLICY if policy == DEFAULT_POLICY else policy  # the one object that is left out when written
