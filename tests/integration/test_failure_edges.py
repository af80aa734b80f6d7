"""What can go wrong with a call, end to end against the local Twilio: one test for each edge that must be decided.

Which edges those are, and which tests show what cannot be shown here, is kept in tests/repo/test_failure_edges.py.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from stack import AGENT, OTHER, Call, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

APPLIED = ("applied", None)
NEXT = "phone:+15550177"
SHORT = "[defaults]\norphan_grace_s = 1\nabandoned_consult_s = 5\nmachine = 'hang_up'\n"
_numbers: Iterator[int] = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One Cordboard on the journal for all of them."""
    folder: Path = tmp_path_factory.mktemp("edges")
    async with Stack(folder).journal(SHORT) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="module")
async def stack(running: Stack) -> AsyncIterator[Stack]:
    """Everybody answers at once, and nothing goes wrong, until the test says otherwise."""
    for target in (AGENT, OTHER, NEXT):
        await running.person(target, ring_s=0.05)
    yield running
    await running.twilio("DELETE", "/faults")


async def talk(stack: Stack) -> Call:
    """A caller in the room with an agent."""
    call = await stack.caller_dials()
    await call.reaches("waiting")
    assert await call.command("call.connect", to=AGENT) == APPLIED
    return call


async def rings(stack: Stack, mode: str = "cold") -> tuple[Call, str]:
    """A transfer whose target rings until somebody picks up; the call and the transfer's command."""
    await stack.person(OTHER, answer="asks")
    call = await talk(stack)
    transfer = await call.send("call.transfer", mode=mode, targets=[OTHER])
    await call.leg_is("target-1", "ringing")
    return call, transfer


async def consults(stack: Stack) -> tuple[Call, str]:
    """A warm transfer whose agents talk, the customer on hold."""
    call = await talk(stack)
    transfer = await call.send("call.transfer", mode="warm", targets=[OTHER])
    await call.transfer_reaches("consulting")
    return call, transfer


async def told_ignored(call: Call, reason: str) -> None:
    """Something was ignored for that reason, and is in the timeline."""

    async def found() -> bool:
        events = [event["data"] for event in await call.events() if event["type"] == "cordboard.event.fact.ignored.v1"]
        return any(event["reason"] == reason for event in events)

    await until(f"a fact ignored as {reason}", found)


async def dialled(stack: Stack, call: Call, leg: str) -> int:
    """How often Twilio was asked to dial a leg."""
    requests = [str(entry["form"]) for entry in await stack.rest("POST", "/Participants.json")]
    return sum(f"call={call.call_id}&leg={leg}&a=" in form for form in requests)


async def fault(stack: Stack, effect: str, match: str, method: str = "", times: int = 1) -> None:
    """The next requests that match go wrong."""
    await stack.twilio("POST", "/faults", {"effect": effect, "match": match, "method": method, "times": times})


async def test_target_busy(stack: Stack) -> None:
    """The attempt has failed as busy, the next target is rung."""
    await stack.person(OTHER, answer="busy")
    call = await talk(stack)

    assert await call.command("call.transfer", mode="cold", targets=[OTHER, NEXT]) == APPLIED

    assert (await call.tells("transfer.attempt_failed"))["reason"] == "busy"


async def test_target_no_answer(stack: Stack) -> None:
    """It rings no longer than it was told to; the customer is back with the agent."""
    await stack.person(OTHER, answer="no-answer")
    call = await talk(stack)

    given_up = await call.command("call.transfer", mode="cold", targets=[OTHER], ring_timeout_s=5)

    assert given_up == ("failed", "no_answer")
    await call.reaches("in_conference")


async def test_target_failed_or_invalid_number(stack: Stack) -> None:
    """Twilio cannot reach it: told as failed, and not tried again."""
    await stack.person(OTHER, answer="fails")
    call = await talk(stack)

    assert await call.command("call.transfer", mode="cold", targets=[OTHER]) == ("failed", "failed")

    assert await dialled(stack, call, "target-1") == 1


async def test_target_rejects(stack: Stack) -> None:
    """Who declines is busy to Twilio; a leg that ends before it joins has rejected. Either way the next one is rung."""
    call, transfer = await rings(stack)

    await stack.hangs_up(await call.sid_of("target-1"))

    outcome, reason = await call.result_of(transfer)
    assert (outcome, reason in {"busy", "rejected"}) == ("failed", True)
    await call.reaches("in_conference")


async def test_voicemail_picks_up(stack: Stack) -> None:
    """An answering machine is no target."""
    await stack.person(OTHER, answer="machine", ring_s=0.05, detect_s=0.1)
    call = await talk(stack)
    transfer = await call.send("call.transfer", mode="warm", targets=[OTHER])

    assert await call.result_of(transfer) == ("failed", "machine")
    await call.reaches("in_conference")


async def test_agent_hangs_up_before_target_answers(stack: Stack) -> None:
    """The customer waits with music for the target, who then has the call."""
    call, transfer = await rings(stack, "warm")

    await stack.hangs_up(await call.sid_of("agent-1"))
    await call.transfer_reaches("awaiting_target")
    await stack.twilio("POST", f"/calls/{await call.sid_of('target-1')}/answer")

    assert await call.result_of(transfer) == APPLIED
    await call.reaches("in_conference")


async def test_agent_hangs_up_during_consult(stack: Stack) -> None:
    """That completes the transfer."""
    call, transfer = await consults(stack)

    await stack.hangs_up(await call.sid_of("agent-1"))

    assert await call.result_of(transfer) == APPLIED


async def test_agent_hangs_up_without_a_transfer(stack: Stack) -> None:
    """The customer hears music, and the agent is called back."""
    call = await talk(stack)

    await stack.hangs_up(await call.sid_of("agent-1"))

    await call.tells("call.orphaned")
    await call.tells("call.recovered")


async def test_caller_hangs_up_while_target_rings(stack: Stack) -> None:
    """The target's phone stops ringing at once, although the customer was held."""
    call, transfer = await rings(stack, "warm")

    await stack.hangs_up(call.call_id)

    assert (await call.result_of(transfer))[1] == "abandoned"
    await call.leg_is("target-1", "failed", "left")
    await call.reaches("ended")


async def test_caller_hangs_up_during_consult(stack: Stack) -> None:
    """The two agents may finish their talk, for a while."""
    call, transfer = await consults(stack)

    await stack.hangs_up(call.call_id)

    assert (await call.result_of(transfer))[1] == "abandoned"
    assert (await call.tells("call.wrap_up"))["to"] == "wrap_up"
    await call.reaches("ended")


async def test_both_hang_up_at_once(stack: Stack) -> None:
    """In whatever order Twilio tells it, the call is over, and nobody is called back."""
    call = await talk(stack)
    agent = await call.sid_of("agent-1")

    await stack.hangs_up(call.call_id)
    await stack.hangs_up_if_there(agent)

    await call.reaches("ended")
    assert [leg["leg"] for leg in (await call.view())["legs"]] == ["customer-1", "agent-1"]


async def test_conference_ends_unexpectedly(stack: Stack) -> None:
    """Under a transfer: it has failed, the caller is in a fresh room, and the agent is called back."""
    call, transfer = await rings(stack)

    await stack.loses_the_room(call.call_id)

    assert await call.result_of(transfer) == ("failed", "hub_ended")
    await call.tells("call.rescued")
    await call.tells("call.recovered")


async def test_command_in_a_wrong_state(stack: Stack) -> None:
    """Refused with the state and what it would take."""
    call = await stack.caller_dials()
    await call.reaches("waiting")

    refused = await call.send("call.transfer", mode="cold", targets=[OTHER])

    assert await call.result_of(refused) == ("rejected", "not_allowed")
    [result] = [event["data"] for event in await call.events() if event["type"] == "cordboard.result.v1"]
    assert (result["state"], "call.connect" in result["allowed"]) == ("waiting", True)


async def test_command_times_out(stack: Stack) -> None:
    """Twilio's word for a mute is lost: a look finds it, and the command is answered."""
    call = await talk(stack)
    await fault(stack, "drop", "participant-mute")

    assert await call.command("call.mute", leg="agent-1") == APPLIED


async def test_command_repeated(stack: Stack) -> None:
    """The first answer again, and one request to Twilio."""
    call = await talk(stack)
    event = call.event("call.mute", f"same-{next(_numbers)}", {"leg": "agent-1"})
    for _ in range(3):
        await stack.request("POST", f"{stack.commands}/v1/commands", event)

    assert await call.result_of(str(event["id"])) == APPLIED
    assert len(await stack.rest("POST", await call.sid_of("agent-1"), Muted="true")) == 1


async def test_late_callback_after_the_end(stack: Stack) -> None:
    """It changes nothing and is in the timeline."""
    call = await talk(stack)

    assert await call.command("call.end") == APPLIED

    await told_ignored(call, "late")
    assert (await call.view())["state"] == "ended"


async def test_callback_before_the_rest_reply(stack: Stack) -> None:
    """Twilio's answer to the create is lost, its callbacks are not: one leg, adopted."""
    await fault(stack, "answer-lost", "/Participants", "POST")

    call = await talk(stack)

    assert [leg["leg"] for leg in (await call.view())["legs"]] == ["customer-1", "agent-1"]
    assert await dialled(stack, call, "agent-1") == 1


async def test_cancel_races_the_answer(stack: Stack) -> None:
    """The target picks up just then: whoever wins, the customer ends up with one of the two, and it is told."""
    call, transfer = await rings(stack, "warm")
    target = await call.sid_of("target-1")

    cancel = await call.send("transfer.cancel")
    await stack.answers_if_it_rings(target)

    assert await call.result_of(cancel) == APPLIED
    assert await call.result_of(transfer) == ("failed", "cancelled")
    await call.leg_is("target-1", "failed", "left")
    await call.reaches("in_conference")


async def test_too_many_requests(stack: Stack) -> None:
    """429 is waited for, within the deadline."""
    call = await talk(stack)
    await fault(stack, "429", call.call_id, "POST", times=2)

    assert await call.command("call.mute", leg="customer-1") == APPLIED


async def test_update_of_a_participant_who_is_not_there(stack: Stack) -> None:
    """Every word of the hang-up was lost: the 404 leads to a look, and the leg has left."""
    call = await talk(stack)
    agent = await call.sid_of("agent-1")
    await fault(stack, "drop", "participant-leave")
    await fault(stack, "drop", "leg=agent-1", times=3)
    await stack.hangs_up(agent)

    outcome, _ = await call.command("call.mute", leg="agent-1")

    assert outcome == "failed"
    await call.leg_is("agent-1", "left")
    await call.tells("call.recovered")


async def test_crash_in_the_middle_of_a_command(stack: Stack) -> None:
    """Killed and started again, Cordboard finishes what it had begun, and nobody is dialled twice."""
    call, transfer = await rings(stack)
    stack.services["run"].kill()
    stack.services["run"].start()
    await stack.ready(stack.services["run"])

    await stack.twilio("POST", f"/calls/{await call.sid_of('target-1')}/answer")

    assert await call.result_of(transfer) == APPLIED
    assert await dialled(stack, call, "target-1") == 1
