"""Participants that are applications: `To=app:AP…`, as AI agents are."""

from emulator import Switches
from emulator_bench import NUMBER, Bench, BenchFactory


async def test_application_participant(bench: Bench) -> None:
    """To=app:…: the app gets an incoming call of its own with the parameters; both end together (U5)."""
    app = "AP" + "1" * 32
    bench.site.pages["/app"] = "<Response><Connect><Stream url='wss://x'/></Connect></Response>"
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    await bench.caller_in("room-1")
    leg = await bench.agent_in("room-1", f"app:{app}?call=c%2F1&leg=ai-1", Label="ai-1")
    params = bench.site.got("/app")[0].params
    assert (params["call"], params["leg"], params["ApplicationSid"]) == ("c/1", "ai-1", app)
    assert (params["Direction"], params["From"]) == ("inbound", NUMBER)
    assert params["CallSid"] != leg
    await bench.control("POST", f"/calls/{params['CallSid']}/session-end")
    await bench.until(lambda: bench.status(leg) == "completed", "the participant's end")
    assert not bench.joined("room-1", leg)


async def test_removed_application_participant(bench: Bench) -> None:
    """Deleting the participant ends the application's call too."""
    app = "AP" + "1" * 32
    bench.site.pages["/app"] = "<Response><Connect><ConversationRelay url='wss://x'/></Connect></Response>"
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    await bench.caller_in("room-1")
    leg = await bench.agent_in("room-1", f"app:{app}", Label="ai-1")
    agent = bench.site.got("/app")[0].params["CallSid"]
    await bench.rest("DELETE", f"/Conferences/{bench.room('room-1').sid}/Participants/ai-1.json")
    await bench.until(lambda: bench.status(leg) == bench.status(agent) == "completed", "both ended")


async def test_application_sid_may_be_the_participants(start: BenchFactory) -> None:
    """U5 the other way: the app's webhook names the participant's CallSid."""
    bench = await start(Bench.config(switches=Switches(u5_app_call_sid_is_participants=True)))
    app = "AP" + "1" * 32
    bench.site.pages["/app"] = "<Response><Connect><Stream url='wss://x'/></Connect></Response>"
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    leg = await bench.agent_in("room-1", f"app:{app}")
    assert bench.site.got("/app")[0].params["CallSid"] == leg
    await bench.control("POST", f"/calls/{leg}/hangup")
    await bench.until(lambda: bench.status(leg) == "completed", "the end")
