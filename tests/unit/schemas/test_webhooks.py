"""Twilio's callbacks: every recorded and documented one is read, and told apart from every other."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.webhooks import (
    FORMS,
    CallProgress,
    ConferenceEvent,
    DialEnded,
    Form,
    MachineDetection,
    RecordingProgress,
    Source,
    VoiceRequest,
    read_form,
    record_id,
)
from vectors import Payload, payloads

_BY_KIND = {
    "voice.incoming": Source.VOICE,
    "voice.client": Source.VOICE,
    "voice.twiml": Source.VOICE,
    "voice.status": Source.STATUS,
    "conference": Source.CONFERENCE,
    "recording": Source.RECORDING,
}
_MINIMAL: dict[Source, dict[str, str]] = {
    Source.VOICE: {"CallSid": "CA1", "AccountSid": "AC1"},
    Source.JOINING: {"CallSid": "CA1", "AccountSid": "AC1"},
    Source.STATUS: {"CallSid": "CA1", "CallStatus": "ringing"},
    Source.CONFERENCE: {"ConferenceSid": "CF1", "StatusCallbackEvent": "participant-join"},
    Source.AMD: {"CallSid": "CA1", "AnsweredBy": "human"},
    Source.RECORDING: {"RecordingSid": "RE1", "RecordingStatus": "completed"},
    Source.DIAL_ACTION: {"CallSid": "CA1"},
    Source.CONVERSATION_ACTION: {"CallSid": "CA1", "Result": "session-success"},
    Source.CONVERSATION_STATUS: {"DialCallSid": "CA2", "Status": "call-ringing"},
    Source.VOICEMAIL: {"CallSid": "CA1"},
    Source.ENQUEUE_ACTION: {"CallSid": "CA1", "QueueResult": "hangup"},
    Source.ASSIGNMENT: {"TaskSid": "WT1", "ReservationSid": "WR1"},
    Source.TASK: {"EventType": "task.created", "Sid": "EV1"},
}


def _source(payload: Payload) -> Source | None:
    return next((source for kind, source in _BY_KIND.items() if payload.kind.startswith(kind)), None)


_CALLBACKS = [(source, payload) for payload in payloads() if (source := _source(payload)) is not None]


def _form(source: Source, **fields: str) -> bytes:
    return json.dumps({**_MINIMAL[source], **fields}).encode()


def test_only_taskrouter_is_read_elsewhere() -> None:
    """Every vector belongs to a source, but TaskRouter's, whose events have a reader of their own."""
    assert {payload.kind.partition(".")[0] for payload in payloads() if _source(payload) is None} == {"taskrouter"}
    assert len(_CALLBACKS) >= 20


@pytest.mark.parametrize(("source", "payload"), _CALLBACKS, ids=[payload.id for _, payload in _CALLBACKS])
def test_every_callback_is_read(source: Source, payload: Payload) -> None:
    """Each recorded or documented body is read, and every field of the view says what the form says."""
    form = read_form(source, payload.body)

    assert isinstance(form, FORMS[source])
    for field in msgspec.structs.fields(type(form)):
        given = payload.params.get(field.encode_name)
        if given:
            assert str(getattr(form, field.name)).lower() == given.lower(), field.encode_name


def test_every_callback_has_an_id_of_its_own() -> None:
    """No two of them are taken for the same, and the same body has the same id each time."""
    ids = [record_id(source, read_form(source, payload.body)) for source, payload in _CALLBACKS]

    assert ids == [record_id(source, read_form(source, payload.body)) for source, payload in _CALLBACKS]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("source", Source)
def test_every_source_has_a_view(source: Source) -> None:
    """The least that Twilio sends is enough; what it left out stays at its default."""
    assert isinstance(read_form(source, _form(source)), FORMS[source])


@pytest.mark.parametrize("source", Source)
@given(extra=st.dictionaries(st.text(min_size=1).map("X{}".format), st.text(), max_size=5))
def test_unknown_fields_are_left_aside(source: Source, extra: dict[str, str]) -> None:
    """Twilio adds parameters without notice; they change neither the view nor the id."""
    form = read_form(source, _form(source))

    assert read_form(source, _form(source, **extra)) == form


@pytest.mark.parametrize(
    ("source", "missing"), [(source, name) for source, fields in _MINIMAL.items() for name in fields]
)
def test_a_form_without_its_names_is_refused(source: Source, missing: str) -> None:
    """A form that does not say what it is about, or says it empty, is refused by the field's name."""
    absent = {name: value for name, value in _MINIMAL[source].items() if name != missing}
    with pytest.raises(msgspec.ValidationError, match=missing):
        read_form(source, json.dumps(absent).encode())


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("True", True), ("", None)])
def test_switches_are_text_on_the_wire(text: str, value: bool | None) -> None:
    """`true` and `false` are switches; an empty one was not said."""
    form = read_form(Source.CONFERENCE, _form(Source.CONFERENCE, Muted=text, Hold=text))

    assert isinstance(form, ConferenceEvent)
    assert (form.muted, form.hold) == (value, value)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("12", 12), ("", None)])
def test_numbers_are_text_on_the_wire(text: str, value: int | None) -> None:
    """Digits are numbers; an empty one was not said, and does not make the callback unreadable."""
    form = read_form(Source.STATUS, _form(Source.STATUS, SequenceNumber=text, CallDuration=text))

    assert isinstance(form, CallProgress)
    assert (form.sequence_number, form.call_duration) == (value, value)


def test_a_number_that_is_none_is_refused() -> None:
    """Text where a number belongs is refused by the name of its field: order depends on it."""
    with pytest.raises(msgspec.ValidationError, match=r"\$\.SequenceNumber"):
        read_form(Source.STATUS, _form(Source.STATUS, SequenceNumber="first"))


_AT = "Wed, 02 Sep 2026 10:11:12 +0000"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CallProgress("CA1", "ringing", sequence_number=1), CallProgress("CA1", "ringing", sequence_number=2)),
        (CallProgress("CA1", "ringing", sequence_number=1), CallProgress("CA2", "ringing", sequence_number=1)),
        (CallProgress("CA1", "ringing"), CallProgress("CA1", "completed")),
        (CallProgress("CA1", "ringing", timestamp=_AT), CallProgress("CA1", "ringing")),
        (
            ConferenceEvent("CF1", "participant-mute", sequence_number=3, call_sid="CA1"),
            ConferenceEvent("CF1", "participant-mute", sequence_number=3, call_sid="CA2"),
        ),
        (
            ConferenceEvent("CF1", "participant-mute", sequence_number=3),
            ConferenceEvent("CF1", "participant-unmute", sequence_number=3),
        ),
        (ConferenceEvent("CF1", "conference-end"), ConferenceEvent("CF2", "conference-end")),
        (MachineDetection("CA1", "human"), MachineDetection("CA1", "machine_start")),
        (RecordingProgress("RE1", "in-progress"), RecordingProgress("RE1", "completed")),
        (DialEnded("CA1"), DialEnded("CA2")),
    ],
    ids=repr,
)
def test_different_callbacks_have_different_ids(one: Form, other: Form) -> None:
    """What Twilio tells twice is two records as soon as a SID, an event or its place in the order differs."""
    assert _id(one) != _id(other)


def test_a_call_that_asks_twice_is_one_record_for_each_question() -> None:
    """A repeated TwiML request is the same record; the first TwiML and the one to join are two."""
    request = VoiceRequest("CA1", "AC1")

    assert record_id(Source.VOICE, request) == record_id(Source.VOICE, VoiceRequest("CA1", "AC1", "in-progress"))
    assert record_id(Source.VOICE, request) != record_id(Source.JOINING, request)


@pytest.mark.parametrize(
    ("one", "again"),
    [
        (
            ConferenceEvent("CF1", "participant-join", sequence_number=3, call_sid="CA1"),
            ConferenceEvent("CF1", "participant-join", sequence_number=3, call_sid="CA1", timestamp=_AT),
        ),
        (CallProgress("CA1", "ringing", sequence_number=1), CallProgress("CA1", "ringing", "AC1", 1, _AT)),
        (MachineDetection("CA1", "human"), MachineDetection("CA1", "human", machine_detection_duration=900)),
    ],
    ids=repr,
)
def test_a_delivery_again_has_the_same_id(one: Form, again: Form) -> None:
    """A retry is the same record, whatever else Twilio changes in it."""
    assert _id(one) == _id(again)


def _id(form: Form) -> str:
    source = next(source for source, kind in FORMS.items() if kind is type(form))
    return record_id(source, form)
