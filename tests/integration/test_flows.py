"""Flows of a contact centre against the local Twilio, the main ones on both logs: told as the people in them would."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stack import AGENT, OTHER, Call, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CUSTOMER = "+15550166"
WORKER = "+15550144"
APPLIED = ("applied", None)
POLICY = """
[defaults]
max_wait_s = 2
max_wait = "voicemail"
orphan = ["recall", "announce_end"]
orphan_grace_s = 1
hold_reminder_s = 1
"""


on_both_logs = pytest.mark.parametrize(
    "stack", ["journal", pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)


@pytest.fixture
async def stack(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """Cordboard with its own defaults: one process on the journal, or each service a process on a real Kafka."""
    stack = Stack(tmp_path)
    if getattr(request, "param", "journal") == "kafka":
        stack.kafka(request.getfixturevalue("kafka").bootstrap, request.getfixturevalue("topic_prefix"))
    else:
        stack.journal()
    async with stack:
        yield stack


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Stack]:
    """The same with short limits."""
    async with Stack(tmp_path).journal(POLICY) as stack:
        yield stack


async def connected(stack: Stack) -> Call:
    """A caller in the room with an agent."""
    call = await stack.caller_dials()
    await call.reaches("waiting")
    assert await call.command("call.connect", to=AGENT) == APPLIED
    return call


@on_both_logs
async def test_an_agent_calls_a_customer_from_the_browser(stack: Stack) -> None:
    """The agent is in the room first, then the customer is dialled."""
    call = await stack.browser_dials("client:anna", CUSTOMER)

    await call.reaches("in_conference")

    assert len(await stack.rest("POST", "/Participants", To=CUSTOMER, Label="customer-1")) == 1


async def test_the_browsers_customer_is_busy(stack: Stack) -> None:
    """The agent learns why by event, and is not left alone."""
    await stack.person(CUSTOMER, answer="busy")
    call = await stack.browser_dials("client:anna", CUSTOMER)

    assert (await call.tells("call.unanswered"))["reason"] == "busy"
    await call.reaches("ended")


@on_both_logs
async def test_a_warm_transfer(stack: Stack) -> None:
    """The customer waits, the agents talk, then customer and second agent are together."""
    call = await connected(stack)
    transfer = await call.send("call.transfer", mode="warm", targets=[OTHER])
    await call.transfer_reaches("consulting")

    assert await call.command("transfer.complete") == APPLIED
    assert await call.result_of(transfer) == APPLIED
    assert await call.command("call.end") == APPLIED


async def test_swap_merge_and_cancel(stack: Stack) -> None:
    """Back and forth, all together, and back to how it was."""
    call = await connected(stack)
    transfer = await call.send("call.transfer", mode="warm", targets=[OTHER])
    await call.transfer_reaches("consulting")

    assert await call.command("transfer.swap") == APPLIED
    assert await call.command("transfer.swap") == APPLIED
    assert await call.command("transfer.merge") == APPLIED
    assert await call.command("transfer.cancel") == APPLIED
    assert await call.result_of(transfer) == ("failed", "cancelled")
    await call.reaches("in_conference")


async def test_a_target_that_does_not_answer_gives_the_customer_back(stack: Stack) -> None:
    """No answer within the time-out: the talk goes on."""
    await stack.person(OTHER, answer="no-answer")
    call = await connected(stack)

    assert await call.command("call.transfer", mode="cold", targets=[OTHER], ring_timeout_s=5) == (
        "failed",
        "no_answer",
    )
    await call.reaches("in_conference")


async def test_an_agent_who_hangs_up_is_called_back(strict: Stack) -> None:
    """The customer hears music, the agent is dialled again, they talk."""
    call = await connected(strict)
    await strict.hangs_up(await call.sid_of("agent-1"))

    await call.tells("call.orphaned")
    await call.tells("call.recovered")

    assert len(await strict.rest("POST", "/Participants", Label="agent-2")) == 1


@on_both_logs
async def test_a_lost_conference_is_survived(stack: Stack) -> None:
    """The caller is let into a fresh room, the agent who was hung up with the old one is called again, they talk."""
    call = await connected(stack)
    await stack.loses_the_room(call.call_id)

    rescued = await call.tells("call.rescued")
    await call.tells("call.recovered")

    view = await call.reaches("in_conference")
    assert rescued["room"] == view["room"]["name"] == f"room2-{call.call_id}"
    assert {leg["leg"]: leg["state"] for leg in view["legs"]} == {
        "customer-1": "joined", "agent-1": "left", "agent-2": "joined",
    }  # fmt: skip
    assert await call.command("call.end") == APPLIED


async def test_nobody_comes_and_the_caller_leaves_a_message(strict: Stack) -> None:
    """After the wait the caller is outside the room with the voicemail."""
    call = await strict.caller_dials()
    await call.reaches("ended")

    [redirect] = await strict.rest("POST", f"/Calls/{call.call_id}.json")
    assert "/v1/voice/voicemail" in str(redirect["form"])


async def test_a_held_customer_is_reminded_of(strict: Stack) -> None:
    """Twice, and not after the hold."""
    call = await connected(strict)
    assert await call.command("call.hold") == APPLIED

    assert (await call.tells("hold.reminder"))["count"] == 1
    assert await call.command("call.resume") == APPLIED
    assert (await call.tells("hold.ended"))["leg"] == "customer-1"


async def test_the_caller_hangs_up_while_the_agent_rings(stack: Stack) -> None:
    """The agent's phone stops ringing at once."""
    await stack.person(AGENT, answer="asks")
    call = await stack.caller_dials()
    await call.reaches("waiting")
    connect = await call.send("call.connect", to=AGENT)
    await call.leg_is("agent-1", "ringing")

    await stack.hangs_up(call.call_id)

    assert await call.result_of(connect) == ("failed", "cancelled")
    await call.leg_is("agent-1", "failed")


async def test_a_third_party_joins_and_is_taken_out(stack: Stack) -> None:
    """Add, announce to all, mute, remove."""
    call = await connected(stack)

    assert await call.command("call.add", to=OTHER) == APPLIED
    assert await call.command("call.announce", say="An expert has joined.") == APPLIED
    assert await call.command("call.mute", leg="third-1") == APPLIED
    assert await call.command("call.remove", leg="third-1") == APPLIED
    await call.reaches("in_conference")


async def test_a_whisper_is_heard_before_the_room(stack: Stack) -> None:
    """The agent's leg comes by way of our TwiML."""
    call = await stack.caller_dials()
    await call.reaches("waiting")

    assert await call.command("call.connect", to=AGENT, whisper={"say": "A caller from Branford"}) == APPLIED

    [create] = await stack.rest("POST", "/Calls.json")
    assert "/v1/voice/conference-join" in str(create["form"])


@on_both_logs
async def test_a_worker_from_a_queue(stack: Stack) -> None:
    """A task by REST, the worker joined into the room, the reservation accepted, the task wrapped up in the end."""
    await stack.person(WORKER, ring_s=0.05)
    call = await stack.caller_dials()
    await call.reaches("waiting")

    assert await call.command("call.connect", to="queue:support") == APPLIED
    await call.reaches("in_conference")
    assert await call.command("call.end") == APPLIED

    await until("the task to be wrapping", lambda: stack.rest("POST", "/Tasks/WT", AssignmentStatus="wrapping"))
    assert await stack.rest("POST", "/Reservations/", ReservationStatus="accepted")
    [task] = (await stack.twilio("GET", "/tasks"))["tasks"]
    assert task["status"] == "wrapping"
    assert task["attributes"]["conference"]["participants"]["customer"] == call.call_id


async def test_a_transfer_to_a_queue(stack: Stack) -> None:
    """The worker of the queue becomes the agent."""
    await stack.person(WORKER, ring_s=0.05)
    call = await connected(stack)

    assert await call.command("call.transfer", mode="cold", targets=["queue:support"]) == APPLIED

    view = await call.reaches("in_conference")
    assert [leg["leg"] for leg in view["legs"] if leg["state"] == "joined"] == ["customer-1", "target-1"]
