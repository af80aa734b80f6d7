"""Accounts, API keys and applications over REST, and the sound of recordings."""

import io
import wave

import aiohttp
import pytest
from aiohttp import web

from emulator_bench import ACCOUNT, AGENT, CALLER, NUMBER, TARGET, TOKEN, Bench

ROOT = f"/2010-04-01/Accounts/{ACCOUNT}"
FORM = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>"}


async def test_a_subaccount_lives(bench: Bench) -> None:
    """A subaccount made over REST has a number and a token, which signs its webhooks; suspended it is shut."""
    _, made = await bench.v1("POST", "/2010-04-01/Accounts.json", {"FriendlyName": "Branch"})
    sid, token = str(made["sid"]), str(made["auth_token"])
    own = f"/2010-04-01/Accounts/{sid}"
    form = {"PhoneNumber": "+15550100088", "VoiceUrl": bench.url("/sub")}
    assert (await bench.v1("POST", f"{own}/IncomingPhoneNumbers.json", form, (sid, token)))[0] == 201
    await bench.control("POST", "/calls", {"from": CALLER, "to": "+15550100088"})
    await bench.until(lambda: bench.site.got("/sub", AccountSid=sid), "the webhook")
    _, entry = await bench.control("GET", f"/requests/{bench.sent('twiml')[0].number}")
    assert bench.site.got("/sub")[0].headers["X-Twilio-Signature"] == entry["signature"]
    assert (await bench.v1("POST", f"{own}.json", {"Status": "suspended"}))[1]["status"] == "suspended"
    status, body = await bench.v1("GET", f"{own}/Calls.json", None, (sid, token))
    assert (status, body["code"]) == (403, 20005)
    assert (await bench.v1("POST", f"{own}.json", {"Status": "closed"}))[0] == 200
    status, body = await bench.v1("POST", f"{own}.json", {"Status": "active"})
    assert (status, body["code"]) == (409, 20409)
    assert (await bench.v1("GET", "/2010-04-01/Accounts.json", None, (ACCOUNT, TOKEN)))[1]["accounts"]
    async with bench.session.get(f"{bench.emulator.url}/_emulator/rest/1") as answer:
        assert token not in await answer.text()


async def test_the_main_account_stays(bench: Bench) -> None:
    """The main account cannot be suspended, and a subaccount has none below it."""
    assert (await bench.v1("POST", f"{ROOT}.json", {"Status": "suspended"}))[0] == 400
    _, made = await bench.v1("POST", "/2010-04-01/Accounts.json", {})
    login = (str(made["sid"]), str(made["auth_token"]))
    assert (await bench.v1("POST", "/2010-04-01/Accounts.json", {}, login))[0] == 403
    listed = (await bench.v1("GET", "/2010-04-01/Accounts.json", None, login))[1]["accounts"]
    assert isinstance(listed, list)
    assert [one["sid"] for one in listed] == [made["sid"]]


async def test_a_key_lets_in_until_it_is_deleted(bench: Bench) -> None:
    """The secret is told once; with it the account's resources are open, without the key they are not."""
    _, key = await bench.rest("POST", "/Keys.json", {"FriendlyName": "app"})
    login = (str(key["sid"]), str(key["secret"]))
    assert (await bench.v1("POST", f"{ROOT}/Calls.json", FORM, login))[0] == 201
    _, again = await bench.rest("GET", f"/Keys/{key['sid']}.json")
    assert "secret" not in again
    assert (await bench.rest("DELETE", f"/Keys/{key['sid']}.json"))[0] == 204
    assert (await bench.v1("GET", f"{ROOT}/Calls.json", None, login))[0] == 401


async def test_an_application_over_rest(bench: Bench) -> None:
    """An application made over REST takes browser calls and app: participants; deleted, it takes none."""
    bench.site.pages["/app"] = "<Response><Connect><Stream url='wss://x'/></Connect></Response>"
    _, made = await bench.rest("POST", "/Applications.json", {"VoiceUrl": bench.url("/app"), "FriendlyName": "ai"})
    await bench.caller_in("room-1")
    await bench.agent_in("room-1", f"app:{made['sid']}?a=1")
    assert bench.site.got("/app", a="1", ApplicationSid=str(made["sid"]))
    wish = {"from": AGENT, "application_sid": made["sid"]}
    assert (await bench.control("POST", "/calls", wish))[0] == 201
    assert (await bench.rest("DELETE", f"/Applications/{made['sid']}.json"))[0] == 204
    assert (await bench.control("POST", "/calls", wish))[0] == 404
    status, body = await bench.rest(
        "POST", "/Conferences/room-1/Participants.json", {"To": f"app:{made['sid']}", "From": NUMBER}
    )
    assert (status, body["code"]) == (400, 21218)


@pytest.mark.parametrize(
    ("ending", "media_type"), [("", "audio/x-wav"), (".wav", "audio/x-wav"), (".mp3", "audio/mpeg")]
)
async def test_the_sound_of_a_recording(bench: Bench, ending: str, media_type: str) -> None:
    """A recording is 404 until it is completed, then silence as long as it lasted; two channels when asked for."""
    caller = await bench.caller_in("room-1")
    _, made = await bench.rest("POST", f"/Calls/{caller}/Recordings.json", {"RecordingChannels": "dual"})
    url = f"{bench.emulator.url}{ROOT}/Recordings/{made['sid']}{ending}"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with bench.session.get(url, headers=headers) as answer:
        assert answer.status == 404
    bench.emulator.world.recordings[str(made["sid"])].created_at -= 3
    await bench.control("POST", f"/calls/{caller}/hangup")
    async with bench.session.get(f"{url}?RequestedChannels=2", headers=headers) as answer:
        assert (answer.status, answer.content_type) == (web.HTTPOk.status_code, media_type)
        sound = await answer.read()
    if ending == ".mp3":
        frames = [sound[at : at + 4] for at in range(0, len(sound), 104)]
        assert set(frames) == {b"\xff\xfb\x10\xc4"}
        assert len(frames) == round(3 * 44_100 / 1152)
    else:
        with wave.open(io.BytesIO(sound)) as file:
            assert (file.getnchannels(), file.getnframes() / file.getframerate()) == (2, 3)


ELSEWHERE = [
    (f"{ROOT}/Calls", "Calls as anything but JSON"),
    (f"{ROOT}/Recordings.csv", "Recordings.csv as anything but JSON"),
    (f"{ROOT}/IncomingPhoneNumbers/Local.json", "IncomingPhoneNumbers/Local"),
    (f"{ROOT}/OutgoingCallerIds.json", "OutgoingCallerIds"),
    ("/v1/Alerts", "Alerts"),
    ("/v2/Services", "Services"),
]


@pytest.mark.parametrize(("path", "named"), ELSEWHERE)
async def test_what_else_there_is_says_so(bench: Bench, path: str, named: str) -> None:
    """XML and CSV, other kinds of numbers, other resources and products are 501 with their name."""
    status, body = await bench.v1("GET", path)
    assert status == 501
    assert named in str(body["message"])
