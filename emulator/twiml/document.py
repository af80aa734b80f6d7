"""TwiML text to verbs (twilio-facts.md 4). Pure: parses and checks, fetches and runs nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree as ET

from emulator.errors import Alert, DocumentError
from emulator.twiml import nouns
from emulator.twiml.attributes import Attributes, own_text
from emulator.twiml.verbs import (
    Gather,
    Hangup,
    Leave,
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


def _say(element: ET.Element, warnings: list[str]) -> Say:
    attributes = Attributes(element, frozenset({"voice", "language"}))
    verb = Say(own_text(element), int(attributes.number("loop", 1)))
    warnings += attributes.leftovers()
    return verb


def _play(element: ET.Element, warnings: list[str]) -> Play:
    attributes = Attributes(element)
    verb = Play(own_text(element), int(attributes.number("loop", 1)), attributes.text("digits"))
    warnings += attributes.leftovers()
    return verb


def _pause(element: ET.Element, warnings: list[str]) -> Pause:
    attributes = Attributes(element)
    verb = Pause(attributes.number("length", 1))
    warnings += attributes.leftovers()
    return verb


def _redirect(element: ET.Element, warnings: list[str]) -> Redirect:
    attributes = Attributes(element)
    verb = Redirect(own_text(element), attributes.method())
    warnings += attributes.leftovers()
    return verb


def _hangup(element: ET.Element, warnings: list[str]) -> Hangup:
    warnings += Attributes(element).leftovers()
    return Hangup()


def _leave(element: ET.Element, warnings: list[str]) -> Leave:
    warnings += Attributes(element).leftovers()
    return Leave()


def _reject(element: ET.Element, warnings: list[str]) -> Reject:
    attributes = Attributes(element)
    verb = Reject(attributes.text("reason", "rejected"))
    warnings += attributes.leftovers()
    return verb


GATHER_HARMLESS = frozenset(
    {"language", "profanityFilter", "hints", "bargeIn", "speechTimeout", "speechModel", "enhanced", "maxSpeechTime"}
)


def _gather(element: ET.Element, warnings: list[str]) -> Gather:
    attributes = Attributes(element, GATHER_HARMLESS)
    ways = attributes.words("input", "dtmf")
    if not ways or ways - {"dtmf", "speech"}:
        raise DocumentError(Alert.SCHEMA, f'<Gather input="{" ".join(sorted(ways))}">: expected dtmf, speech, or both')
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
        digits="dtmf" in ways,
        speech="speech" in ways,
    )
    if len(verb.prompts) != len(prompts):
        raise DocumentError(Alert.SCHEMA, "<Gather> may hold Say, Play and Pause only")
    warnings += attributes.leftovers()
    return verb


RECORD_HARMLESS = frozenset({"timeout", "playBeep", "trim"})


def _record(element: ET.Element, warnings: list[str]) -> Record:
    attributes = Attributes(element, RECORD_HARMLESS)
    if attributes.flag("transcribe", default=False):
        raise DocumentError(Alert.SCHEMA, "<Record transcribe> is not emulated")
    verb = Record(
        action=attributes.text("action"),
        method=attributes.method(),
        max_length_s=attributes.number("maxLength", 3600),
        finish_on_key=attributes.text("finishOnKey", "1234567890*#"),
        callback=attributes.text("recordingStatusCallback"),
        callback_method=attributes.method("recordingStatusCallbackMethod"),
        callback_events=attributes.words("recordingStatusCallbackEvent", "completed", nouns.RECORDING_EVENTS),
    )
    warnings += attributes.leftovers()
    return verb


READERS: dict[str, Callable[[ET.Element, list[str]], Verb]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _reject,
    "Dial": nouns.dial,
    "Gather": _gather,
    "Record": _record,
    "Connect": nouns.connect,
    "Enqueue": nouns.enqueue,
    "Leave": _leave,
    "Start": nouns.start,
    "Stop": nouns.stop,
}
