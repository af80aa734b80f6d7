"""Callers who are handed to a Conversations service, and what they are led to when it is over. Pure.

What a failure leads to is written into the action's URL when the call begins, so that a running call keeps the policy
it began with.
"""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from ingress import twiml
from schemas.ids import CallId, LegId
from schemas.policy import Conversation, Policy
from schemas.prompts import GOODBYE, LEAVE_A_MESSAGE, UNANSWERED, prompt_of
from schemas.routes import Route, callback_url
from schemas.webhooks import ConversationEnded

CONVERSATION, HANG_UP, ANNOUNCE = "conversation", "hang_up", "announce"
RECORDED_BY = "conversation"
"""Marks the recording callback as that of the conversation: no action has asked for it."""
_OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
LED_TO = "on_"
"""In front of a reason: the field of our query that says what it leads to."""


def into_conversation(public_url: str, call_id: CallId, leg: LegId, policy: Policy) -> bytes:
    """`<Connect><Conversation>` with every attribute that Twilio has for it (twilio-facts.md 4.5).

    The action is explicit, or Twilio would ask for this document again and again when the session ends.
    """
    item = policy.conversation
    response = ET.Element("Response")
    action = callback_url(public_url, Route.CONVERSATION_ACTION, call=call_id, leg=leg, **_led_to(policy, leg))
    connect = ET.SubElement(response, "Connect", action=action, method=item.method)
    attributes = {
        "serviceInstanceSid": policy.service_sid or "",
        "inboundAutocreation": _text(item.inbound_autocreation),
        "routingAssignmentTimeout": str(item.routing_assignment_timeout_s),
        "inboundTimeout": str(item.inbound_timeout_s),
        "record": _text(item.record),
        **_recording(public_url, call_id, leg, item),
        **_progress(public_url, call_id, leg, item),
        **_whisper(public_url, call_id, leg, policy),
    }
    ET.SubElement(connect, "Conversation", attributes)
    return twiml.document(response)


def after(
    public_url: str, call_id: CallId, leg: LegId, form: ConversationEnded, query: Mapping[str, str], policy: Policy
) -> tuple[str, bytes]:
    """What the caller is led to now, in a word and as TwiML. Who has hung up is led nowhere."""
    reason = form.failure
    if reason is None or form.call_status in _OVER:
        return HANG_UP, twiml.hang_up()
    outcome = query.get(LED_TO + reason) or query.get(LED_TO + "default") or "announce_end"
    match outcome:
        case "voicemail":
            left = callback_url(public_url, Route.VOICEMAIL, call=call_id, leg=leg, left="1")
            return outcome, twiml.voicemail(left, LEAVE_A_MESSAGE)
        case "wait":
            return outcome, twiml.into_room(public_url, call_id, leg, policy)
        case "announce":
            return outcome, twiml.last_words(UNANSWERED.get(reason, UNANSWERED["failed"]))
        case "announce_end":
            return outcome, twiml.last_words(GOODBYE)
        case _:
            return HANG_UP, twiml.hang_up()


def _led_to(policy: Policy, leg: LegId) -> dict[str, str]:
    """The failures and what they lead to, as fields of a query. A worker who called is told, or just let go."""
    if leg == twiml.BROWSER_LEG:
        return {LED_TO + "default": ANNOUNCE if policy.unanswered == "announce" else HANG_UP}
    failures = policy.conversation.on_failure
    named = ((name, getattr(failures, name)) for name in failures.__struct_fields__)
    return {LED_TO + name: outcome for name, outcome in named if outcome is not None}


def _recording(public_url: str, call_id: CallId, leg: LegId, item: Conversation) -> dict[str, str]:
    """`trim` is only valid, and a callback only comes, where something is recorded."""
    if not item.recorded:
        return {}
    callback = callback_url(public_url, Route.RECORDING, call=call_id, leg=leg, a=RECORDED_BY)
    told = {
        "recordingStatusCallback": callback,
        "recordingStatusCallbackMethod": item.method,
        "recordingStatusCallbackEvent": " ".join(item.recording_events),
    }
    return {"trim": item.trim, **(told if item.recording_events else {})}


def _progress(public_url: str, call_id: CallId, leg: LegId, item: Conversation) -> dict[str, str]:
    if not item.status_events:
        return {}
    return {
        "statusCallback": callback_url(public_url, Route.CONVERSATION_STATUS, call=call_id, leg=leg),
        "statusCallbackMethod": item.method,
        "statusCallbackEvent": " ".join(item.status_events),
    }


def _whisper(public_url: str, call_id: CallId, leg: LegId, policy: Policy) -> dict[str, str]:
    """What the called party hears before the two are connected: the whisper is for agents, so never for a customer."""
    prompt = prompt_of(policy.whisper)
    if prompt is None or leg == twiml.BROWSER_LEG:
        return {}
    return {"url": callback_url(public_url, Route.WHISPER, call=call_id, leg=leg, say=prompt.say, play=prompt.play)}


def _text(value: str | bool) -> str:  # noqa: FBT001 - as the policy has it
    return str(value).lower() if isinstance(value, bool) else value
