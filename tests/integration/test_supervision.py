"""Supervisors against the local Twilio on the journal: what counts is who hears whom there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stack import AGENT, OTHER, Call, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LEAD = "phone:+15550155"
SUPERVISOR = "supervisor-1"
APPLIED = ("applied", None)
CUSTOMER_AND_AGENT = {"customer-1", "agent-1"}
POLICY = """
[defaults]
supervision = { monitor = ["phone:*"], coach = ["phone:+15550155"], barge = ["phone:+15550155"], follow = true }
"""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """Everything in one process, with Cordboard's own defaults."""
    async with Stack(tmp_path).journal() as stack:
        await stack.person(LEAD, ring_s=0.05)
        yield stack


@pytest.fixture
async def following(tmp_path: Path) -> AsyncIterator[Stack]:
    """The same with rights, and supervisors who stay after a transfer."""
    async with Stack(tmp_path).journal(POLICY) as stack:
        await stack.person(LEAD, ring_s=0.05)
        yield stack


async def connected(stack: Stack) -> Call:
    """A caller in the room with an agent."""
    call = await stack.caller_dials()
    await call.reaches("waiting")
    assert await call.command("call.connect", to=AGENT) == APPLIED
    return call


async def hearing(stack: Stack, leg: str) -> set[str]:
    """Whom a leg hears at the local Twilio now."""
    (room,) = (await stack.twilio("GET", "/conferences"))["conferences"]
    return next((set(item["hears"]) for item in room["participants"] if item["label"] == leg), set())


async def supervision_is(call: Call, state: str, coach: str | None = None) -> None:
    """Wait until the call's view shows the supervisor so."""

    async def there() -> bool:
        shown = (await call.view()).get("supervisions", [])
        return {"supervisor": SUPERVISOR, "state": state, "coach": coach} in shown

    await until(f"{SUPERVISOR} to be {state}", there)


async def test_a_supervisor_listens_whispers_and_speaks_up(stack: Stack) -> None:
    """Monitor, coach, barge and back: at every step Twilio lets exactly the right ears hear, by one update a switch."""
    call = await connected(stack)
    assert await call.command("call.supervise", mode="monitor", supervisor=LEAD) == APPLIED
    assert await hearing(stack, SUPERVISOR) == CUSTOMER_AND_AGENT
    assert await hearing(stack, "customer-1") == {"agent-1"}
    assert await hearing(stack, "agent-1") == {"customer-1"}

    assert await call.command("supervision.switch", supervisor=SUPERVISOR, mode="coach") == APPLIED
    assert await hearing(stack, "agent-1") == {"customer-1", SUPERVISOR}
    assert await hearing(stack, "customer-1") == {"agent-1"}
    await supervision_is(call, "coaching", "agent-1")

    assert await call.command("supervision.switch", supervisor=SUPERVISOR, mode="barge") == APPLIED
    assert await hearing(stack, "customer-1") == {"agent-1", SUPERVISOR}

    assert await call.command("supervision.switch", supervisor=SUPERVISOR, mode="monitor") == APPLIED
    assert await hearing(stack, "customer-1") == {"agent-1"}
    assert await hearing(stack, "agent-1") == {"customer-1"}
    updates = await stack.rest("POST", f"/Participants/{await call.sid_of(SUPERVISOR)}.json")
    assert len(updates) == 3

    assert await call.command("supervision.leave", supervisor=SUPERVISOR) == APPLIED
    await supervision_is(call, "left")
    assert (await call.view())["state"] == "in_conference"


@pytest.mark.parametrize(("mode", "state", "coach"), [("coach", "coaching", "agent-1"), ("barge", "barged", None)])
async def test_a_supervisor_comes_in_muted(stack: Stack, mode: str, state: str, coach: str | None) -> None:
    """Made muted, switched by one update once in the room."""
    call = await connected(stack)

    assert await call.command("call.supervise", mode=mode, supervisor=LEAD) == APPLIED

    await supervision_is(call, state, coach)
    assert len(await stack.rest("POST", "/Participants.json", Label=SUPERVISOR, Muted="true")) == 1
    assert len(await stack.rest("POST", f"/Participants/{await call.sid_of(SUPERVISOR)}.json")) == 1


async def test_a_supervisor_takes_over(stack: Stack) -> None:
    """The agent is out, the supervisor goes on with the customer, and the call ends as any other."""
    call = await connected(stack)
    assert await call.command("call.supervise", mode="barge", supervisor=LEAD) == APPLIED

    assert await call.command("supervision.takeover", supervisor=SUPERVISOR) == APPLIED

    view = await call.view()
    assert {item["leg"]: (item["role"], item["state"]) for item in view["legs"]} == {
        "customer-1": ("customer", "joined"),
        "agent-1": ("agent", "left"),
        SUPERVISOR: ("agent", "joined"),
    }
    assert await hearing(stack, "customer-1") == {SUPERVISOR}
    assert (await call.tells("supervision.taken_over"))["replaced"] == "agent-1"
    assert await call.command("call.end") == APPLIED


async def test_a_coach_whose_agent_hangs_up_is_muted(stack: Stack) -> None:
    """Before anything else the customer must not hear what was meant for the agent."""
    call = await connected(stack)
    assert await call.command("call.supervise", mode="coach", supervisor=LEAD) == APPLIED

    await stack.hangs_up(await call.sid_of("agent-1"))

    await supervision_is(call, "monitoring")
    assert SUPERVISOR not in await hearing(stack, "customer-1")
    assert (await call.tells("supervision.failed"))["reason"] == "coach_left"


async def test_a_supervisor_leaves_with_a_transfer(stack: Stack) -> None:
    """The default policy: who listens to one agent does not listen to the next."""
    call = await connected(stack)
    assert await call.command("call.supervise", mode="monitor", supervisor=LEAD) == APPLIED

    assert await call.command("call.transfer", mode="cold", targets=[OTHER]) == APPLIED

    await supervision_is(call, "left")


async def test_a_coach_follows_a_transfer(following: Stack) -> None:
    """By policy the new agent is coached, and still not the customer."""
    call = await connected(following)
    assert await call.command("call.supervise", mode="coach", supervisor=LEAD) == APPLIED

    assert await call.command("call.transfer", mode="cold", targets=[OTHER]) == APPLIED

    await supervision_is(call, "coaching", "target-1")
    assert await hearing(following, "target-1") == {"customer-1", SUPERVISOR}
    assert await hearing(following, "customer-1") == {"target-1"}


async def test_rights_are_the_policys(following: Stack) -> None:
    """Who may listen may not speak for that; nobody is dialled without the right."""
    call = await connected(following)

    assert await call.command("call.supervise", mode="coach", supervisor=OTHER) == ("rejected", "not_permitted")
    assert await call.command("call.supervise", mode="monitor", supervisor="client:x") == ("rejected", "not_permitted")
    assert await call.command("call.supervise", mode="monitor", supervisor=OTHER) == APPLIED
    assert await call.command("supervision.switch", supervisor=SUPERVISOR, mode="barge") == (
        "rejected",
        "not_permitted",
    )


async def test_a_switch_whose_callbacks_are_lost_is_found(stack: Stack) -> None:
    """The look after five seconds shows what the callbacks should have said."""
    call = await connected(stack)
    assert await call.command("call.supervise", mode="monitor", supervisor=LEAD) == APPLIED
    for event in ("participant-unmute", "participant-modify"):
        await stack.twilio("POST", "/faults", {"effect": "drop", "match": event, "times": 3})

    assert await call.command("supervision.switch", supervisor=SUPERVISOR, mode="coach") == APPLIED

    await supervision_is(call, "coaching", "agent-1")


async def test_a_busy_supervisor_fails_the_command(stack: Stack) -> None:
    """The talk goes on."""
    await stack.person(LEAD, answer="busy")
    call = await connected(stack)

    assert await call.command("call.supervise", mode="monitor", supervisor=LEAD) == ("failed", "busy")

    await supervision_is(call, "failed")
    assert (await call.view())["state"] == "in_conference"


async def test_a_supervision_survives_a_kill(stack: Stack) -> None:
    """-9 while the supervisor's phone rings: nobody is dialled twice, and the coach is unmuted all the same."""
    await stack.person(LEAD, ring_s=1.0)
    call = await connected(stack)
    asked = await call.send("call.supervise", mode="coach", supervisor=LEAD)
    await call.leg_is(SUPERVISOR, "dialing", "ringing")

    stack.services["run"].kill()
    await stack.ready(stack.services["run"].start())

    assert await call.result_of(asked) == APPLIED
    await supervision_is(call, "coaching", "agent-1")
    assert len(await stack.rest("POST", "/Participants.json", Label=SUPERVISOR)) == 1
    assert await hearing(stack, "customer-1") == {"agent-1"}
