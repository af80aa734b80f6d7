"""`<Connect><Conversation>` as Twilio's page has it, and where each Result leads (twilio-facts.md 2.9, 4.5)."""

from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
from twilio.twiml.voice_response import VoiceResponse

from ingress import conversations
from schemas.policy import Conversation, ConversationFailure, Policy
from schemas.webhooks import CONVERSATION_FAILURES, ConversationEnded

URL = "https://h/prefix"
SERVICE = "IS" + "0" * 31 + "1"
RETRY = "#rc=3&rp=all&ct=2000&rt=4000&tt=15000"
HERE = "call=c1&leg=customer-1"


def connect(policy: Policy, leg: str = "customer-1") -> ET.Element:
    """The `<Connect>` of a call that begins."""
    root = ET.fromstring(conversations.into_conversation(URL, "c1", leg, policy))  # noqa: S314 - our own document
    assert [element.tag for element in root] == ["Connect"]
    return root[0]


def policy(whisper: str | None = None, **choices: object) -> Policy:
    """A number that leads to the service."""
    item = Conversation(**choices)  # type: ignore[arg-type]
    return Policy(route=(f"conversation:{SERVICE}",), whisper=whisper, conversation=item)


def test_the_defaults_are_written_down() -> None:
    """Nothing is left to a default of Twilio's that might change; nothing is recorded, so nothing about recordings."""
    [noun] = connect(policy())

    assert noun.attrib == {
        "serviceInstanceSid": SERVICE,
        "inboundAutocreation": "true",
        "routingAssignmentTimeout": "5",
        "inboundTimeout": "60",
        "record": "do-not-record",
        "statusCallback": f"{URL}/v1/voice/conversation-status?{HERE}{RETRY}",
        "statusCallbackMethod": "POST",
        "statusCallbackEvent": "call-initiated call-ringing call-answered call-completed",
    }


def test_every_attribute_can_be_chosen() -> None:
    """All that the page and Twilio's own builder know, but the `method` of `url`, which is on no page."""
    found = connect(
        policy(
            "A customer", inbound_autocreation=False, inbound_timeout_s=20, record="record-from-ringing-dual",
            trim="trim-silence", status_events=("call-answered",), recording_events=("absent", "completed"),
            method="GET", on_failure=ConversationFailure(busy="wait"),
        )
    )  # fmt: skip
    [noun] = found

    assert found.get("method") == "GET"
    assert noun.attrib == {
        "serviceInstanceSid": SERVICE,
        "inboundAutocreation": "false",
        "routingAssignmentTimeout": "5",
        "inboundTimeout": "20",
        "record": "record-from-ringing-dual",
        "trim": "trim-silence",
        "recordingStatusCallback": f"{URL}/v1/voice/recording?{HERE}&a=conversation{RETRY}",
        "recordingStatusCallbackMethod": "GET",
        "recordingStatusCallbackEvent": "absent completed",
        "statusCallback": f"{URL}/v1/voice/conversation-status?{HERE}{RETRY}",
        "statusCallbackMethod": "GET",
        "statusCallbackEvent": "call-answered",
        "url": f"{URL}/v1/voice/whisper?{HERE}&say=A+customer{RETRY}",
    }


def test_the_names_are_those_of_twilios_builder() -> None:
    """Its arguments, in its own spelling."""
    built = VoiceResponse()
    noun = built.connect(action="a", method="POST").conversation(
        service_instance_sid="s", inbound_autocreation=True, routing_assignment_timeout=5, inbound_timeout=60,
        record="r", trim="t", recording_status_callback="c", recording_status_callback_method="POST",
        recording_status_callback_event="e", status_callback="c", status_callback_method="POST",
        status_callback_event="e", url="u",
    )  # fmt: skip
    [ours] = connect(policy("Hello", record=True, trim="trim-silence"))

    assert set(ours.attrib) == set(ET.fromstring(noun.to_xml()).attrib)  # noqa: S314 - our own document


@pytest.mark.parametrize(("record", "written"), [(True, "true"), (False, "false")])
def test_the_old_words_of_record(record: bool, written: str) -> None:
    """`true` and `false` are Twilio's aliases."""
    assert connect(policy(record=record))[0].get("record") == written


def test_no_events_no_callback() -> None:
    """Who wants none gets none; the result comes all the same."""
    [noun] = connect(policy(status_events=(), record=True, recording_events=()))

    assert not [name for name in noun.attrib if "Callback" in name]


def test_what_a_failure_leads_to_goes_along() -> None:
    """In the action's URL: a running call keeps its policy."""
    action = urlsplit(connect(policy()).get("action") or "")

    assert action.path == "/prefix/v1/voice/conversation-action"
    assert parse_qs(action.query) == {
        "call": ["c1"], "leg": ["customer-1"], "on_busy": ["voicemail"], "on_no_answer": ["voicemail"],
        "on_default": ["announce_end"],
    }  # fmt: skip


@pytest.mark.parametrize(("unanswered", "led_to"), [("end", "hang_up"), ("announce", "announce")])
def test_a_worker_who_calls(unanswered: str, led_to: str) -> None:
    """No whisper for the customer, no voicemail for the worker: told or let go, as the policy says."""
    choice = Policy(route=(f"conversation:{SERVICE}",), whisper="A customer", unanswered=unanswered)
    found = connect(choice, "agent-1")

    assert found[0].get("url") is None
    assert parse_qs(urlsplit(found.get("action") or "").query)["on_default"] == [led_to]


def led(result: str, dial: str = "", status: str = "in-progress", **query: str) -> tuple[str, list[str]]:
    """Where a result leads: the word, and the verbs of the document."""
    form = ConversationEnded(call_sid="CA1", result=result, dial_call_status=dial, call_status=status)
    word, document = conversations.after(URL, "c1", "customer-1", form, query, Policy())
    return word, [element.tag for element in ET.fromstring(document)]  # noqa: S314 - our own document


@pytest.mark.parametrize(
    ("outcome", "verbs"),
    [
        ("voicemail", ["Say", "Record", "Hangup"]),
        ("announce_end", ["Say", "Hangup"]),
        ("announce", ["Say", "Hangup"]),
        ("wait", ["Dial"]),
        ("hang_up", ["Hangup"]),
    ],
)
@pytest.mark.parametrize("dial", ["busy", "no-answer", "failed", "canceled", "completed"])
def test_each_end_of_the_workers_phone(dial: str, outcome: str, verbs: list[str]) -> None:
    """By its own reason, whatever the default is."""
    reason = {"no-answer": "no_answer", "canceled": "cancelled", "completed": "rejected"}.get(dial, dial)

    assert led("dialed-call-incomplete", dial, on_default="hang_up", **{f"on_{reason}": outcome}) == (outcome, verbs)


@pytest.mark.parametrize("reason", sorted(CONVERSATION_FAILURES))
def test_each_other_result(reason: str) -> None:
    """By its own name, else by the default, else a goodbye."""
    result = reason.replace("_", "-")

    assert led(result, **{f"on_{reason}": "voicemail", "on_default": "wait"})[0] == "voicemail"
    assert led(result, on_default="wait")[0] == "wait"
    assert led(result)[0] == "announce_end"


@pytest.mark.parametrize(
    ("result", "status"), [("session-success", "in-progress"), ("dialed-call-incomplete", "completed")]
)
def test_who_has_talked_or_gone_is_led_nowhere(result: str, status: str) -> None:
    """The worker has hung up, or the caller has."""
    assert led(result, "no-answer", status, on_default="voicemail") == ("hang_up", ["Hangup"])


def test_the_message_box_is_told_where_to() -> None:
    """The recording's action names the call and the leg."""
    form = ConversationEnded(call_sid="CA1", result="no-answer")
    _, document = conversations.after(URL, "c1", "customer-1", form, {"on_no_answer": "voicemail"}, Policy())

    record = ET.fromstring(document).find("Record")  # noqa: S314 - our own document
    assert record is not None
    assert record.get("action") == f"{URL}/v1/voice/voicemail?{HERE}&left=1{RETRY}"
