"""The elements with something inside: ``<Dial>``, ``<Enqueue>``, ``<Connect>`` and their nouns (twilio-facts.md 4)."""

from xml.etree import ElementTree as ET

import msgspec

from emulator.entities import DETECTION_TIMEOUT_S
from emulator.errors import Alert, DocumentError
from emulator.twiml.attributes import Attributes, own_text
from emulator.twiml.verbs import (
    ConferenceNoun,
    Connect,
    ConversationNoun,
    Dial,
    Enqueue,
    PartyNoun,
    QueueNoun,
    Start,
    Stop,
)

DIAL_HARMLESS = frozenset({"ringTone", "referUrl", "referMethod", "events", "passports", "trim"})
"""Without effect here: no sound, no REFER."""
RECORDS = {
    "do-not-record": 0,
    "false": 0,
    "true": 1,
    "record-from-answer": 1,
    "record-from-ringing": 1,
    "record-from-answer-dual": 2,
    "record-from-ringing-dual": 2,
}
"""Values of ``record`` and their channels."""
CALL_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
CONFERENCE_EVENTS = frozenset({"start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement"})
RECORDING_EVENTS = frozenset({"in-progress", "completed", "absent"})
CONVERSATION_EVENTS = frozenset(f"call-{word}" for word in CALL_EVENTS)
TRACKS = frozenset({"inbound", "outbound", "both"})
CHANNELS = {"mono": 1, "dual": 2}
PARTIES = {"Number": "", "Client": "client:", "Sip": ""}


def _channels(attributes: Attributes, tag: str) -> int:
    value = attributes.text("record", "do-not-record")
    if value not in RECORDS:
        raise DocumentError(Alert.SCHEMA, f"<{tag} record={value!r}>: expected one of {sorted(RECORDS)}")
    return RECORDS[value]


def dial(element: ET.Element, warnings: list[str]) -> Dial:
    """Read ``<Dial>``: one conference, one queue, or one or more parties."""
    attributes = Attributes(element, DIAL_HARMLESS)
    tags = {child.tag for child in element}
    conference = queue = None
    parties: tuple[PartyNoun, ...] = ()
    if tags == {"Conference"} and len(element) == 1:
        conference = _conference(element[0], warnings)
    elif tags == {"Queue"} and len(element) == 1:
        queue = _queue(element[0], warnings)
    elif tags <= PARTIES.keys() and (tags or own_text(element)):
        parties = tuple(_party(child, warnings) for child in element) or (PartyNoun(_number(own_text(element))),)
    else:
        detail = f"<Dial> of {sorted(tags)}: expected one Conference, one Queue, or Number, Client, Sip"
        raise DocumentError(Alert.SCHEMA, detail)
    channels = _channels(attributes, "Dial")
    if channels and conference:
        raise DocumentError(Alert.SCHEMA, "<Dial record> of a conference is not emulated; <Conference record> is")
    verb = Dial(
        conference=conference,
        queue=queue,
        parties=parties,
        action=attributes.text("action"),
        method=attributes.method(),
        timeout_s=attributes.number("timeout", 30),
        time_limit_s=attributes.number("timeLimit", 14_400),
        hangup_on_star=attributes.flag("hangupOnStar", default=False),
        caller_id=attributes.text("callerId"),
        sequential=attributes.flag("sequential", default=False),
        answer_on_bridge=attributes.flag("answerOnBridge", default=False),
        record_channels=channels,
        recording_track=_track(attributes, "Dial", "recordingTrack"),
        recording_callback=attributes.text("recordingStatusCallback"),
        recording_callback_method=attributes.method("recordingStatusCallbackMethod"),
        recording_callback_events=_recording_events(attributes),
    )
    warnings += attributes.leftovers()
    return verb


def _recording_events(attributes: Attributes, default: str = "completed") -> frozenset[str]:
    return attributes.words("recordingStatusCallbackEvent", default, RECORDING_EVENTS)


def _track(attributes: Attributes, tag: str, name: str) -> str:
    value = attributes.text(name, "both")
    if value not in TRACKS:
        raise DocumentError(Alert.SCHEMA, f"<{tag} {name}={value!r}>: expected one of {sorted(TRACKS)}")
    return value


def start(element: ET.Element, warnings: list[str]) -> Start:
    """Read ``<Start>`` of a ``<Recording>``; streams, transcriptions and SIPREC carry sound, which there is none of."""
    recording = _background(element, warnings)
    attributes = Attributes(recording, frozenset({"trim"}))
    channels = attributes.text("channels", "dual")
    if channels not in CHANNELS:
        raise DocumentError(Alert.SCHEMA, f"<Recording channels={channels!r}>: expected one of {sorted(CHANNELS)}")
    verb = Start(
        name=attributes.text("name"),
        channels=CHANNELS[channels],
        track=_track(attributes, "Recording", "recordingTrack"),
        callback=attributes.text("recordingStatusCallback"),
        callback_method=attributes.method("recordingStatusCallbackMethod"),
        callback_events=_recording_events(attributes),
    )
    warnings += attributes.leftovers()
    return verb


def stop(element: ET.Element, warnings: list[str]) -> Stop:
    """Read ``<Stop>`` of a ``<Recording>``."""
    attributes = Attributes(_background(element, warnings))
    verb = Stop(attributes.text("name"))
    warnings += attributes.leftovers()
    return verb


def _background(element: ET.Element, warnings: list[str]) -> ET.Element:
    tags = [child.tag for child in element]
    if tags != ["Recording"]:
        raise DocumentError(Alert.SCHEMA, f"<{element.tag}> of {tags} is not emulated; one <Recording> is")
    warnings += Attributes(element).leftovers()
    return element[0]


def _number(text: str) -> str:
    compact = text.replace(" ", "").replace("-", "").replace("(", "").replace(")", "")
    if not compact.removeprefix("+").isdigit():
        raise DocumentError(Alert.NUMBER_INVALID, f"<Dial>: {text[:4]!r}… is not a phone number")
    return compact


PARTY_HARMLESS = frozenset(
    {
        "byoc",
        "username",
        "password",
        "codecs",
        "machineDetectionSpeechThreshold",
        "machineDetectionSpeechEndThreshold",
        "machineDetectionSilenceTimeout",
    }
)
DETECTIONS = frozenset({"", "none", "None", "Enable", "DetectMessageEnd"})


def _party(element: ET.Element, warnings: list[str]) -> PartyNoun:
    attributes = Attributes(element, PARTY_HARMLESS)
    text = (element.text or "").strip()
    if element.tag == "Client":
        text = f"client:{(element.findtext('Identity') or text).strip()}"
    elif element.tag == "Number":
        text = _number(text)
    elif not text.startswith(("sip:", "sips:")):
        raise DocumentError(Alert.SCHEMA, f"<Sip>: {text!r} is not a SIP address")
    detection = attributes.text("machineDetection")
    if detection not in DETECTIONS:
        raise DocumentError(Alert.SCHEMA, f"<{element.tag} machineDetection={detection!r}>: expected Enable")
    digits = attributes.text("sendDigits") if element.tag == "Number" else ""
    noun = PartyNoun(
        to=text,
        send_digits=digits,
        detection="" if digits or detection.lower() == "none" else detection,
        detection_callback=attributes.text("amdStatusCallback"),
        detection_method=attributes.method("amdStatusCallbackMethod"),
        detection_timeout_s=attributes.number("machineDetectionTimeout", DETECTION_TIMEOUT_S),
        url=attributes.text("url"),
        method=attributes.method(),
        callback=attributes.text("statusCallback"),
        callback_method=attributes.method("statusCallbackMethod"),
        callback_events=attributes.words("statusCallbackEvent", "completed", CALL_EVENTS),
    )
    warnings += attributes.leftovers()
    return noun


def _queue(element: ET.Element, warnings: list[str]) -> QueueNoun:
    attributes = Attributes(element)
    noun = QueueNoun(
        name=own_text(element),
        url=attributes.text("url"),
        method=attributes.method(),
        reservation_sid=attributes.text("reservationSid"),
        post_work_activity_sid=attributes.text("postWorkActivitySid"),
    )
    warnings += attributes.leftovers()
    return noun


def enqueue(element: ET.Element, warnings: list[str]) -> Enqueue:
    """Read ``<Enqueue>``: a queue's name, or a workflow with its ``<Task>``."""
    attributes = Attributes(element)
    task = element.find("Task")
    own = (element.text or "").strip()
    workflow_sid = attributes.text("workflowSid")
    if not workflow_sid and not 1 <= len(own) <= 64:  # noqa: PLR2004 - Twilio's own limit
        raise DocumentError(Alert.ENQUEUE_INVALID, "<Enqueue>: expected a name of 1 to 64 characters or workflowSid")
    task_attributes = Attributes(task) if task is not None else None
    size = attributes.text("maxQueueSize")
    verb = Enqueue(
        name=own,
        workflow_sid=workflow_sid,
        task=_json((task.text or "").strip()) if task is not None else {},
        task_priority=int(task_attributes.number("priority", 0)) if task_attributes else 0,
        task_timeout_s=task_attributes.number("timeout", 86_400) if task_attributes else 86_400.0,
        action=attributes.text("action"),
        method=attributes.method(),
        wait_url=attributes.maybe("waitUrl"),
        wait_method=attributes.method("waitUrlMethod"),
        max_queue_size=int(size) if size.isdigit() else None,
    )
    warnings += attributes.leftovers() + (task_attributes.leftovers() if task_attributes else [])
    return verb


def _json(text: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, object])
    except msgspec.DecodeError as error:
        raise DocumentError(Alert.ENQUEUE_INVALID, f"<Task>: not a JSON object: {error}") from error


SESSIONS = frozenset({"Stream", "ConversationRelay", "VirtualAgent", "AiSession"})


def connect(element: ET.Element, warnings: list[str]) -> Connect:
    """Read ``<Connect>`` of a media session or of a ``<Conversation>``."""
    attributes = Attributes(element)
    tags = [child.tag for child in element]
    if len(tags) != 1 or tags[0] not in SESSIONS | {"Conversation"}:
        expected = sorted(SESSIONS | {"Conversation"})
        raise DocumentError(Alert.SCHEMA, f"<Connect> of {tags} is not emulated; one of {expected} is")
    conversation = _conversation(element[0], warnings) if tags[0] == "Conversation" else None
    verb = Connect(tags[0], attributes.text("action"), attributes.method(), conversation)
    warnings += attributes.leftovers()
    return verb


def _conversation(element: ET.Element, warnings: list[str]) -> ConversationNoun:
    attributes = Attributes(element, frozenset({"trim"}))
    service = attributes.text("serviceInstanceSid")
    recording_url = attributes.text("recordingStatusCallback")
    if not service:
        raise DocumentError(Alert.CONVERSATION_INVALID, "<Conversation> needs serviceInstanceSid")
    if recording_url and "://" not in recording_url:
        raise DocumentError(Alert.CONVERSATION_INVALID, "<Conversation>: recordingStatusCallback must be absolute")
    noun = ConversationNoun(
        service_sid=service,
        autocreation=attributes.flag("inboundAutocreation", default=True),
        routing_timeout_s=attributes.number("routingAssignmentTimeout", 5),
        timeout_s=attributes.number("inboundTimeout", 60),
        record_channels=_channels(attributes, "Conversation"),
        recording_callback=recording_url,
        recording_callback_method=attributes.method("recordingStatusCallbackMethod"),
        recording_callback_events=attributes.words(
            "recordingStatusCallbackEvent", "completed absent", RECORDING_EVENTS
        ),
        callback=attributes.text("statusCallback"),
        callback_method=attributes.method("statusCallbackMethod"),
        callback_events=attributes.words("statusCallbackEvent", "call-completed", CONVERSATION_EVENTS),
        url=attributes.text("url"),
        method=attributes.method(),
    )
    warnings += attributes.leftovers()
    return noun


CONFERENCE_HARMLESS = frozenset({"jitterBufferSize", "region", "trim"})


def _conference(element: ET.Element, warnings: list[str]) -> ConferenceNoun:
    attributes = Attributes(element, CONFERENCE_HARMLESS)
    name = own_text(element)
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
        status_callback_events=attributes.words("statusCallbackEvent", "", CONFERENCE_EVENTS),
        recording_status_callback=attributes.text("recordingStatusCallback"),
        recording_status_callback_method=attributes.method("recordingStatusCallbackMethod"),
        recording_status_callback_events=attributes.words(
            "recordingStatusCallbackEvent", "completed", RECORDING_EVENTS
        ),
    )
    warnings += attributes.leftovers()
    return noun
