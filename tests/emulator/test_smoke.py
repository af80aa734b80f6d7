"""The whole way once: a caller waits, an agent is dialled in, both are heard, both leave."""

from emulator_bench import AGENT, NUMBER, Bench


async def test_a_call_goes_through(bench: Bench) -> None:
    """A caller and a dialled agent meet in a conference, and every step is told."""
    caller = await bench.caller_in("room-1")
    async with bench.twilio() as twilio:
        made = await twilio.conferences("room-1").participants.create_async(
            from_=NUMBER,
            to=AGENT,
            label="agent-1",
            status_callback=bench.url("/leg"),
            status_callback_event=["initiated", "ringing", "answered", "completed"],
            end_conference_on_exit=True,
        )
        assert made.call_sid is not None
        assert made.conference_sid is not None
        agent = made.call_sid
        await bench.until(lambda: bench.joined("room-1", agent), "the agent")
        held = await twilio.conferences(made.conference_sid).participants(caller).update_async(hold=True)
        assert held.hold is True
        found = await twilio.conferences(made.conference_sid).participants.list_async()
        assert {p.label for p in found} == {"customer", "agent-1"}
        await bench.control("POST", f"/calls/{agent}/hangup")
        await bench.until(lambda: bench.status(caller) == "completed", "the caller's end")
    await bench.settled()
    assert bench.conference_events() == [
        "participant-join",
        "participant-join",
        "conference-start",
        "participant-hold",
        "participant-leave",
        "participant-leave",
        "conference-end",
    ]
    assert [e.event for e in bench.sent("call")] == ["initiated", "ringing", "answered", "completed"]
