"""The Participant resource: created by name or SID, found by CallSid or label, held, muted, coached, announced to."""

import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException

from emulator import Switches
from emulator_bench import AGENT, NUMBER, TARGET, Bench, BenchFactory

FORM = {"From": NUMBER, "To": TARGET}


def _path(bench: Bench, key: str, name: str = "room-1") -> str:
    return f"/Conferences/{bench.room(name).sid}/Participants/{key}.json"


async def test_create_by_name_gives_both_sids(bench: Bench) -> None:
    """Creating by name makes the conference; the answer holds both SIDs and a queued leg."""
    status, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", {**FORM, "Label": "target-1"})
    assert status == 201
    assert body["status"] == "queued"
    assert body["conference_sid"] == bench.room("room-1").sid
    assert str(body["call_sid"]).startswith("CA")
    assert (body["label"], body["queue_time"]) == ("target-1", "0")


async def test_create_by_sid(bench: Bench) -> None:
    """Creating by SID joins that conference; the SID of one that is over is 16022, an unknown one too."""
    caller = await bench.caller_in("room-1")
    sid = bench.room("room-1").sid
    status, body = await bench.rest("POST", f"/Conferences/{sid}/Participants.json", FORM)
    assert (status, body["conference_sid"]) == (201, sid)
    for call in (str(body["call_sid"]), caller):
        await bench.control("POST", f"/calls/{call}/hangup")
    for gone in (sid, "CF" + "0" * 32):
        status, body = await bench.rest("POST", f"/Conferences/{gone}/Participants.json", FORM)
        assert (status, body["code"]) == (404, 16022)


async def test_client_reaches_everything(bench: Bench) -> None:
    """twilio-python creates, fetches by label, updates, lists and deletes."""
    await bench.caller_in("room-1")
    sid = bench.room("room-1").sid
    async with bench.twilio() as twilio:
        people = twilio.conferences(sid).participants
        made = await people.create_async(from_=NUMBER, to=AGENT, label="agent-1", early_media=True, beep="false")
        assert made.call_sid is not None
        agent = made.call_sid
        await bench.until(lambda: bench.joined("room-1", agent), "the agent")
        assert (await people("agent-1").fetch_async()).call_sid == agent
        assert (await people("agent-1").update_async(muted=True)).muted is True
        assert [one.label for one in await people.list_async(muted=True)] == ["agent-1"]
        assert [one.label for one in await people.list_async(hold=False)] == ["customer", "agent-1"]
        assert await people(agent).delete_async()
        with pytest.raises(TwilioRestException) as gone:
            await people("agent-1").fetch_async()
        assert (gone.value.status, gone.value.code) == (404, 20404)
        with pytest.raises(TwilioException):
            await twilio.conferences("room-1").participants.list_async()


async def test_list_by_name_is_refused(bench: Bench) -> None:
    """Listing by name is 405 with 20004; fetching by name is 404."""
    caller = await bench.caller_in("room-1")
    status, body = await bench.rest("GET", "/Conferences/room-1/Participants.json")
    assert (status, body["code"]) == (405, 20004)
    status, body = await bench.rest("GET", f"/Conferences/room-1/Participants/{caller}.json")
    assert (status, body["code"]) == (404, 20404)


@pytest.mark.parametrize("label", ["a/b", "a%2Fb", "x" * 129, "CA" + "0" * 32])
async def test_invalid_label(bench: Bench, label: str) -> None:
    """An invalid label is 16024, and no conference is left behind."""
    status, body = await bench.rest("POST", "/Conferences/room-9/Participants.json", {**FORM, "Label": label})
    assert (status, body["code"]) == (400, 16024)
    assert not bench.emulator.world.conferences


async def test_label_is_free_after_its_holder(bench: Bench) -> None:
    """A label is taken while its holder is active (16026) and free afterwards."""
    await bench.caller_in("room-1")
    first = await bench.agent_in("room-1", Label="agent-1")
    status, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", {**FORM, "Label": "agent-1"})
    assert (status, body["code"]) == (400, 16026)
    await bench.control("POST", f"/calls/{first}/hangup")
    second = await bench.agent_in("room-1", Label="agent-1")
    assert second != first


async def test_hold_and_unhold(bench: Bench) -> None:
    """Hold fetches HoldUrl by GET with the conference's fields, and both changes are told once."""
    caller = await bench.caller_in("room-1")
    await bench.agent_in("room-1")
    bench.site.pages["/music"] = "<Response><Play loop='0'>/tune.mp3</Play></Response>"
    form = {"Hold": "true", "HoldUrl": bench.url("/music?x=1")}
    status, body = await bench.rest("POST", _path(bench, caller), form)
    assert (status, body["hold"]) == (200, True)
    await bench.until(lambda: bench.site.got("/music"), "the hold music")
    hit = bench.site.got("/music")[0]
    assert hit.method == "GET"
    assert (hit.params["x"], hit.params["ConferenceSid"]) == ("1", bench.room("room-1").sid)
    await bench.rest("POST", _path(bench, caller), form)
    await bench.rest("POST", _path(bench, caller), {"Hold": "false"})
    await bench.settled()
    told = [event for event in bench.conference_events() if "hold" in event]
    assert told == ["participant-hold", "participant-unhold"]


async def test_mute_survives_hold(bench: Bench) -> None:
    """Muting is told, and outlives a hold (U19)."""
    caller = await bench.caller_in("room-1")
    for form in ({"Muted": "true"}, {"Hold": "true"}, {"Hold": "false"}):
        _, body = await bench.rest("POST", _path(bench, caller), form)
    assert body["muted"] is True
    await bench.rest("POST", _path(bench, caller), {"Muted": "anything"})
    await bench.settled()
    told = [entry for entry in bench.sent("conference") if "mute" in entry.event]
    assert [(entry.event, entry.params["Muted"]) for entry in told] == [
        ("participant-mute", "true"),
        ("participant-unmute", "false"),
    ]


async def test_end_on_exit_is_ignored_while_held(bench: Bench) -> None:
    """EndConferenceOnExit changed while held does not take effect (gotcha 7); together with Hold it does (gotcha 8)."""
    caller = await bench.caller_in("room-1", endConferenceOnExit="true")
    await bench.rest("POST", _path(bench, caller), {"Hold": "true"})
    status, body = await bench.rest("POST", _path(bench, caller), {"EndConferenceOnExit": "false"})
    assert (status, body["end_conference_on_exit"]) == (200, True)
    form = {"EndConferenceOnExit": "false", "Hold": "true"}
    _, body = await bench.rest("POST", _path(bench, caller), form)
    assert body["end_conference_on_exit"] is False
    await bench.settled()
    assert bench.conference_events().count("participant-modify") == 1


async def test_coaching(bench: Bench) -> None:
    """One update makes a muted monitor a coach: only the coached one hears, and participant-modify tells."""
    await bench.caller_in("room-1")
    agent = await bench.agent_in("room-1", Label="agent-1")
    boss = await bench.agent_in("room-1", TARGET, Label="supervisor-1", Muted="true")
    form = {"Coaching": "true", "CallSidToCoach": agent, "Muted": "false"}
    _, body = await bench.rest("POST", _path(bench, boss), form)
    assert (body["coaching"], body["call_sid_to_coach"], body["muted"]) == (True, agent, False)
    heard = await _hears(bench)
    assert "supervisor-1" in heard["agent-1"]
    assert "supervisor-1" not in heard["customer"]
    await bench.rest("POST", _path(bench, boss), {"Coaching": "false", "CallSidToCoach": agent})
    assert "supervisor-1" in (await _hears(bench))["customer"]
    await bench.settled()
    told = bench.sent("conference", StatusCallbackEvent="participant-modify")
    assert [entry.params["Coaching"] for entry in told] == ["true", "false"]


async def _hears(bench: Bench) -> dict[str, list[str]]:
    _, body = await bench.control("GET", "/conferences")
    rooms = body["conferences"]
    assert isinstance(rooms, list)
    return {person["label"]: person["hears"] for person in rooms[-1]["participants"]}


async def test_coached_party_must_be_there(bench: Bench) -> None:
    """Coaching somebody absent is 16028, somebody on hold 16027, nobody 20001; also on create."""
    caller = await bench.caller_in("room-1")
    boss = await bench.agent_in("room-1")
    await bench.rest("POST", _path(bench, caller), {"Hold": "true"})
    for form, code in (
        ({"CallSidToCoach": "CA" + "0" * 32}, 16028),
        ({"CallSidToCoach": caller}, 16027),
        ({"Coaching": "true"}, 20001),
    ):
        status, body = await bench.rest("POST", _path(bench, boss), form)
        assert (status, body["code"]) == (400, code)
        status, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", {**FORM, **form})
        assert (status, body["code"]) == (400, code)


async def test_announcement_to_one(bench: Bench) -> None:
    """AnnounceUrl is fetched by POST and announcement-end follows with its URL."""
    caller = await bench.caller_in("room-1")
    bench.site.pages["/say"] = "<Response><Say>one moment</Say></Response>"
    await bench.rest("POST", _path(bench, caller), {"AnnounceUrl": bench.url("/say")})
    await bench.until(lambda: "announcement-end" in bench.conference_events(), "the end of the announcement")
    told = bench.sent("conference", StatusCallbackEvent="announcement-end")[0].params
    assert (told["CallSid"], told["AnnounceUrl"]) == (caller, bench.url("/say"))
    assert bench.site.got("/say")[0].method == "POST"


@pytest.mark.parametrize("page", [500, "<Response><Dial/></Response>", "<Response><Hangup/></Response>", "no xml"])
async def test_failing_announcement(bench: Bench, page: int | str) -> None:
    """A bad announcement ends in announcement-fail with a reason."""
    caller = await bench.caller_in("room-1")
    bench.site.pages["/say"] = page
    await bench.rest("POST", _path(bench, caller), {"AnnounceUrl": bench.url("/say")})
    await bench.until(lambda: "announcement-fail" in bench.conference_events(), "the failure")
    assert bench.sent("conference")[-1].params["ReasonAnnouncementFailed"]


async def test_announcement_to_all(bench: Bench) -> None:
    """AnnounceUrl on the conference names no call."""
    await bench.caller_in("room-1")
    await bench.agent_in("room-1")
    bench.site.pages["/say"] = "<Response><Say>hello all</Say></Response>"
    sid = bench.room("room-1").sid
    await bench.rest("POST", f"/Conferences/{sid}.json", {"AnnounceUrl": bench.url("/say")})
    await bench.until(lambda: "announcement-end" in bench.conference_events(), "the end of the announcement")
    assert "CallSid" not in bench.sent("conference")[-1].params
    assert "CallSid" not in bench.site.got("/say")[0].params


async def test_ringing_participant(bench: Bench) -> None:
    """A ringing participant is listed and fetched, an update is 404 (U15), DELETE cancels the leg."""
    await bench.caller_in("room-1")
    await bench.person(TARGET, answer="asks")
    _, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", FORM)
    sid = str(body["call_sid"])
    await bench.until(lambda: bench.status(sid) == "ringing", "the ring")
    _, body = await bench.rest("GET", _path(bench, sid))
    assert body["status"] == "ringing"
    status, body = await bench.rest("POST", _path(bench, sid), {"Muted": "true"})
    assert (status, body["code"]) == (404, 20404)
    path = _path(bench, sid)
    assert (await bench.rest("DELETE", path))[0] == 204
    assert bench.status(sid) == "canceled"
    assert (await bench.rest("DELETE", path))[0] == 404


async def test_ringing_participant_may_answer_400(start: BenchFactory) -> None:
    """U15 the other way: an update of a ringing participant is 400."""
    bench = await start(Bench.config(switches=Switches(u15_ringing_update_status=400)))
    await bench.person(TARGET, answer="asks")
    _, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", FORM)
    status, _ = await bench.rest("POST", _path(bench, str(body["call_sid"])), {"Muted": "true"})
    assert status == 400


async def test_full_conference(bench: Bench) -> None:
    """MaxParticipants of the first participant counts: the next one is 16020 (U23)."""
    await bench.caller_in("room-1", maxParticipants="2")
    await bench.agent_in("room-1")
    status, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", {**FORM, "MaxParticipants": "9"})
    assert (status, body["code"]) == (400, 16020)


async def test_wait_url_is_fetched_until_it_starts(bench: Bench) -> None:
    """A waiting participant's waitUrl is requested with the conference's fields, and not looped."""
    bench.site.pages["/wait"] = "<Response><Say>please wait</Say></Response>"
    await bench.caller_in("room-1", waitUrl=bench.url("/wait"))
    await bench.until(lambda: bench.site.got("/wait", FriendlyName="room-1"), "the wait document")
    silence = "wait music is over"
    events = bench.emulator.world.events.journal.entries
    await bench.until(lambda: any(event.data.get("because") == silence for event in events), "the end of the music")
    assert len(bench.site.got("/wait")) == 1


async def test_a_redirecting_wait_document_loops(bench: Bench) -> None:
    """A wait document that redirects to itself is asked for again, until the conference starts."""
    bench.site.pages["/wait"] = "<Response><Play>/a.mp3</Play><Redirect/></Response>"
    await bench.caller_in("room-1", waitUrl=bench.url("/wait"))
    await bench.until(lambda: len(bench.site.got("/wait")) > 1, "the loop")
    await bench.agent_in("room-1")
    player = bench.room("room-1").joined()[0].player
    assert player is None


async def test_forbidden_verb_in_wait_document(bench: Bench) -> None:
    """Dial in a wait document is 13238, and the participant stays, in silence."""
    bench.site.pages["/wait"] = "<Response><Hangup/></Response>"
    caller = await bench.caller_in("room-1", waitUrl=bench.url("/wait"))
    await bench.until(lambda: 13238 in [alert.code for alert in bench.emulator.world.alerts.entries], "the alert")
    assert bench.joined("room-1", caller)
