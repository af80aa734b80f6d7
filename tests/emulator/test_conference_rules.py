"""The rules of conferences, each one observed from outside (twilio-facts.md 6 and 7)."""

import pytest

from emulator import Switches
from emulator.switches import Counting, FailedDial, Order
from emulator_bench import ACCOUNT, AGENT, CALLER, NUMBER, TARGET, Bench, BenchFactory

PAUSE = "<Response><Pause length='60'/></Response>"


def _dial(room: str, **attributes: str) -> str:
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<Response><Dial><Conference {written}>{room}</Conference></Dial><Pause length='60'/></Response>"


async def test_a_lone_participant_waits(bench: Bench) -> None:
    """One participant alone: the conference is init and no conference-start is sent."""
    await bench.caller_in("room-1")
    await bench.settled()
    assert bench.room("room-1").status == "init"
    assert bench.conference_events() == ["participant-join"]


async def test_the_second_participant_starts_it(bench: Bench) -> None:
    """Two participants, one of whom may start: in-progress and one conference-start."""
    await bench.caller_in("room-1", startConferenceOnEnter="false")
    await bench.agent_in("room-1")
    await bench.agent_in("room-1", TARGET)
    assert bench.room("room-1").status == "in-progress"
    assert bench.conference_events().count("conference-start") == 1


async def test_nobody_may_start_it(bench: Bench) -> None:
    """With startConferenceOnEnter=false for all it stays init, however many come."""
    await bench.caller_in("room-1", startConferenceOnEnter="false")
    await bench.agent_in("room-1", StartConferenceOnEnter="false")
    assert bench.room("room-1").status == "init"
    assert "conference-start" not in bench.conference_events()


async def test_one_left_keeps_it_running(bench: Bench) -> None:
    """When one party is left the conference stays in-progress and does not fall back to init."""
    caller = await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1")
    await bench.control("POST", f"/calls/{agent}/hangup")
    assert bench.room("room-1").status == "in-progress"
    assert bench.joined("room-1", caller)


async def test_the_last_one_ends_it(bench: Bench) -> None:
    """The last hang-up: participant_hung_up, then conference-end with last-participant-left and who it was."""
    caller = await bench.caller_in("room-1")
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.settled()
    leave, end = bench.sent("conference")[-2:]
    assert leave.params["ReasonParticipantLeft"] == "participant_hung_up"
    assert leave.params["ParticipantCallStatus"] == "completed"
    assert end.params["ReasonConferenceEnded"] == "last-participant-left"
    assert end.params["CallSidEndingConference"] == caller
    assert end.params["ParticipantLabelEndingConference"] == "customer"


async def test_end_on_exit_ends_it_for_all(bench: Bench) -> None:
    """A leaver with endConferenceOnExit ends it: dialled legs are hung up, TwiML legs go on with their action."""
    bench.site.pages["/after"] = PAUSE
    caller = await bench.caller_in("room-1")
    target = await bench.agent_in("room-1", TARGET)
    agent = await bench.agent_in("room-1", EndConferenceOnExit="true")
    await bench.control("POST", f"/calls/{agent}/hangup")
    await bench.until(lambda: bench.status(target) == "completed", "the dialled leg's end")
    await bench.until(lambda: bench.site.got("/after", CallSid=caller, DialCallStatus="answered"), "the action")
    assert bench.status(caller) == "in-progress"
    await bench.settled()
    left = {
        entry.params["CallSid"]: entry.params for entry in bench.sent("conference") if entry.event.endswith("leave")
    }
    assert (
        left[caller]["ReasonParticipantLeft"] == left[target]["ReasonParticipantLeft"] == "moderator_ended_conference"
    )
    assert left[caller]["ParticipantCallStatus"] == "in-progress"
    end = bench.sent("conference")[-1].params
    assert end["ReasonConferenceEnded"] == "participant-with-end-conference-on-exit-left"
    assert not bench.site.got("/after")[0].params.keys() & {"DialCallSid", "DialCallDuration"}


async def test_kicked_with_end_on_exit(bench: Bench) -> None:
    """DELETE of a participant with endConferenceOnExit gives the …-kicked reason."""
    await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1", EndConferenceOnExit="true")
    room = bench.room("room-1")
    await bench.rest("DELETE", f"/Conferences/{room.sid}/Participants/{agent}.json")
    assert room.reason_ended == "participant-with-end-conference-on-exit-kicked"


async def test_end_by_rest(bench: Bench) -> None:
    """Status=completed on a running conference ends it for all, by API, and once only."""
    caller = await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1")
    room = bench.room("room-1")
    status, body = await bench.rest("POST", f"/Conferences/{room.sid}.json", {"Status": "completed"})
    assert (status, body["status"], body["reason_conference_ended"]) == (200, "completed", "conference-ended-via-api")
    await bench.until(lambda: bench.status(caller) == bench.status(agent) == "completed", "both ended")
    await bench.settled()
    assert "CallSidEndingConference" not in bench.sent("conference")[-1].params
    assert bench.sent("conference", ReasonParticipantLeft="conference_ended_via_api")
    status, body = await bench.rest("POST", f"/Conferences/{room.sid}.json", {"Status": "completed"})
    assert (status, body["code"]) == (404, 16022)


async def test_init_cannot_be_ended(bench: Bench) -> None:
    """Status=completed on a conference that has not started is refused with 400."""
    caller = await bench.caller_in("room-1")
    room = bench.room("room-1")
    status, body = await bench.rest("POST", f"/Conferences/{room.sid}.json", {"Status": "completed"})
    assert (status, body["code"]) == (400, 16099)
    assert bench.joined("room-1", caller)


async def test_the_name_is_free_again(bench: Bench) -> None:
    """The same name after the end is a new conference with a new SID; while it is active, everybody joins the one."""
    caller = await bench.caller_in("room-1")
    first = bench.room("room-1").sid
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.agent_in("room-1")
    second = bench.room("room-1").sid
    await bench.agent_in("room-1", TARGET)
    assert first != second
    assert bench.room("room-1").sid == second


async def test_first_participant_subscribes_for_all(bench: Bench) -> None:
    """Callbacks go to the first participant's URL; a later participant's are ignored."""
    await bench.caller_in("room-1")
    await bench.agent_in("room-1", ConferenceStatusCallback=bench.url("/mine"), ConferenceStatusCallbackEvent="join")
    await bench.settled()
    assert not bench.site.got("/mine")
    assert len(bench.site.got("/conf", StatusCallbackEvent="participant-join")) == 2


async def test_rest_creator_without_callback_is_silence(bench: Bench) -> None:
    """A REST participant that creates the conference without a callback: no conference event, ever."""
    await bench.agent_in("room-1")
    await bench.caller_in("room-1")
    await bench.settled()
    assert bench.conference_events() == []


async def test_rest_default_events(bench: Bench) -> None:
    """ConferenceStatusCallback without events means start and end."""
    agent = await bench.agent_in("room-1", ConferenceStatusCallback=bench.url("/mine"))
    caller = await bench.caller_in("room-1")
    for sid in (agent, caller):
        await bench.control("POST", f"/calls/{sid}/hangup")
    await bench.settled()
    assert [hit.params["StatusCallbackEvent"] for hit in bench.site.got("/mine")] == [
        "conference-start",
        "conference-end",
    ]


async def test_sequence_counts_all_events_from_one(bench: Bench) -> None:
    """Numbers run over all events of the conference, subscribed or not, from 1."""
    await bench.caller_in("room-1", statusCallbackEvent="start")
    await bench.agent_in("room-1")
    await bench.settled()
    assert [entry.params["SequenceNumber"] for entry in bench.sent("conference")] == ["3"]


async def test_sequence_may_count_subscribed_ones_only(start: BenchFactory) -> None:
    """U13 the other way: only subscribed events are numbered, from 0 if told so."""
    switches = Switches(u13_counting=Counting.SUBSCRIBED, u13_first_sequence_number=0)
    bench = await start(Bench.config(switches=switches))
    await bench.caller_in("room-1", statusCallbackEvent="start")
    await bench.agent_in("room-1")
    await bench.settled()
    assert [entry.params["SequenceNumber"] for entry in bench.sent("conference")] == ["0"]


async def test_kicked_twiml_leg_goes_on(bench: Bench) -> None:
    """DELETE takes a TwiML leg out with its action to follow, a dialled leg is hung up (U16, U17)."""
    bench.site.pages["/after"] = PAUSE
    caller = await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1")
    room = bench.room("room-1").sid
    for sid in (caller, agent):
        status, _ = await bench.rest("DELETE", f"/Conferences/{room}/Participants/{sid}.json")
        assert status == 204
    await bench.until(lambda: bench.status(agent) == "completed", "the dialled leg's end")
    await bench.until(lambda: bench.site.got("/after", CallSid=caller), "the action")
    await bench.settled()
    assert {entry.params["ReasonParticipantLeft"] for entry in bench.sent("conference") if "leave" in entry.event} == {
        "participant_updated_via_api"
    }
    assert bench.sent("conference")[-1].params["ReasonConferenceEnded"] == "last-participant-kicked"
    assert bench.status(caller) == "in-progress"


async def test_dial_without_action_takes_the_next_verb(bench: Bench) -> None:
    """Without an action the document goes on behind the Dial."""
    bench.site.pages["/next"] = PAUSE
    dial = "<Dial><Conference>room-1</Conference></Dial>"
    caller = await bench.caller(f"<Response>{dial}<Redirect>/next</Redirect></Response>")
    await bench.until(lambda: bench.joined("room-1", caller), "the caller")
    await bench.rest("DELETE", f"/Conferences/{bench.room('room-1').sid}/Participants/{caller}.json")
    await bench.until(lambda: bench.site.got("/next"), "the next verb")


async def test_failed_dial_leaves_without_join(bench: Bench) -> None:
    """A leg that is busy: participant-leave with participant_add_failed and why, and no join before it."""
    await bench.caller_in("room-1")
    await bench.person(TARGET, answer="busy")
    form = {"From": NUMBER, "To": TARGET, "Label": "target-1"}
    await bench.rest("POST", "/Conferences/room-1/Participants.json", form)
    await bench.until(lambda: "participant-leave" in bench.conference_events(), "the leave")
    leave = bench.sent("conference")[-1].params
    assert leave["ReasonParticipantLeft"] == "participant_add_failed"
    assert (leave["ParticipantCallStatus"], leave["ParticipantLabel"]) == ("busy", "target-1")
    assert bench.conference_events() == ["participant-join", "participant-leave"]


@pytest.mark.parametrize(
    ("policy", "events"),
    [(FailedDial.NOTHING, []), (FailedDial.JOIN_AND_LEAVE, ["participant-join", "participant-leave"])],
)
async def test_failed_dial_otherwise(start: BenchFactory, policy: FailedDial, events: list[str]) -> None:
    """U7 the other ways: nothing at all, or a join before the leave."""
    bench = await start(Bench.config(switches=Switches(u7_failed_dial=policy)))
    await bench.caller_in("room-1")
    await bench.person(TARGET, answer="fails")
    _, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", {"From": NUMBER, "To": TARGET})
    await bench.until(lambda: bench.status(str(body["call_sid"])) == "failed", "the failure")
    await bench.settled()
    assert bench.conference_events()[1:] == events


@pytest.mark.parametrize("loud", [False, True])
async def test_unanswered_conference(start: BenchFactory, *, loud: bool) -> None:
    """U8: a conference whose only leg never answered ends without a conference-end, or with one."""
    bench = await start(Bench.config(switches=Switches(u8_unanswered_conference_ends_loudly=loud)))
    await bench.person(TARGET, answer="busy")
    form = {"From": NUMBER, "To": TARGET, "ConferenceStatusCallback": bench.url("/mine")}
    await bench.rest("POST", "/Conferences/room-1/Participants.json", form)
    await bench.until(lambda: bench.room("room-1").status == "completed", "the end")
    await bench.settled()
    assert bool(bench.site.got("/mine", StatusCallbackEvent="conference-end")) is loud


async def test_conference_end_may_come_first(start: BenchFactory) -> None:
    """U10 the other way: conference-end before the leaves of those it ends for."""
    bench = await start(Bench.config(switches=Switches(u10_conference_end=Order.FIRST)))
    await bench.caller_in("room-1")
    await bench.agent_in("room-1")
    await bench.rest("POST", f"/Conferences/{bench.room('room-1').sid}.json", {"Status": "completed"})
    await bench.settled()
    assert bench.conference_events()[-3:] == ["conference-end", "participant-leave", "participant-leave"]


@pytest.mark.parametrize(("order", "first"), [(Order.FIRST, "conference"), (Order.LAST, "call")])
async def test_join_and_answered_in_either_order(start: BenchFactory, order: Order, first: str) -> None:
    """U9: the join may be told before or after the answer."""
    bench = await start(Bench.config(switches=Switches(u9_join_before_answered=order)))
    form = {"StatusCallback": bench.url("/leg"), "StatusCallbackEvent": "answered"}
    conference = {
        "ConferenceStatusCallback": bench.url("/mine"),
        "ConferenceStatusCallbackEvent": "join",
    }
    await bench.agent_in("room-1", **form, **conference)
    told = [entry.kind for entry in bench.emulator.world.exchanges.entries]
    assert told[0] == first
    assert set(told) == {"call", "conference"}


async def test_dead_sid_in_twiml(bench: Bench) -> None:
    """A Dial by the SID of a conference that is over is error 13236."""
    caller = await bench.caller_in("room-1")
    sid = bench.room("room-1").sid
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.caller(_dial(sid))
    await bench.until(lambda: 13236 in [alert.code for alert in bench.emulator.world.alerts.entries], "the alert")


async def test_twiml_label_taken(bench: Bench) -> None:
    """A participantLabel in use is 16025: the call is not added and goes on with the next verb."""
    await bench.caller_in("room-1", label="customer")
    second = await bench.caller(_dial("room-1", participantLabel="customer"), from_="+15550100009")
    await bench.until(lambda: 16025 in [alert.code for alert in bench.emulator.world.alerts.entries], "the alert")
    assert not bench.joined("room-1", second)
    assert bench.status(second) == "in-progress"


async def test_caller_hangs_up_while_the_target_rings(bench: Bench) -> None:
    """A conference with a leg that still rings stays until that leg is resolved, then ends."""
    caller = await bench.caller_in("room-1")
    await bench.person(TARGET, answer="asks")
    _, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", {"From": NUMBER, "To": TARGET})
    await bench.until(lambda: bench.status(str(body["call_sid"])) == "ringing", "the ring")
    await bench.control("POST", f"/calls/{caller}/hangup")
    assert bench.room("room-1").status != "completed"
    await bench.rest("POST", f"/Calls/{body['call_sid']}.json", {"Status": "completed"})
    assert bench.room("room-1").status == "completed"


async def test_names_belong_to_one_account(start: BenchFactory) -> None:
    """The same name in two accounts is two conferences."""
    other = "AC" + "7" * 32
    bench = await start(Bench.config(subaccounts={other: "t"}))
    await bench.caller_in("room-1")
    number = "+15550100070"
    config = {"voice_url": bench.url("/other"), "account_sid": other}
    bench.site.pages["/other"] = _dial("room-1")
    await bench.control("PUT", f"/numbers/{number}", config)
    await bench.control("POST", "/calls", {"from": CALLER, "to": number})
    await bench.until(lambda: bench.emulator.world.active_room(other, "room-1"), "the other room")
    mine, others = (bench.emulator.world.active_room(account, "room-1") for account in (ACCOUNT, other))
    assert mine is not others
    assert bench.room("room-1").status == "init"


async def test_browser_agent_joins_by_label_only_once(bench: Bench) -> None:
    """Redialling the same label while it rings is 16026: the label guards against a second dial (U18)."""
    await bench.caller_in("room-1")
    await bench.person(AGENT, answer="asks")
    form = {"From": NUMBER, "To": AGENT, "Label": "agent-1"}
    first, _ = await bench.rest("POST", "/Conferences/room-1/Participants.json", form)
    second, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", form)
    assert (first, second, body["code"]) == (201, 400, 16026)
    assert len(bench.emulator.world.calls) == 2


async def test_a_ringing_leg_ends_with_the_conference(bench: Bench) -> None:
    """When the conference ends, a leg that is still being dialled into it stops ringing."""
    await bench.caller_in("room-1")
    await bench.agent_in("room-1")
    await bench.person(TARGET, answer="asks")
    _, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", {"From": NUMBER, "To": TARGET})
    target = str(body["call_sid"])
    await bench.until(lambda: bench.status(target) == "ringing", "the ring")
    await bench.rest("POST", f"/Conferences/{bench.room('room-1').sid}.json", {"Status": "completed"})
    await bench.until(lambda: bench.status(target) == "canceled", "the end of the ringing")
