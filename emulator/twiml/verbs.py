"""The verbs of TwiML that are emulated, as data. URLs stand as written; ``Document.absolute`` resolves them."""

from dataclasses import dataclass


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
class Dial:
    """``<Dial>`` of a conference."""

    conference: ConferenceNoun
    action: str = ""
    method: str = "POST"
    time_limit_s: float = 14_400.0
    hangup_on_star: bool = False


@dataclass(frozen=True, slots=True)
class Gather:
    """Collects digits while its prompts play. An empty action is the current document."""

    prompts: "tuple[Say | Play | Pause, ...]"
    action: str = ""
    method: str = "POST"
    timeout_s: float = 5.0
    num_digits: int | None = None
    finish_on_key: str = "#"
    action_on_empty_result: bool = False


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
    """``<Connect>`` of a media session, which lasts until somebody ends it."""

    noun: str
    action: str = ""
    method: str = "POST"


Verb = Say | Play | Pause | Redirect | Hangup | Reject | Dial | Gather | Record | Connect
