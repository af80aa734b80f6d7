"""TwiML text to verbs (twilio-facts.md 4). Pure: parses and checks, fetches and runs nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree as ET

from emulator.errors import Alert, DocumentError
from emulator.twiml.verbs import (
    ConferenceNoun,
    Connect,
    Dial,
    Gather,
    Hangup,
    Pause,
    Play,
    Record,
    Redirect,
    Reject,
    Say,
    Verb,
)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document. ``url`` is where it came from, empty for inline TwiML."""

    verbs: tuple[Verb, ...]
    url: str = ""
    warnings: tuple[str, ...] = field(default=())

    def absolute(self, url: str) -> str:
        """Resolve a URL of the document; the document's own URL when it is empty.

        Raises:
            DocumentError: 15004, a relative URL in inline TwiML.

        """
        if urlsplit(url).scheme:
            return url
        if not self.url:
            raise DocumentError(Alert.RELATIVE_URL, "a relative URL in inline TwiML, which has no base")
        return urljoin(self.url, url) if url else self.url


class _Attributes:
    """Reads the attributes of one element; what nobody asked for becomes a warning."""

    def __init__(self, element: ET.Element, harmless: frozenset[str] = frozenset()) -> None:
        self._element = element
        self._known = set(harmless)

    def text(self, name: str, default: str = "") -> str:
        self._known.add(name)
        return self._element.get(name, default)

    def maybe(self, name: str) -> str | None:
        self._known.add(name)
        return self._element.get(name)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name, "true" if default else "false").lower()
        if value not in {"true", "false"}:
            raise DocumentError(Alert.SCHEMA, f"<{self._element.tag} {name}={value!r}>: expected true or false")
        return value == "true"

    def number(self, name: str, default: float) -> float:
        value = self.text(name, str(default))
        try:
            return float(value)
        except ValueError:
            detail = f"<{self._element.tag} {name}={value!r}>: expected a number"
            raise DocumentError(Alert.SCHEMA, detail) from None

    def words(self, name: str, default: str = "") -> frozenset[str]:
        return frozenset(self.text(name, default).split())

    def method(self, name: str = "method", default: str = "POST") -> str:
        return self.text(name, default).upper()

    def leftovers(self) -> list[str]:
        return [
            f"<{self._element.tag}>: unknown attribute {name!r}"
            for name in self._element.attrib
            if name not in self._known
        ]


def parse(text: bytes | str, url: str = "") -> Document:
    """Parse a TwiML document.

    Raises:
        DocumentError: 12100 not XML, 12200 not TwiML, or TwiML that is not emulated.

    """
    try:
        root = ET.fromstring(text)  # noqa: S314 - bounded, from the service under test; expat refuses entity bombs
    except ET.ParseError as error:
        raise DocumentError(Alert.PARSE_FAILURE, f"not XML: {error}", url) from error
    if root.tag != "Response":
        raise DocumentError(Alert.SCHEMA, f"the root is <{root.tag}>, expected <Response>", url)
    warnings: list[str] = []
    try:
        verbs = tuple(_verb(element, warnings) for element in root)
    except DocumentError as error:
        raise DocumentError(error.code, error.detail, url) from error
    return Document(verbs, url, tuple(warnings))


def _verb(element: ET.Element, warnings: list[str]) -> Verb:
    reader = READERS.get(element.tag)
    if reader is None:
        raise DocumentError(Alert.SCHEMA, f"<{element.tag}> is not a verb, or one that is not emulated")
    return reader(element, warnings)


def _own_text(element: ET.Element) -> str:
    return "".join(element.itertext()).strip()


def _say(element: ET.Element, warnings: list[str]) -> Say:
    attributes = _Attributes(element, frozenset({"voice", "language"}))
    verb = Say(_own_text(element), int(attributes.number("loop", 1)))
    warnings += attributes.leftovers()
    return verb


def _play(element: ET.Element, warnings: list[str]) -> Play:
    attributes = _Attributes(element)
    verb = Play(_own_text(element), int(attributes.number("loop", 1)), attributes.text("digits"))
    warnings += attributes.leftovers()
    return verb


def _pause(element: ET.Element, warnings: list[str]) -> Pause:
    attributes = _Attributes(element)
    verb = Pause(attributes.number("length", 1))
    warnings += attributes.leftovers()
    return verb


def _redirect(element: ET.Element, warnings: list[str]) -> Redirect:
    attributes = _Attributes(element)
    verb = Redirect(_own_text(element), attributes.method())
    warnings += attributes.leftovers()
    return verb


def _hangup(element: ET.Element, warnings: list[str]) -> Hangup:
    warnings += _Attributes(element).leftovers()
    return Hangup()


def _reject(element: ET.Element, warnings: list[str]) -> Reject:
    attributes = _Attributes(element)
    verb = Reject(attributes.text("reason", "rejected"))
    warnings += attributes.leftovers()
    return verb


DIAL_HARMLESS = frozenset(
    {"timeout", "callerId", "answerOnBridge", "ringTone", "sequential", "referUrl", "referMethod", "events"}
)
"""Without effect on a conference (twilio-facts.md 4.1)."""


def _dial(element: ET.Element, warnings: list[str]) -> Dial:
    attributes = _Attributes(element, DIAL_HARMLESS)
    if attributes.text("record", "do-not-record") not in {"do-not-record", "false"}:
        raise DocumentError(Alert.SCHEMA, "<Dial record> is not emulated; <Conference record> is")
    nouns = list(element)
    if len(nouns) != 1 or nouns[0].tag != "Conference":
        detail = f"<Dial> of {[noun.tag for noun in nouns] or 'a number'} is not emulated; one <Conference> is"
        raise DocumentError(Alert.SCHEMA, detail)
    verb = Dial(
        conference=_conference(nouns[0], warnings),
        action=attributes.text("action"),
        method=attributes.method(),
        time_limit_s=attributes.number("timeLimit", 14_400),
        hangup_on_star=attributes.flag("hangupOnStar", default=False),
    )
    warnings += attributes.leftovers()
    return verb


CONFERENCE_HARMLESS = frozenset({"jitterBufferSize", "region", "trim"})


def _conference(element: ET.Element, warnings: list[str]) -> ConferenceNoun:
    attributes = _Attributes(element, CONFERENCE_HARMLESS)
    name = _own_text(element)
    if not 1 <= len(name) <= 128:  # noqa: PLR2004 - Twilio's own limit
        raise DocumentError(Alert.SCHEMA, "<Conference>: expected a name of 1 to 128 characters")
    noun = ConferenceNoun(
        name=name,
        muted=attributes.flag("muted", default=False),
        beep=attributes.text("beep", "true"),
        start_on_enter=attributes.flag("startConferenceOnEnter", default=True),
        end_on_exit=attributes.flag("endConferenceOnExit", default=False),
        label=attributes.text("participantLabel"),
        wait_url=attributes.maybe("waitUrl"),
        wait_method=attributes.method("waitMethod"),
        max_participants=int(attributes.number("maxParticipants", 250)),
        record=attributes.text("record", "do-not-record") in {"record-from-start", "true"},
        coach=attributes.text("coach"),
        status_callback=attributes.text("statusCallback"),
        status_callback_method=attributes.method("statusCallbackMethod"),
        status_callback_events=attributes.words("statusCallbackEvent"),
        recording_status_callback=attributes.text("recordingStatusCallback"),
        recording_status_callback_method=attributes.method("recordingStatusCallbackMethod"),
        recording_status_callback_events=attributes.words("recordingStatusCallbackEvent", "completed"),
    )
    warnings += attributes.leftovers()
    return noun


GATHER_HARMLESS = frozenset(
    {"input", "language", "profanityFilter", "hints", "bargeIn", "speechTimeout", "speechModel"}
)


def _gather(element: ET.Element, warnings: list[str]) -> Gather:
    attributes = _Attributes(element, GATHER_HARMLESS)
    if attributes.text("input", "dtmf") != "dtmf":
        raise DocumentError(Alert.SCHEMA, '<Gather> of speech is not emulated; input="dtmf" is')
    digits = attributes.text("numDigits")
    prompts = [_verb(child, warnings) for child in element]
    verb = Gather(
        prompts=tuple(prompt for prompt in prompts if isinstance(prompt, (Say, Play, Pause))),
        action=attributes.text("action"),
        method=attributes.method(),
        timeout_s=attributes.number("timeout", 5),
        num_digits=int(digits) if digits.isdigit() else None,
        finish_on_key=attributes.text("finishOnKey", "#"),
        action_on_empty_result=attributes.flag("actionOnEmptyResult", default=False),
    )
    if len(verb.prompts) != len(prompts):
        raise DocumentError(Alert.SCHEMA, "<Gather> may hold Say, Play and Pause only")
    warnings += attributes.leftovers()
    return verb


RECORD_HARMLESS = frozenset({"timeout", "playBeep", "trim"})


def _record(element: ET.Element, warnings: list[str]) -> Record:
    attributes = _Attributes(element, RECORD_HARMLESS)
    if attributes.flag("transcribe", default=False):
        raise DocumentError(Alert.SCHEMA, "<Record transcribe> is not emulated")
    verb = Record(
        action=attributes.text("action"),
        method=attributes.method(),
        max_length_s=attributes.number("maxLength", 3600),
        finish_on_key=attributes.text("finishOnKey", "1234567890*#"),
        callback=attributes.text("recordingStatusCallback"),
        callback_method=attributes.method("recordingStatusCallbackMethod"),
        callback_events=attributes.words("recordingStatusCallbackEvent", "completed"),
    )
    warnings += attributes.leftovers()
    return verb


SESSIONS = frozenset({"Stream", "ConversationRelay", "VirtualAgent", "AiSession"})


def _connect(element: ET.Element, warnings: list[str]) -> Connect:
    attributes = _Attributes(element)
    nouns = [child.tag for child in element]
    if len(nouns) != 1 or nouns[0] not in SESSIONS:
        raise DocumentError(Alert.SCHEMA, f"<Connect> of {nouns} is not emulated; one of {sorted(SESSIONS)} is")
    verb = Connect(nouns[0], attributes.text("action"), attributes.method())
    warnings += attributes.leftovers()
    return verb


READERS: dict[str, Callable[[ET.Element, list[str]], Verb]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _reject,
    "Dial": _dial,
    "Gather": _gather,
    "Record": _record,
    "Connect": _connect,
}
