"""A conference that ends although nobody in it wants it to: the control route for rehearsing it."""

import pytest

from emulator_bench import Bench


@pytest.mark.parametrize("by", ["sid", "name"])
async def test_a_conference_is_ended_from_outside(bench: Bench, by: str) -> None:
    """As if by the API: everybody is told so, and a leg that came by TwiML goes on."""
    caller = await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1")
    room = bench.room("room-1")

    status, _ = await bench.control("POST", f"/conferences/{room.sid if by == 'sid' else 'room-1'}/end")
    await bench.settled()

    assert status == 200
    told = {
        hit.params["CallSid"]: (hit.params["ReasonParticipantLeft"], hit.params["ParticipantCallStatus"])
        for hit in bench.sent("conference")
        if hit.params["StatusCallbackEvent"] == "participant-leave"
    }
    assert told == {
        caller: ("conference_ended_via_api", "in-progress"), agent: ("conference_ended_via_api", "completed"),
    }  # fmt: skip
    assert bench.conference_events()[-1] == "conference-end"


async def test_there_must_be_such_a_conference(bench: Bench) -> None:
    """Otherwise it says where to look."""
    status, answer = await bench.control("POST", "/conferences/room-9/end")

    assert status == 404
    assert "/_emulator/conferences" in str(answer)
