"""Configuration of the emulator: one frozen struct, made by whoever starts it. Reads no environment."""

import msgspec

from emulator.faults import Chaos
from emulator.people import Person, Share
from emulator.switches import Switches
from emulator.taskrouter.config import TaskRouterConfig

DEFAULT_PORT = 8090


class NumberConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An incoming phone number and where it points."""

    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    voice_application_sid: str = ""
    friendly_name: str = ""
    account_sid: str = ""
    """Empty: the emulator's main account."""


class ApplicationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TwiML application (``AP…``): what browser calls and ``app:`` participants reach."""

    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    account_sid: str = ""


class ConversationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Conversations service (``IS…``) that ``<Connect><Conversation>`` reaches."""

    worker: str = ""
    """Who is dialled: an address. Empty: no worker is found in time."""
    exists: bool = False
    """Whether there is a conversation already, for ``inboundAutocreation="false"``."""
    result: str = ""
    """A Result that every call gets at once: ``failed-create-conversation``, ``internal-error``…"""


class EmulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a local Twilio needs. Port 0 takes a free port; durations in seconds."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    account_sid: str = "AC00000000000000000000000000000001"
    auth_token: str = "local-auth-token"  # noqa: S105 - a made-up account
    api_keys: dict[str, str] = {}
    subaccounts: dict[str, str] = {}
    numbers: dict[str, NumberConfig] = {}
    verified_caller_ids: frozenset[str] = frozenset()
    applications: dict[str, ApplicationConfig] = {}
    taskrouter: TaskRouterConfig | None = None
    conversations: dict[str, ConversationConfig] = {}
    twiml: dict[str, str] = {}
    """TwiML Bins by name: ``https://handler.twilio.com/twiml/NAME`` is answered with them, here."""
    people: dict[str, Person] = {}
    default_person: Person = Person()
    crowd: tuple[Share, ...] = ()
    """Those who are dialled and not among ``people`` behave like these, by chance."""
    calls_per_second: float = 0.0
    seed: int | None = None
    chaos: Chaos | None = None
    switches: Switches = Switches()
    play_s: float = 3.0
    """How long one ``<Play>`` lasts; nothing is really played."""
    say_s: float = 1.5
    media_base_url: str = "https://api.twilio.com"
    """Where RecordingUrl leads. Sounds are served here as well, so the emulator's own URL makes them reachable."""
    journal_size: int = 10_000
    """Entries that each journal keeps; older ones are dropped and counted."""

    history_size: int = 10_000
    """Ended calls and conferences that REST still knows; older ones are forgotten."""

    def __repr__(self) -> str:
        """Name the emulator without its secrets."""
        return f"EmulatorConfig({self.host}:{self.port}, {self.account_sid}, {len(self.numbers)} numbers)"
