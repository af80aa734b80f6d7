"""Customers who cannot be reached, against the local Twilio on the journal: what the agent and a machine hear."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stack import NUMBER, Call, Json, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

CUSTOMER = "+15550166"
AGENT = "client:anna"
POLICY = f"""
["{NUMBER}"]
unanswered = "announce"
ring_timeout_s = 5
machine = "voicemail_message"
machine_message = {{ say = "This is the clinic" }}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One Cordboard for all of these calls."""
    async with Stack(tmp_path_factory.mktemp("unanswered")).journal(POLICY) as stack:
        yield stack


async def heard(call: Call, leg: str) -> list[str]:
    """The documents that a leg was given."""
    sid = await call.sid_of(leg)
    requests: list[Json] = (await call.stack.twilio("GET", "/requests"))["requests"]
    return [str(one.get("body") or "") for one in requests if one["params"].get("CallSid") == sid]


async def hears(call: Call, leg: str, words: str) -> None:
    """A leg is made to hear words."""

    async def told() -> bool:
        return any(words in document for document in await heard(call, leg))

    await until(f"{leg} to hear {words!r}", told)


@pytest.mark.parametrize(
    ("person", "reason", "words"),
    [
        ({"answer": "busy"}, "busy", "The line is busy."),
        ({"answer": "rejects", "ring_s": 0.05}, "busy", "The line is busy."),
        ({"answer": "no-answer", "ring_s": 0.05}, "no_answer", "Nobody has answered"),
        ({"answer": "fails"}, "failed", "could not be connected"),
    ],
)
async def test_the_agent_hears_why(stack: Stack, person: Json, reason: str, words: str) -> None:
    """The event says it, the words follow, and then the call is over."""
    await stack.person(CUSTOMER, **person)
    call = await stack.browser_dials(AGENT, CUSTOMER)

    assert (await call.tells("call.unanswered"))["reason"] == reason
    await hears(call, "agent-1", words)
    assert (await call.tells("call.ended"))["reason"] == "unanswered"


async def test_a_machine_is_left_a_message_after_its_tone(stack: Stack) -> None:
    """Detected by the tone, spoken to outside the room, hung up; the agent hears of it."""
    await stack.person(CUSTOMER, answer="machine", ring_s=0.05, detect_s=0.3)
    call = await stack.browser_dials(AGENT, CUSTOMER)

    assert (await call.tells("call.unanswered"))["reason"] == "machine"
    await hears(call, "customer-1", "This is the clinic")
    await hears(call, "agent-1", "An answering machine")
    assert (await call.tells("call.ended"))["reason"] == "unanswered"
    assert await stack.rest("POST", "/Participants", Label="customer-1", MachineDetection="DetectMessageEnd")
    sid = await call.sid_of("customer-1")

    async def hung_up() -> bool:
        calls = (await stack.twilio("GET", "/calls"))["calls"]
        return any(one["call_sid"] == sid and one["status"] == "completed" for one in calls)

    await until("the machine's leg to be over", hung_up)
    assert await stack.rest("POST", f"/Calls/{sid}.json", Status="completed") == []


async def test_a_person_is_left_none(stack: Stack) -> None:
    """They talk; the room may then end with the customer."""
    await stack.person(CUSTOMER, ring_s=0.05, detect_s=0.2)
    call = await stack.browser_dials(AGENT, CUSTOMER)
    view = await call.reaches("in_conference")
    _, same = await stack.request("GET", f"{stack.reads}/v1/calls/{await call.sid_of('customer-1')}")
    assert (same["call_id"], same["room"]) == (call.call_id, view["room"])

    async def guarded() -> bool:
        legs = {leg["leg"]: leg for leg in (await call.view())["legs"]}
        return bool(legs["customer-1"]["observed"]["end_on_exit"])

    await until("the room to end with the customer", guarded)
    assert not any("clinic" in document for document in await heard(call, "customer-1"))
    assert await call.command("call.end") == ("applied", None)
