"""The things that a Twilio account holds, as plain mutable objects: calls, conferences, participants, recordings.

No behaviour here: ``call.py``, ``line.py``, ``conference.py`` and ``recording.py`` change them.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from emulator.clock import Timer
from emulator.people import PATIENT, Person


class CallStatus(StrEnum):
    """A call's status. ``initiated`` is said in callbacks only; REST shows ``queued`` for it."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """Whether the call is over."""
        return self in TERMINAL


TERMINAL = frozenset(
    {CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.FAILED, CallStatus.NO_ANSWER, CallStatus.CANCELED}
)


class Direction(StrEnum):
    """Where a call comes from."""

    INBOUND = "inbound"
    OUTBOUND_API = "outbound-api"
    OUTBOUND_DIAL = "outbound-dial"


class ConferenceStatus(StrEnum):
    """A conference's status."""

    INIT = "init"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"


class ParticipantStatus(StrEnum):
    """A participant's status."""

    QUEUED = "queued"
    CONNECTING = "connecting"
    RINGING = "ringing"
    CONNECTED = "connected"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A callback URL and the events it wants. An empty URL wants nothing."""

    url: str = ""
    method: str = "POST"
    events: frozenset[str] = frozenset()

    def wants(self, event: str) -> bool:
        """Tell whether the event is to be sent."""
        return bool(self.url) and event in self.events


@dataclass(frozen=True, slots=True)
class Source:
    """Where TwiML comes from: a URL, or the text itself; ``extra`` fields go with the request."""

    url: str = ""
    method: str = "POST"
    text: str | None = None
    fallback_url: str = ""
    fallback_method: str = "POST"
    extra: tuple[tuple[str, str], ...] = ()


DETECTION_TIMEOUT_S = 30
"""Where a request does not say how long machine detection may take (twilio-facts.md 2.8)."""


@dataclass(frozen=True, slots=True)
class MachineDetection:
    """How answering machines are to be detected on one call."""

    mode: str
    """``Enable`` or ``DetectMessageEnd``."""
    asynchronous: bool
    url: str = ""
    method: str = "POST"
    timeout_s: float = DETECTION_TIMEOUT_S
    """How long it may take: after that nobody knows who answered."""


class Speech(str):
    """What a party says, among the keys that it presses."""

    __slots__ = ()


@dataclass(eq=False, slots=True, kw_only=True)
class Call:
    """One leg. ``source`` is the TwiML it runs, None for a leg that the Participants API made."""

    sid: str
    account_sid: str
    to: str
    from_: str
    direction: Direction
    created_at: float
    status: CallStatus = CallStatus.QUEUED
    source: Source | None = None
    progress: Subscription = Subscription()
    number_sid: str = ""
    application_sid: str = ""
    custom: dict[str, str] = field(default_factory=dict)
    """Custom parameters of a client's or an ``app:`` call, sent as fields of their own name."""
    parent_call_sid: str | None = None
    timeout_s: float = 60.0
    time_limit_s: float | None = None
    detection: MachineDetection | None = None
    send_digits: str = ""
    """Tones that the called party hears once it has answered."""
    queue_time_ms: int = 0
    updated_at: float = 0.0
    answered_at: float | None = None
    ended_at: float | None = None
    sip_code: int | None = None
    answered_by: str | None = None
    detected_after_ms: int | None = None
    sequence: int = 0
    static_fields: dict[str, str] = field(default_factory=dict)
    participant: "Participant | None" = None
    was_in: str = ""
    """Name of the last conference that it has left."""
    script: "asyncio.Task[None] | None" = None
    timers: list[Timer] = field(default_factory=list)
    pick_up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    digits: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(128))
    """Keys pressed, one each, and ``Speech``."""
    session_over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the control route to end a ``<Connect>`` session."""
    cookies: dict[str, str] | None = None
    """What the customer's servers have set; every request about the call sends them back."""
    peer: "Call | None" = None
    """The other half of an ``app:`` participant; both end together."""
    record: "RecordingWish | None" = None
    person: Person = PATIENT
    """Who calls or is called."""

    @property
    def live(self) -> bool:
        """Whether the call is not over."""
        return self.status not in TERMINAL


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What the first participant fixes for the whole conference."""

    callbacks: Subscription = Subscription()
    max_participants: int = 250
    record: "RecordingWish | None" = None


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """What one participant brings along."""

    label: str = ""
    muted: bool = False
    start_on_enter: bool = True
    end_on_exit: bool = False
    coach_sid: str | None = None
    """The call to coach; None: no coaching."""
    wait: Source | None = None
    """None: Twilio's music. An empty URL: silence."""
    early_media: bool = True
    beep: str = "true"
    max_participants: int = 250


@dataclass(frozen=True, slots=True)
class Departure:
    """Why and how a participant left."""

    reason: str
    call_status: CallStatus
    conference_over: bool = False
    kicked: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class Participant:
    """A call's place in a conference; there from the dialling on, ``joined`` from the answer on."""

    call: Call
    conference: "Conference"
    label: str
    via_api: bool
    muted: bool
    start_on_enter: bool
    end_on_exit: bool
    coaching: bool
    call_sid_to_coach: str | None
    wait: Source | None
    early_media: bool
    created_at: float
    updated_at: float
    gone: "asyncio.Future[Departure]"
    hold: bool = False
    hold_source: Source | None = None
    joined: bool = False
    status: ParticipantStatus = ParticipantStatus.QUEUED
    tuned_to: str = ""
    """What the participant hears now; changes are told to the event stream."""
    player: "asyncio.Task[None] | None" = None


@dataclass(eq=False, slots=True, kw_only=True)
class Conference:
    """One conference. ``participants`` holds the active ones, dialling legs included, by CallSid."""

    sid: str
    account_sid: str
    name: str
    settings: RoomSettings
    created_at: float
    updated_at: float
    sequence: int
    status: ConferenceStatus = ConferenceStatus.INIT
    participants: dict[str, Participant] = field(default_factory=dict)
    departed: "deque[Participant]" = field(default_factory=lambda: deque(maxlen=50))
    """Those who left last; a lagging list still shows them."""
    ever_joined: bool = False
    reason_ended: str | None = None
    call_sid_ending: str | None = None

    def joined(self) -> list[Participant]:
        """Return those who are really in it."""
        return [participant for participant in self.participants.values() if participant.joined]


@dataclass(frozen=True, slots=True)
class RecordingWish:
    """How a recording is to be made and told of."""

    source: str
    channels: int = 1
    track: str = "both"
    callbacks: Subscription = Subscription()
    name: str = ""
    """By which ``<Stop>`` ends it."""


@dataclass(eq=False, slots=True, kw_only=True)
class Recording:
    """A recording of a call or of a conference; no sound is really kept."""

    sid: str
    account_sid: str
    wish: RecordingWish
    created_at: float
    updated_at: float
    call_sid: str = ""
    conference_sid: str = ""
    status: str = "in-progress"
    duration_s: int | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class Number:
    """An incoming phone number of an account."""

    sid: str
    account_sid: str
    number: str
    friendly_name: str
    voice: Source
    progress: Subscription
    voice_application_sid: str
    created_at: float
    updated_at: float


@dataclass(eq=False, slots=True, kw_only=True)
class Application:
    """A TwiML application."""

    sid: str
    account_sid: str
    voice: Source
    progress: Subscription
    created_at: float
    updated_at: float
    friendly_name: str = ""


@dataclass(eq=False, slots=True, kw_only=True)
class Account:
    """The main account or a subaccount: ``active``, ``suspended`` or ``closed``. Its token is the world's."""

    sid: str
    friendly_name: str
    created_at: float
    updated_at: float
    status: str = "active"


@dataclass(eq=False, slots=True, kw_only=True)
class ApiKey:
    """An API key of an account."""

    sid: str
    secret: str
    account_sid: str
    friendly_name: str
    created_at: float
    updated_at: float
