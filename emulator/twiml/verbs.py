"""The verbs of TwiML that are emulated, as data. URLs stand as written; ``Document.absolute`` resolves them."""

from dataclasses import dataclass

from emulator.entities import DETECTION_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Say:
    """Speaks a text ``loop`` times; 0 is for ever."""

    text: str
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """Plays a file ``loop`` times (0 is for ever), or DTMF digits."""

    url: str
    loop: int = 1
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits in silence."""

    length_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Goes on with another document."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """Ends the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuses an incoming call that is not answered yet."""

    reason: str = "rejected"


@dataclass(frozen=True, slots=True)
class ConferenceNoun:
    """``<Conference>`` with the attributes that have an effect here; URLs as written."""

    name: str
    muted: bool = False
    beep: str = "true"
    start_on_enter: bool = True
    end_on_exit: bool = False
    label: str = ""
    wait_url: str | None = None
    wait_method: str = "POST"
    max_participants: int = 250
    record: bool = False
    coach: str = ""
    status_callback: str = ""
    status_callback_method: str = "POST"
    status_callback_events: frozenset[str] = frozenset()
    recording_status_callback: str = ""
    recording_status_callback_method: str = "POST"
    recording_status_callback_events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class QueueNoun:
    """``<Queue>``: who waits at the front of a queue, or whom a reservation means."""

    name: str
    url: str = ""
    method: str = "POST"
    reservation_sid: str = ""
    post_work_activity_sid: str = ""


@dataclass(frozen=True, slots=True)
class PartyNoun:
    """``<Number>``, ``<Client>`` or ``<Sip>``. ``url`` is what the called party hears before the bridge."""

    to: str
    url: str = ""
    method: str = "POST"
    callback: str = ""
    callback_method: str = "POST"
    callback_events: frozenset[str] = frozenset({"completed"})
    send_digits: str = ""
    """Pressed after the answer, of ``<Number>`` alone."""
    detection: str = ""
    """``Enable`` or ``DetectMessageEnd``; empty: machines are not detected."""
    detection_callback: str = ""
    detection_method: str = "POST"
    detection_timeout_s: float = DETECTION_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Dial:
    """``<Dial>`` of a conference, a queue, or parties."""

    conference: ConferenceNoun | None = None
    queue: QueueNoun | None = None
    parties: tuple[PartyNoun, ...] = ()
    action: str = ""
    method: str = "POST"
    timeout_s: float = 30.0
    time_limit_s: float = 14_400.0
    hangup_on_star: bool = False
    caller_id: str = ""
    sequential: bool = False
    answer_on_bridge: bool = False
    record_channels: int = 0
    """0: not recorded."""
    recording_track: str = "both"
    recording_callback: str = ""
    recording_callback_method: str = "POST"
    recording_callback_events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class Enqueue:
    """``<Enqueue>``: waits in a queue, or as a task of a workflow."""

    name: str
    workflow_sid: str
    task: dict[str, object]
    task_priority: int
    task_timeout_s: float
    action: str
    method: str
    wait_url: str | None
    """None: Twilio's music. Empty: silence."""
    wait_method: str
    max_queue_size: int | None


@dataclass(frozen=True, slots=True)
class Leave:
    """Leaves the queue; in a queue's wait document only."""


@dataclass(frozen=True, slots=True)
class ConversationNoun:
    """``<Conversation>`` of the Frontline kind."""

    service_sid: str
    autocreation: bool
    routing_timeout_s: float
    timeout_s: float
    record_channels: int
    recording_callback: str
    recording_callback_method: str
    recording_callback_events: frozenset[str]
    callback: str
    callback_method: str
    callback_events: frozenset[str]
    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Gather:
    """Collects digits or speech while its prompts play. An empty action is the current document."""

    prompts: "tuple[Say | Play | Pause, ...]"
    action: str = ""
    method: str = "POST"
    timeout_s: float = 5.0
    num_digits: int | None = None
    finish_on_key: str = "#"
    action_on_empty_result: bool = False
    digits: bool = True
    speech: bool = False

    @property
    def wants(self) -> str:
        """What it waits for, in words."""
        count = f"{self.num_digits} digits" if self.num_digits else "digits"
        ends = f", {self.finish_on_key} ends" if self.finish_on_key and self.num_digits != 1 else ""
        return " or ".join([*([count + ends] if self.digits else []), *(["speech"] if self.speech else [])])


@dataclass(frozen=True, slots=True)
class Record:
    """Records a message. An empty action is the current document."""

    action: str = ""
    method: str = "POST"
    max_length_s: float = 3600.0
    finish_on_key: str = "1234567890*#"
    callback: str = ""
    callback_method: str = "POST"
    callback_events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class Connect:
    """``<Connect>`` of a media session, which lasts until somebody ends it, or of a ``<Conversation>``."""

    noun: str
    action: str = ""
    method: str = "POST"
    conversation: ConversationNoun | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """``<Start><Recording>``: records the call while the document goes on."""

    name: str = ""
    channels: int = 2
    track: str = "both"
    callback: str = ""
    callback_method: str = "POST"
    callback_events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class Stop:
    """``<Stop><Recording name="…"/>``: ends what ``<Start>`` began; without a name, all of it."""

    name: str = ""


Sound = Say | Play | Pause
Verb = Sound | Redirect | Hangup | Reject | Dial | Gather | Record | Connect | Enqueue | Leave | Start | Stop
