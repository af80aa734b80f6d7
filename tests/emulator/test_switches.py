"""The unconfirmed points that no other file turns: each switch makes a visible difference."""

import pytest

from emulator import NumberConfig, Switches
from emulator.switches import Counting
from emulator_bench import AGENT, NUMBER, TARGET, Bench, BenchFactory

PAUSE = "<Response><Pause length='60'/></Response>"


async def test_early_media_joins_early(start: BenchFactory) -> None:
    """U11: with EarlyMedia a leg is in the conference while it still rings."""
    bench = await start(Bench.config(switches=Switches(u11_early_media_joins_early=True)))
    await bench.person(TARGET, answer="asks")
    sid = await bench.agent_in("room-1", TARGET, EarlyMedia="true")
    assert bench.status(sid) == "ringing"


async def test_skipped_states_count(start: BenchFactory) -> None:
    """U12: a busy leg, which skips two states, ends with number 3."""
    bench = await start(Bench.config(switches=Switches(u12_skipped_states_count=True)))
    await bench.person(TARGET, answer="busy")
    form = {"To": TARGET, "From": NUMBER, "Twiml": PAUSE, "StatusCallback": bench.url("/cb")}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: bench.site.got("/cb", CallStatus="busy", SequenceNumber="3"), "the busy signal")


async def test_only_subscribed_call_events_count(start: BenchFactory) -> None:
    """Recorded payloads show 0 for a lone completed: only subscribed events are numbered."""
    bench = await start(Bench.config(switches=Switches(call_counting=Counting.SUBSCRIBED)))
    form = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>", "StatusCallback": bench.url("/cb")}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: bench.site.got("/cb", CallStatus="completed", SequenceNumber="0"), "the end")


async def test_reasons_of_leaving(start: BenchFactory) -> None:
    """U16: the reasons of a DELETE and of a hang-up over REST are what the switches say."""
    switches = Switches(u16_delete_reason="deleted", u16_hangup_reason="ended")
    bench = await start(Bench.config(switches=switches))
    caller = await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1")
    await bench.rest("DELETE", f"/Conferences/{bench.room('room-1').sid}/Participants/{agent}.json")
    await bench.rest("POST", f"/Calls/{caller}.json", {"Status": "completed"})
    await bench.settled()
    leaves = bench.sent("conference", StatusCallbackEvent="participant-leave")
    assert [entry.params["ReasonParticipantLeft"] for entry in leaves] == ["deleted", "ended"]


async def test_refusals_of_a_conference_have_the_status_that_is_set(start: BenchFactory) -> None:
    """U14: label, full, coach, gone and state are each told with the status of their switch."""
    switches = Switches(
        u14_label_status=409, u14_full_status=507, u14_coach_status=422, u14_gone_status=410, u14_state_status=423
    )
    bench = await start(Bench.config(switches=switches))
    await bench.caller_in("room-1", maxParticipants="2")

    async def told(path: str, **form: str) -> tuple[int, object]:
        status, body = await bench.rest("POST", path, {"From": NUMBER, "To": AGENT, **form})
        return status, body.get("code")

    room, absent = "/Conferences/room-1/Participants.json", "CA" + "0" * 32
    assert await told(room, Label="a/b") == (409, 16024)
    assert await told(room, Label="customer") == (409, 16026)
    assert await told(room, Coaching="true", CallSidToCoach=absent) == (422, 16028)
    assert await told(f"/Conferences/CF{'0' * 32}/Participants.json") == (410, 16022)
    await bench.agent_in("room-1")
    assert await told(room) == (507, 16020)
    await bench.person(AGENT, answer="asks")
    assert (await told("/Conferences/room-2/Participants.json"))[0] == 201
    status, body = await bench.rest("POST", f"/Conferences/{bench.room('room-2').sid}.json", {"Status": "completed"})
    assert (status, body["code"]) == (423, 16099)


async def test_kicked_twiml_leg_may_be_hung_up(start: BenchFactory) -> None:
    """U17 the other way: a kicked TwiML leg is hung up and its action not asked for."""
    bench = await start(Bench.config(switches=Switches(u17_kicked_twiml_leg_continues=False)))
    caller = await bench.caller_in("room-1")
    await bench.rest("DELETE", f"/Conferences/{bench.room('room-1').sid}/Participants/{caller}.json")
    await bench.until(lambda: bench.status(caller) == "completed", "the hang-up")
    assert not bench.site.got("/after")


async def test_label_may_be_free_while_ringing(start: BenchFactory) -> None:
    """U18 the other way: a ringing leg does not hold its label."""
    bench = await start(Bench.config(switches=Switches(u18_label_reserved_while_ringing=False)))
    await bench.person(AGENT, answer="asks")
    form = {"From": NUMBER, "To": AGENT, "Label": "agent-1"}
    answers = [await bench.rest("POST", "/Conferences/room-1/Participants.json", form) for _ in "12"]
    assert [status for status, _ in answers] == [201, 201]


async def test_unholding_may_unmute(start: BenchFactory) -> None:
    """U19 the other way: muting does not outlive a hold."""
    bench = await start(Bench.config(switches=Switches(u19_mute_survives_hold=False)))
    caller = await bench.caller_in("room-1")
    path = f"/Conferences/{bench.room('room-1').sid}/Participants/{caller}.json"
    for form in ({"Muted": "true"}, {"Hold": "true"}, {"Hold": "false"}):
        _, body = await bench.rest("POST", path, form)
    assert body["muted"] is False


@pytest.mark.parametrize(
    ("state", "coaching", "muted"), [("silent", True, False), ("muted", False, True), ("barged", False, False)]
)
async def test_coach_left_alone(start: BenchFactory, state: str, *, coaching: bool, muted: bool) -> None:
    """U20: when the coached leg has left, the coach is silent, muted, or heard by all."""
    bench = await start(Bench.config(switches=Switches(u20_coach_left_alone=state)))
    await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1")
    boss = await bench.agent_in("room-1", TARGET, CallSidToCoach=agent)
    await bench.control("POST", f"/calls/{agent}/hangup")
    _, body = await bench.rest("GET", f"/Conferences/{bench.room('room-1').sid}/Participants/{boss}.json")
    assert (body["coaching"], body["muted"]) == (coaching, muted)


async def test_events_may_name_the_coached(start: BenchFactory) -> None:
    """U21: participant events carry CallSidToCoach if switched on."""
    bench = await start(Bench.config(switches=Switches(u21_events_carry_call_sid_to_coach=True)))
    await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1")
    boss = await bench.agent_in("room-1", TARGET, CallSidToCoach=agent)
    await bench.settled()
    (join,) = bench.sent("conference", CallSid=boss, StatusCallbackEvent="participant-join")
    assert join.params["CallSidToCoach"] == agent


@pytest.mark.parametrize("sensitive", [True, False])
async def test_names_and_their_case(start: BenchFactory, *, sensitive: bool) -> None:
    """U22: Room-1 and room-1 are two conferences, or one."""
    bench = await start(Bench.config(switches=Switches(u22_names_case_sensitive=sensitive)))
    await bench.caller_in("room-1")
    form = {"From": NUMBER, "To": TARGET}
    _, body = await bench.rest("POST", "/Conferences/Room-1/Participants.json", form)
    assert (body["conference_sid"] != bench.room("room-1").sid) is sensitive


async def test_media_requests_may_hide_the_conference(start: BenchFactory) -> None:
    """U6 the other way: the wait request has no ConferenceSid."""
    bench = await start(Bench.config(switches=Switches(u6_media_requests_name_conference=False)))
    await bench.caller_in("room-1", waitUrl=bench.url("/wait"))
    await bench.until(lambda: bench.site.got("/wait"), "the wait request")
    assert "ConferenceSid" not in bench.site.got("/wait")[0].params


async def test_main_token_may_sign_for_all(start: BenchFactory) -> None:
    """U1 the other way: a subaccount's webhook is signed with the main account's token."""
    sub, number = "AC" + "5" * 32, "+15550100008"
    switches = Switches(u1_subaccount_signs=False)
    numbers = {number: NumberConfig(account_sid=sub)}
    bench = await start(Bench.config(subaccounts={sub: "sub-token"}, numbers=numbers, switches=switches))
    assert bench.emulator.world.signing_token(sub) == bench.emulator.world.config.auth_token


async def test_end_on_exit_may_count_while_held(start: BenchFactory) -> None:
    """Gotcha 7 switched off: EndConferenceOnExit takes effect while held."""
    bench = await start(Bench.config(switches=Switches(held_end_on_exit_ignored=False)))
    caller = await bench.caller_in("room-1", endConferenceOnExit="true")
    path = f"/Conferences/{bench.room('room-1').sid}/Participants/{caller}.json"
    await bench.rest("POST", path, {"Hold": "true"})
    _, body = await bench.rest("POST", path, {"EndConferenceOnExit": "false"})
    assert body["end_conference_on_exit"] is False


async def test_any_caller_id(start: BenchFactory) -> None:
    """A From that is not verified passes when the check is off, when it is verified, or with a CallToken."""
    form = {"To": TARGET, "From": "+15559990000", "Twiml": PAUSE}
    lenient = await start(Bench.config(switches=Switches(verified_from_only=False)))
    verified = await start(Bench.config(verified_caller_ids=frozenset({"+15559990000"})))
    strict = await start(Bench.config())
    for bench, given in ((lenient, form), (verified, form), (strict, {**form, "CallToken": "t"})):
        assert (await bench.rest("POST", "/Calls.json", given))[0] == 201


async def test_reads_lag_behind(start: BenchFactory) -> None:
    """With a lag a fresh participant is neither listed nor fetched, its label is taken all the same, a leaver stays."""
    bench = await start(Bench.config(switches=Switches(read_lag_s=60.0)))
    caller = await bench.caller_in("room-1")
    path = f"/Conferences/{bench.room('room-1').sid}/Participants"
    assert (await bench.rest("GET", f"{path}.json"))[1]["participants"] == []
    assert (await bench.rest("GET", f"{path}/{caller}.json"))[0] == 404
    assert (await bench.rest("GET", "/Calls.json"))[1]["calls"] == []
    assert (await bench.rest("GET", "/Conferences.json"))[1]["conferences"] == []
    form = {"From": NUMBER, "To": TARGET, "Label": "customer"}
    assert (await bench.rest("POST", f"{path}.json", form))[1]["code"] == 16026
    member = bench.room("room-1").participants[caller]
    member.created_at -= 120
    await bench.control("POST", f"/calls/{caller}/hangup")
    listed = (await bench.rest("GET", f"{path}.json"))[1]["participants"]
    assert isinstance(listed, list)
    assert [one["call_sid"] for one in listed] == [caller]


async def test_ringing_longer_than_the_timeout(start: BenchFactory) -> None:
    """The buffer lets a person answer who is later than the Timeout."""
    bench = await start(Bench.config(switches=Switches(ring_timeout_buffer_s=5.0)))
    await bench.person(TARGET, ring_s=1.05)
    _, body = await bench.rest("POST", "/Calls.json", {"To": TARGET, "From": NUMBER, "Twiml": PAUSE, "Timeout": "1"})
    await bench.until(lambda: bench.status(str(body["sid"])) == "in-progress", "the answer")
