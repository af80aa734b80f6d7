"""Conversations over real HTTP: what is answered, and what stands in the log then."""

from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import msgspec
import pytest

from cordboard.accounts import Account, Accounts
from cordboard.log.memory import MemoryLog
from ingress.app import IngressConfig
from schemas.policy import Policies, Policy
from schemas.records import Webhook
from schemas.webhooks import Source
from signing_twilio import ACCOUNT, CALL, PUBLIC_URL, TOKEN, VOICE, Inboxes, Twilio, calling

SERVICE = "IS" + "0" * 31 + "1"
ENDED = {**VOICE, "CallStatus": "in-progress", "Result": "dialed-call-incomplete", "DialCallStatus": "no-answer"}
TOLD = {
    "AccountSid": ACCOUNT, "ConversationSid": "CH1", "DialCallSid": "CA" + "d" * 32, "WorkerInitiated": "false",
    "Status": "call-ringing", "SequenceNumber": "2", "CallbackSource": "voice-conversation-service",
}  # fmt: skip
ACTION = f"/v1/voice/conversation-action?call={CALL}&leg=customer-1&on_no_answer=voicemail"


@pytest.fixture
async def twilio(log: MemoryLog) -> AsyncIterator[Twilio]:
    """Twilio, calling an ingress whose number leads to a Conversations service."""
    account = Account(sid=ACCOUNT, auth_tokens=(TOKEN,), number="+15550100")
    policies = Policies(by_number={"+15550100": Policy(route=(f"conversation:{SERVICE}",))})
    config = IngressConfig(
        public_url=PUBLIC_URL, accounts=Accounts([account]), policies=policies, port=0, ack_timeout_s=0.2
    )
    async with calling(config, log) as client:
        yield client


def only(inboxes: Inboxes) -> Webhook:
    """The one record that is in the inbox."""
    (record,) = inboxes.records
    assert isinstance(record, Webhook)
    return record


@pytest.mark.parametrize(("sender", "leg"), [("+15550177", "customer-1"), ("client:worker", "agent-1")])
async def test_a_call_of_the_number_is_handed_over(twilio: Twilio, inboxes: Inboxes, sender: str, leg: str) -> None:
    """A caller's and a worker's; the record says so. A browser has the policy of the account's number."""
    to = "+15550100" if leg == "customer-1" else "+15550166"
    answer = await twilio.post("/v1/voice/twiml", {**VOICE, "From": sender, "To": to})

    noun = ET.fromstring(answer.text).find("Connect/Conversation")  # noqa: S314 - our own document
    assert noun is not None
    assert noun.get("serviceInstanceSid") == SERVICE
    assert f"leg={leg}" in (noun.get("statusCallback") or "")
    assert (only(inboxes).source, only(inboxes).answered) == (Source.VOICE, "conversation")


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_status_callback_is_placed_by_its_url(twilio: Twilio, inboxes: Inboxes, method: str) -> None:
    """It has no CallSid."""
    target = f"/v1/voice/conversation-status?call={CALL}&leg=customer-1"
    answer = await (twilio.post(target, TOLD) if method == "POST" else twilio.get(target, TOLD))

    assert answer.status == 204
    assert (only(inboxes).call_id, only(inboxes).source) == (CALL, Source.CONVERSATION_STATUS)


async def test_a_status_callback_that_names_no_call_is_set_aside(twilio: Twilio, inboxes: Inboxes) -> None:
    """Nobody guesses whose it is."""
    assert (await twilio.post("/v1/voice/conversation-status", TOLD)).status == 204

    (dead,) = inboxes.dead
    assert dict(dead.headers)["reason"] == b"no_call"


async def test_the_result_is_durable_before_the_answer(twilio: Twilio, inboxes: Inboxes) -> None:
    """With the word for where the caller was led."""
    answer = await twilio.post(ACTION, ENDED)

    assert "<Record " in answer.text
    record = only(inboxes)
    assert (record.source, record.answered, record.leg) == (Source.CONVERSATION_ACTION, "voicemail", "customer-1")
    assert msgspec.json.decode(record.params)["Result"] == "dialed-call-incomplete"


async def test_the_result_outlives_a_log_that_is_away(twilio: Twilio, log: MemoryLog, inboxes: Inboxes) -> None:
    """The caller holds the line; the document asks again without Twilio's Result, which goes along in its URL."""
    log.unavailable = "no broker"
    held = await twilio.post(ACTION, {**ENDED, "RecordingSid": "RE1"})
    again = (ET.fromstring(held.text).findtext("Redirect") or "").removeprefix(PUBLIC_URL).partition("#")[0]  # noqa: S314 - ours

    log.unavailable = None
    answer = await twilio.post(again, {**VOICE, "CallStatus": "in-progress"})

    assert "<Record " in answer.text
    params = msgspec.json.decode(only(inboxes).params)
    assert (params["Result"], params["DialCallStatus"], params["RecordingSid"]) == (
        "dialed-call-incomplete", "no-answer", "RE1",
    )  # fmt: skip
    assert only(inboxes).answered == "voicemail"


async def test_a_message_outlives_a_log_that_is_away(twilio: Twilio, log: MemoryLog, inboxes: Inboxes) -> None:
    """The same for what was recorded: Twilio names the recording once."""
    log.unavailable = "no broker"
    left = f"/v1/voice/voicemail?call={CALL}&leg=customer-1&left=1"
    held = await twilio.post(left, {**VOICE, "RecordingSid": "RE1", "RecordingDuration": "7"})
    again = (ET.fromstring(held.text).findtext("Redirect") or "").removeprefix(PUBLIC_URL).partition("#")[0]  # noqa: S314 - ours

    log.unavailable = None
    await twilio.post(again, VOICE)

    params = msgspec.json.decode(only(inboxes).params)
    assert (params["RecordingSid"], params["RecordingDuration"]) == ("RE1", "7")


@pytest.mark.parametrize("missing", ["Result", "leg"])
async def test_a_result_that_cannot_be_read(twilio: Twilio, inboxes: Inboxes, missing: str) -> None:
    """Set aside, and the caller is not left in silence."""
    target = f"/v1/voice/conversation-action?call={CALL}" if missing == "leg" else ACTION
    answer = await twilio.post(target, {name: value for name, value in ENDED.items() if name != missing})

    assert "<Hangup />" in answer.text
    assert len(inboxes.dead) == 1
