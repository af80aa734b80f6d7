"""IncomingPhoneNumbers and Recordings as twilio-python uses them."""

import pytest
from twilio.base.exceptions import TwilioRestException

from emulator_bench import CALLER, NUMBER, Bench

PAUSE = "<Response><Pause length='60'/></Response>"


async def test_pointing_a_number(bench: Bench) -> None:
    """A number is found by its E.164 form, pointed, and the next call goes there."""
    async with bench.twilio() as twilio:
        (number,) = await twilio.incoming_phone_numbers.list_async(phone_number=NUMBER)
        assert number.sid is not None
        changed = await twilio.incoming_phone_numbers(number.sid).update_async(
            voice_url=bench.url("/there"), voice_method="GET", status_callback=bench.url("/done"), friendly_name="front"
        )
        assert (changed.voice_url, changed.voice_method, changed.friendly_name) == (bench.url("/there"), "GET", "front")
        await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
        await bench.until(lambda: bench.site.got("/done"), "the status callback")
        assert bench.site.got("/there")[0].method == "GET"
        assert (await twilio.incoming_phone_numbers(number.sid).fetch_async()).phone_number == NUMBER


async def test_buying_and_releasing_a_number(bench: Bench) -> None:
    """A new number can be created once, called, and given back."""
    async with bench.twilio() as twilio:
        bought = await twilio.incoming_phone_numbers.create_async(
            phone_number="+15550100077", voice_url=bench.url("/n")
        )
        assert bought.sid is not None
        with pytest.raises(TwilioRestException) as taken:
            await twilio.incoming_phone_numbers.create_async(phone_number="+15550100077")
        assert taken.value.code == 21422
        assert await twilio.incoming_phone_numbers(bought.sid).delete_async()
        with pytest.raises(TwilioRestException) as gone:
            await twilio.incoming_phone_numbers(bought.sid).fetch_async()
        assert gone.value.code == 20404
    status, problem = await bench.control("POST", "/calls", {"from": CALLER, "to": "+15550100077"})
    assert status == 404
    assert NUMBER in str(problem["detail"])


async def test_a_number_of_an_area(bench: Bench) -> None:
    """AreaCode gives any free number of that area; a code that cannot be one is refused."""
    for number in ("+14155550100", "+14155550101"):
        assert (await bench.rest("POST", "/IncomingPhoneNumbers.json", {"AreaCode": "415"}))[1][
            "phone_number"
        ] == number
    assert (await bench.rest("POST", "/IncomingPhoneNumbers.json", {"AreaCode": "15"}))[1]["code"] == 21451


async def test_a_number_may_point_to_an_application(bench: Bench) -> None:
    """A number with an application uses the application's voice URL."""
    app = "AP" + "1" * 32
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/v"), "voice_application_sid": app})
    await bench.control("POST", "/calls", {"from": CALLER, "to": NUMBER})
    await bench.until(lambda: bench.site.got("/app", ApplicationSid=app, To=NUMBER), "the application's webhook")
    assert not bench.site.got("/v")


async def test_recording_a_leg(bench: Bench) -> None:
    """A leg's recording starts, pauses, resumes and stops; in-progress and completed are told in order."""
    caller = await bench.caller_in("room-1")
    async with bench.twilio() as twilio:
        recordings = twilio.calls(caller).recordings
        made = await recordings.create_async(
            recording_status_callback=bench.url("/rec"),
            recording_status_callback_event=["in-progress", "completed", "absent"],
            recording_channels="dual",
        )
        assert made.sid is not None
        assert (str(made.status), str(made.source)) == ("in-progress", "StartCallRecordingAPI")
        for wish, status in (("paused", "paused"), ("in-progress", "in-progress"), ("stopped", "stopped")):
            changed = await recordings("Twilio.CURRENT").update_async(status=wish)  # type: ignore[arg-type]
            assert str(changed.status) == status
        with pytest.raises(TwilioRestException) as over:
            await recordings("Twilio.CURRENT").update_async(status="paused")  # type: ignore[arg-type]
        assert (over.value.status, over.value.code) == (400, 21220)
        assert [one.sid for one in await recordings.list_async()] == [made.sid]
        assert (await twilio.recordings(made.sid).fetch_async()).call_sid == caller
        assert [one.sid for one in await twilio.recordings.list_async(call_sid=caller)] == [made.sid]
    await bench.settled()
    told = [(hit.params["RecordingStatus"], hit.params["RecordingChannels"]) for hit in bench.site.got("/rec")]
    assert told == [("in-progress", "2"), ("completed", "2")]


async def test_two_recordings_need_a_sid(bench: Bench) -> None:
    """Twilio.CURRENT with two active recordings is 16108."""
    caller = await bench.caller_in("room-1")
    for _ in range(2):
        assert (await bench.rest("POST", f"/Calls/{caller}/Recordings.json", {}))[0] == 201
    status, body = await bench.rest("POST", f"/Calls/{caller}/Recordings/Twilio.CURRENT.json", {"Status": "paused"})
    assert (status, body["code"]) == (400, 16108)


async def test_recording_ends_with_the_call(bench: Bench) -> None:
    """Hanging up completes a recording that is still going; one cannot be started afterwards."""
    caller = await bench.caller_in("room-1")
    await bench.rest("POST", f"/Calls/{caller}/Recordings.json", {"RecordingStatusCallback": bench.url("/rec")})
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.until(lambda: bench.site.got("/rec", RecordingStatus="completed", CallSid=caller), "the callback")
    status, body = await bench.rest("POST", f"/Calls/{caller}/Recordings.json", {})
    assert (status, body["code"]) == (400, 21220)


async def test_recording_asked_for_at_the_create(bench: Bench) -> None:
    """Record=true on a new leg records it from the answer on."""
    form = {
        "Record": "true",
        "RecordingStatusCallback": bench.url("/rec"),
        "RecordingStatusCallbackEvent": "in-progress",
    }
    agent = await bench.agent_in("room-1", **form)
    await bench.until(lambda: bench.site.got("/rec", CallSid=agent, RecordingSource="OutboundAPI"), "the callback")


async def test_conference_recordings_are_paused_not_stopped(bench: Bench) -> None:
    """A conference recording can be paused; it cannot be stopped, nor started over REST."""
    await bench.caller_in("room-1", record="record-from-start")
    await bench.agent_in("room-1")
    path = f"/Conferences/{bench.room('room-1').sid}/Recordings"
    assert (await bench.rest("POST", f"{path}/Twilio.CURRENT.json", {"Status": "paused"}))[1]["status"] == "paused"
    status, body = await bench.rest("POST", f"{path}/Twilio.CURRENT.json", {"Status": "stopped"})
    assert (status, body["code"]) == (400, 21220)
    assert (await bench.rest("POST", f"{path}.json", {}))[0] in {404, 405}
    _, body = await bench.rest("GET", f"{path}.json")
    assert len(list(body["recordings"])) == 1  # type: ignore[call-overload]


async def test_conferences_over_rest(bench: Bench) -> None:
    """Conferences are fetched and listed by name and status, newest first; init is not in-progress."""
    await bench.caller_in("room-1")
    async with bench.twilio() as twilio:
        assert await twilio.conferences.list_async(friendly_name="room-1", status="in-progress") == []
        (found,) = await twilio.conferences.list_async(friendly_name="room-1", status="init")
        await bench.agent_in("room-1")
        (running,) = await twilio.conferences.list_async(status="in-progress")
        assert running.sid == found.sid
        assert found.sid is not None
        ended = await twilio.conferences(found.sid).update_async(status="completed")
        assert (str(ended.status), str(ended.reason_conference_ended)) == ("completed", "conference-ended-via-api")
        assert str((await twilio.conferences(found.sid).fetch_async()).status) == "completed"
        await bench.caller_in("room-1")
        assert len(await twilio.conferences.list_async(friendly_name="room-1")) == 2
