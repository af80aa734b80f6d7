"""Recordings against the local Twilio on the journal."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stack import AGENT, OTHER, Call, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

APPLIED = ("applied", None)
POLICY = """
[defaults]
recording = "from_connected"
max_pause_s = 1
"""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """Everything in one process, with Cordboard's own defaults."""
    async with Stack(tmp_path).journal() as stack:
        yield stack


@pytest.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[Stack]:
    """The same, recording by itself and pausing for a second at most."""
    async with Stack(tmp_path).journal(POLICY) as stack:
        yield stack


async def connected(stack: Stack) -> Call:
    """A caller in the room with an agent."""
    call = await stack.caller_dials()
    await call.reaches("waiting")
    assert await call.command("call.connect", to=AGENT) == APPLIED
    return call


async def recording_is(call: Call, state: str) -> dict[str, Any]:
    """Wait until the call's view shows the recording so."""

    async def there() -> dict[str, Any] | None:
        recording: dict[str, Any] = (await call.view()).get("recording", {})
        return recording if recording.get("state") == state else None

    found: dict[str, Any] = await until(f"the recording to be {state}", there)
    return found


async def test_a_call_is_recorded_paused_resumed_and_stopped(stack: Stack) -> None:
    """Each command is answered by Twilio's own word; two channels of the customer's own call."""
    call = await connected(stack)
    assert await call.command("recording.start") == APPLIED
    sid = (await recording_is(call, "on"))["sid"]
    assert sid.startswith("RE")

    assert await call.command("recording.pause") == APPLIED
    await recording_is(call, "paused")
    assert await call.command("recording.resume") == APPLIED
    assert await call.command("recording.stop") == APPLIED
    assert await recording_is(call, "done") == {"state": "done", "sid": sid}

    assert len(await stack.rest("POST", f"/Calls/{call.call_id}/Recordings.json", RecordingChannels="dual")) == 1
    changes = await stack.rest("POST", f"/Recordings/{sid}.json")
    assert len(changes) == 3
    assert (await call.tells("recording.completed"))["recording_sid"] == sid


async def test_a_recording_by_policy_lasts_through_a_transfer(recorded: Stack) -> None:
    """One recording from the first talk to the end, whoever the agent is."""
    call = await connected(recorded)
    sid = (await recording_is(call, "on"))["sid"]

    assert await call.command("call.transfer", mode="cold", targets=[OTHER]) == APPLIED
    assert await recording_is(call, "on") == {"state": "on", "sid": sid}

    assert await call.command("call.end") == APPLIED
    assert await recording_is(call, "done") == {"state": "done", "sid": sid}
    assert len(await recorded.rest("POST", "/Recordings.json")) == 1


async def test_a_forgotten_pause_ends_by_itself(recorded: Stack) -> None:
    """After the policy's second the recording goes on, and the event tells how long it was silent."""
    call = await connected(recorded)
    await recording_is(call, "on")
    assert await call.command("recording.pause") == APPLIED

    assert (await call.tells("recording.resumed"))["duration_s"] >= 1.0
    await recording_is(call, "on")


async def test_a_recording_whose_answer_is_lost_is_not_made_twice(stack: Stack) -> None:
    """Twilio has no key against a second recording: it is looked for, and found."""
    call = await connected(stack)
    await stack.twilio("POST", "/faults", {"effect": "answer-lost", "method": "POST", "match": "/Recordings.json"})

    assert await call.command("recording.start") == APPLIED

    await recording_is(call, "on")
    assert len(await stack.rest("POST", "/Recordings.json")) == 1


async def test_a_lost_callback_does_not_leave_the_start_open(stack: Stack) -> None:
    """Twilio's answer has named the recording."""
    call = await connected(stack)
    await stack.twilio("POST", "/faults", {"effect": "drop", "match": "/voice/recording"})

    assert await call.command("recording.start") == APPLIED

    await recording_is(call, "on")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("recording.pause", "not_recording"), ("recording.resume", "not_paused"), ("recording.stop", "not_recording")],
)
async def test_what_is_not_recorded_cannot_be_steered(stack: Stack, name: str, reason: str) -> None:
    """Rejected with the reason, before anything is asked of Twilio."""
    call = await connected(stack)

    assert await call.command(name) == ("rejected", reason)
