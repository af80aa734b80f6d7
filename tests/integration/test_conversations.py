"""`<Connect><Conversation>` against the local Twilio on the journal: every Result as a flow (twilio-facts.md 2.9)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kafka_broker import KafkaBroker
from stack import AGENT, NUMBER, Call, Json, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

APPLIED = ("applied", None)
SERVICE = "IS" + "0" * 31 + "1"
WORKER = "client:worker"
CUSTOMER = "+15550166"
POLICY = f"""
["{NUMBER}"]
route = "conversation:{SERVICE}"
whisper = {{ say = "A customer of the shop" }}
unanswered = "announce"
max_wait_s = 60

["{NUMBER}".conversation]
inbound_timeout_s = 2
routing_assignment_timeout_s = 1
record = "record-from-answer-dual"
on_failure = {{ no_answer = "voicemail", busy = "wait", no_other_participants = "voicemail" }}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One Cordboard for all of these calls."""
    async with Stack(tmp_path_factory.mktemp("conversations")).journal(POLICY) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="module")
async def stack(running: Stack) -> Stack:
    """A number that leads to a Conversations service with one worker, who answers."""
    await running.twilio("PUT", f"/conversations/{SERVICE}", {"worker": WORKER})
    await running.person(WORKER, ring_s=0.05)
    await running.person(CUSTOMER, ring_s=0.05)
    return running


async def conversation_is(call: Call, state: str) -> Json:
    """Wait until the call's view shows the conversation so."""

    async def there() -> Json | None:
        shown: Json = (await call.view()).get("conversation") or {}
        return shown if shown.get("state") == state else None

    found: Json = await until(f"the conversation to be {state}", there)
    return found


async def ended(call: Call, reason: str) -> None:
    """The call has ended for a reason."""
    assert (await call.tells("call.ended"))["reason"] == reason
    assert (await call.view())["state"] == "ended"


async def hears(call: Call, leg: str, words: str) -> None:
    """A leg is made to hear words."""
    sid = await call.sid_of(leg)

    async def told() -> bool:
        requests = (await call.stack.twilio("GET", "/requests"))["requests"]
        return any(words in (one.get("body") or "") for one in requests if one["params"].get("CallSid") == sid)

    await until(f"{leg} to hear {words!r}", told)


async def leaves_a_message(stack: Stack, call: Call) -> None:
    """The caller ends the recording with a key, once there is one, and it is told after the call's end."""

    async def told() -> bool:
        events = [str(event["type"]) for event in await call.events()]
        if any("event.voicemail." in name for name in events):
            return True
        await stack.request("POST", f"{stack.emulator}/_emulator/calls/{call.call_id}/digits", {"digits": "#"})
        return False

    await until("the message", told)


async def test_a_worker_answers_and_hangs_up(stack: Stack) -> None:
    """Dialled, whispered to, recorded, bridged; the worker hangs up; no room and no REST request in all that."""
    call = await stack.caller_dials()
    await call.reaches("in_conference")
    shown = await conversation_is(call, "talking")
    assert (shown["service_sid"], shown["leg"], shown["sid"][:2]) == (SERVICE, "agent-1", "CH")
    await call.tells("recording.started")
    assert await call.command("call.hold") == ("rejected", "in_conversation")

    await stack.hangs_up(await call.sid_of("agent-1"))

    await ended(call, "agent_left")
    assert (await conversation_is(call, "succeeded"))["result"] == "session-success"
    assert (await call.tells("recording.completed"))["recording_sid"].startswith("RE")
    await hears(call, "agent-1", "A customer of the shop")
    assert await stack.rest("POST", call.call_id) == []


async def test_the_customer_hangs_up(stack: Stack) -> None:
    """After the worker's whisper, while they talk: told as such."""
    call = await stack.caller_dials()
    await call.tells("recording.started")

    await stack.hangs_up(call.call_id)

    await ended(call, "customer_left")


async def test_the_customer_gives_up(stack: Stack) -> None:
    """While the worker's phone rings."""
    await stack.person(WORKER, answer="asks")
    call = await stack.caller_dials()
    await conversation_is(call, "ringing")

    await stack.hangs_up(call.call_id)

    await ended(call, "abandoned")
    assert (await conversation_is(call, "abandoned"))["reason"] == "cancelled"


async def test_no_answer_leads_to_a_message_box(stack: Stack) -> None:
    """After `inbound_timeout_s`; the message is told after the call's end."""
    await stack.person(WORKER, answer="no-answer")
    call = await stack.caller_dials()

    assert (await call.tells("call.unanswered"))["reason"] == "no_answer"
    await ended(call, "no_answer")
    assert (await conversation_is(call, "failed"))["outcome"] == "voicemail"
    await hears(call, "customer-1", "leave a message")
    await leaves_a_message(stack, call)


async def test_busy_leads_into_the_room(stack: Stack) -> None:
    """From there on it is a call like any other: somebody is connected by command."""
    await stack.person(WORKER, answer="busy")
    call = await stack.caller_dials()
    await call.reaches("waiting")
    assert (await conversation_is(call, "failed"))["reason"] == "busy"

    assert await call.command("call.connect", to=AGENT) == APPLIED

    assert await call.command("call.end") == APPLIED


@pytest.mark.parametrize("dial", ["fails", "rejects"])
async def test_another_end_of_the_workers_phone(stack: Stack, dial: str) -> None:
    """A goodbye, where the policy names nothing else; a declined call is busy to Twilio."""
    await stack.person(WORKER, answer=dial)
    call = await stack.caller_dials()

    if dial == "rejects":
        await call.reaches("waiting")
    else:
        await ended(call, "failed")
        await hears(call, "customer-1", "Goodbye")


@pytest.mark.parametrize(
    "result",
    ["failed-create-conversation", "invalid-conversation", "no-existing-conversation", "internal-error"],
)
async def test_twilios_other_results(stack: Stack, result: str) -> None:
    """Each is a reason by itself, and leads to the default: a goodbye."""
    await stack.twilio("PUT", f"/conversations/{SERVICE}", {"result": result})
    call = await stack.caller_dials()

    await ended(call, result.replace("-", "_"))
    shown = await conversation_is(call, "failed")
    assert (shown["result"], shown["outcome"], shown["leg"]) == (result, "announce_end", None)


async def test_no_worker_in_time_leads_to_a_message_box(stack: Stack) -> None:
    """`no-other-participants`, as the policy has it."""
    await stack.twilio("PUT", f"/conversations/{SERVICE}", {"worker": ""})
    call = await stack.caller_dials()

    await ended(call, "no_other_participants")
    assert (await conversation_is(call, "failed"))["outcome"] == "voicemail"


async def test_status_callbacks_that_are_lost_or_late(stack: Stack) -> None:
    """Twilio sends them once. The result decides all the same."""
    await stack.twilio("POST", "/faults", {"effect": "drop", "match": "/conversation-status", "times": 4})
    call = await stack.caller_dials()

    await call.tells("recording.started")

    await stack.hangs_up(call.call_id)

    await ended(call, "customer_left")
    assert (await call.view())["legs"][1]["state"] == "left"


async def test_call_end_hangs_up(stack: Stack) -> None:
    """The one command that is taken."""
    call = await stack.caller_dials()
    await call.reaches("in_conference")

    assert await call.command("call.end", reason="solved") == APPLIED

    await ended(call, "solved")
    assert len(await stack.rest("POST", f"/Calls/{call.call_id}.json", Status="completed")) == 1


async def test_a_worker_calls_a_customer(stack: Stack) -> None:
    """From the browser: the worker's leg waits, the customer's is dialled by the service."""
    call = await stack.browser_dials(WORKER, CUSTOMER)
    view = await call.reaches("in_conference")
    assert [(leg["leg"], leg["role"]) for leg in view["legs"]] == [("agent-1", "agent"), ("customer-1", "customer")]
    assert view["conversation"]["worker_initiated"] is True

    await stack.hangs_up(await call.sid_of("customer-1"))

    await ended(call, "customer_left")
    shown = await conversation_is(call, "succeeded")
    assert (shown["result"], shown["worker_initiated"]) == ("session-success", True)


async def test_a_worker_whose_customer_is_busy_hears_it(stack: Stack) -> None:
    """By the policy's `unanswered`."""
    await stack.person(CUSTOMER, answer="busy")
    call = await stack.browser_dials(WORKER, CUSTOMER)

    assert (await call.tells("call.unanswered"))["reason"] == "busy"
    await hears(call, "agent-1", "The line is busy.")


async def test_it_survives_a_kill(stack: Stack) -> None:
    """-9 in the middle of the talk: what came meanwhile is looked up or told again."""
    call = await stack.caller_dials()
    await call.tells("recording.started")
    stack.services["run"].kill()
    await stack.hangs_up(call.call_id)

    await stack.ready(stack.services["run"].start())

    await ended(call, "customer_left")


@pytest.fixture
async def on_kafka(tmp_path: Path, kafka: KafkaBroker, topic_prefix: str) -> AsyncIterator[Stack]:
    """The same number with each service a process on a real Kafka."""
    async with Stack(tmp_path).kafka(kafka.bootstrap, topic_prefix, POLICY) as stack:
        await stack.twilio("PUT", f"/conversations/{SERVICE}", {"worker": WORKER})
        await stack.person(WORKER, ring_s=0.05)
        yield stack


@pytest.mark.kafka
@pytest.mark.asyncio(loop_scope="function")
async def test_a_conversation_on_kafka(on_kafka: Stack) -> None:
    """A talk, and then a caller whom nobody answers: each service knows what the others have made of it."""
    call = await on_kafka.caller_dials()
    await call.tells("recording.started")
    assert await call.command("call.hold") == ("rejected", "in_conversation")
    await on_kafka.hangs_up(await call.sid_of("agent-1"))
    await ended(call, "agent_left")
    assert (await conversation_is(call, "succeeded"))["result"] == "session-success"

    await on_kafka.person(WORKER, answer="no-answer")
    call = await on_kafka.caller_dials()
    assert (await call.tells("call.unanswered"))["reason"] == "no_answer"
    await ended(call, "no_answer")
    await leaves_a_message(on_kafka, call)
