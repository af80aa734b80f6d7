"""The keys of every resource's JSON: those of Twilio's OpenAPI file (2.6.7), no more and no fewer."""

import json
import re

from emulator_bench import ACCOUNT, NUMBER, Bench

CALL = """account_sid answered_by api_version caller_name date_created date_updated direction duration end_time
forwarded_from from from_formatted group_sid parent_call_sid phone_number_sid price price_unit queue_time sid start_time
status subresource_uris to to_formatted trunk_sid uri"""
CONFERENCE = """account_sid api_version call_sid_ending_conference date_created date_updated friendly_name
reason_conference_ended region sid status subresource_uris uri"""
PARTICIPANT = """account_sid call_sid call_sid_to_coach coaching conference_sid date_created date_updated
end_conference_on_exit hold label muted queue_time start_conference_on_enter status uri"""
CALL_RECORDING = """account_sid api_version call_sid channels conference_sid date_created date_updated duration
encryption_details error_code price price_unit sid source start_time status track uri"""
RECORDING = """account_sid api_version call_sid channels conference_sid date_created date_updated duration
encryption_details error_code media_url price price_unit sid source start_time status subresource_uris uri"""
NUMBERS = """account_sid address_requirements address_sid api_version beta bundle_sid capabilities date_created
date_updated emergency_address_sid emergency_address_status emergency_status friendly_name identity_sid origin
phone_number sid sms_application_sid sms_fallback_method sms_fallback_url sms_method sms_url status status_callback
status_callback_method trunk_sid type uri voice_application_sid voice_caller_id_lookup voice_fallback_method
voice_fallback_url voice_method voice_receive_mode voice_url"""
PAGE = "first_page_uri next_page_uri previous_page_uri uri page page_size start end"
DATE = re.compile(r"^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} \+0000$")


async def test_keys_of_every_resource(bench: Bench) -> None:
    """Each resource has exactly its keys, dates as RFC 2822 in UTC, and a uri that leads back to it."""
    caller = await bench.caller_in("room-1")
    room = bench.room("room-1").sid
    _, taken = await bench.rest("POST", f"/Calls/{caller}/Recordings.json", {})
    number = bench.emulator.world.numbers[NUMBER].sid
    wanted = {
        f"/Calls/{caller}.json": CALL,
        f"/Conferences/{room}.json": CONFERENCE,
        f"/Conferences/{room}/Participants/{caller}.json": PARTICIPANT,
        f"/Calls/{caller}/Recordings/{taken['sid']}.json": CALL_RECORDING,
        f"/Recordings/{taken['sid']}.json": RECORDING,
        f"/IncomingPhoneNumbers/{number}.json": NUMBERS,
    }
    for path, keys in wanted.items():
        status, body = await bench.rest("GET", path)
        assert (status, set(body)) == (200, set(keys.split())), path
        assert str(body["uri"]).endswith(path)
        for name in ("date_created", "date_updated"):
            assert DATE.match(str(body[name])), (path, name)


async def test_keys_of_a_page(bench: Bench) -> None:
    """A list is a page with its links, whose numbers are numbers; an empty one too."""
    for path, key in (
        ("/Calls.json", "calls"),
        ("/Conferences.json", "conferences"),
        ("/Recordings.json", "recordings"),
    ):
        _, body = await bench.rest("GET", path)
        assert set(body) == {key, *PAGE.split()}
        assert (body[key], body["page"], body["page_size"], body["next_page_uri"]) == ([], 0, 50, None)


async def test_pages_do_not_shift(bench: Bench) -> None:
    """A page token names the last item, so what is added meanwhile neither repeats nor skips anything."""
    form = {"To": "client:a", "From": NUMBER, "Twiml": "<Response/>"}
    made = [(await bench.rest("POST", "/Calls.json", form))[1]["sid"] for _ in range(5)]
    _, first = await bench.rest("GET", "/Calls.json?PageSize=2&To=client%3Aa")
    await bench.rest("POST", "/Calls.json", form)
    seen, link = [call["sid"] for call in json.loads(json.dumps(first["calls"]))], first["next_page_uri"]
    while link:
        _, page = await bench.rest("GET", str(link).partition(f"/Accounts/{ACCOUNT}")[2])
        seen += [call["sid"] for call in json.loads(json.dumps(page["calls"]))]
        link = page["next_page_uri"]
    assert seen == made[::-1]


async def test_numbers_are_strings_and_null_before_the_end(bench: Bench) -> None:
    """Durations and queue times are strings or null, as in the 2010 API."""
    sid = await bench.caller("<Response><Pause length='60'/></Response>")
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    _, body = await bench.rest("GET", f"/Calls/{sid}.json")
    assert (body["duration"], body["end_time"], body["queue_time"]) == (None, None, "0")
    await bench.control("POST", f"/calls/{sid}/hangup")
    _, body = await bench.rest("GET", f"/Calls/{sid}.json")
    assert body["duration"] == "0"
    assert DATE.match(str(body["end_time"]))


async def test_deleting_a_recording(bench: Bench) -> None:
    """A finished recording can be deleted, an active one cannot."""
    caller = await bench.caller_in("room-1")
    _, taken = await bench.rest("POST", f"/Calls/{caller}/Recordings.json", {})
    path = f"/Recordings/{taken['sid']}.json"
    assert (await bench.rest("DELETE", path))[1]["code"] == 20009
    await bench.rest("POST", f"/Calls/{caller}/Recordings/{taken['sid']}.json", {"Status": "stopped"})
    assert (await bench.rest("DELETE", path))[0] == 204
    assert (await bench.rest("GET", path))[0] == 404
    assert (await bench.rest("GET", f"/Calls/{caller}/Recordings.json"))[1]["recordings"] == []
