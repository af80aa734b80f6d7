"""What twilio-python puts on the wire, byte for byte, gets the answer that Twilio would give."""

import json
from pathlib import Path
from urllib.parse import quote

import aiohttp

from emulator import Switches, TaskRouterConfig
from emulator_bench import ACCOUNT, AGENT, TARGET, TOKEN, Bench, BenchFactory

REQUESTS = json.loads((Path(__file__).parents[1] / "vectors" / "sdk_requests.json").read_text())["requests"]
CALL, PERSON, ROOM = ("CA" + "0" * 31 + "1", "CA" + "0" * 31 + "2", "CF" + "0" * 31 + "1")
OTHER = {
    10: (404, 20404, "a conference name with a slash is two path segments"),
    26: (400, 21220, "no conference recording is active"),
    27: (404, 20404, "there is no such queue"),
    29: (404, 20404, "there is no such task"),
    30: (404, 20404, "there is no such task"),
    22: (404, 16022, "the participant that was just removed ends the conference on exit, by request 16"),
    4: (200, None, "canceled has no effect on a call in progress"),
}
"""Answers that are not the plain success of the method, by the request's place in the file."""
ENDING = {3, 18, 22}
"""These take something away that later requests need, so they go last."""
SUCCESS = {"POST": 200, "GET": 200, "DELETE": 204}
CREATES = {0, 1, 2, 9, 11, 24, 28}


async def test_every_request_of_the_sdk(start: BenchFactory) -> None:
    """Each recorded request is understood; what is not emulated says so."""
    taskrouter = TaskRouterConfig(workspace_sid="WS" + "0" * 32, workflow_sid="WW" + "0" * 32)
    bench = await start(Bench.config(switches=Switches(verified_from_only=False), taskrouter=taskrouter))
    bench.site.pages["/cb/twiml2"] = "<Response><Pause length='60'/></Response>"
    caller = await bench.caller_in("room-b")
    await bench.agent_in("room-b", AGENT, Label="agent")
    person = await bench.agent_in("room-b", TARGET, Label="person")
    real = {CALL: caller, PERSON: person, ROOM: bench.room("room-b").sid}
    order = [index for index in range(len(REQUESTS)) if index not in {*ENDING, 5, 6}] + [5, 6, 18, 22, 3]
    for index in order:
        status, code = await _replay(bench, REQUESTS[index], real)
        usual = 201 if index in CREATES else SUCCESS[REQUESTS[index]["method"]]
        expected = OTHER.get(index, (usual, None, ""))
        assert (status, code) == expected[:2], f"{index}: {REQUESTS[index]['sdk_call']} {expected[2]}"
    assert not bench.emulator.world.calls[caller].live
    assert bench.room("room-b").status == "completed"


async def _replay(bench: Bench, request: dict[str, str], real: dict[str, str]) -> tuple[int, int | None]:
    path, body = request["raw_path"].replace("AC" + "0" * 31 + "1", ACCOUNT), request["body"]
    body = body.replace(quote("https://app.example.test", safe=""), quote(bench.site.url, safe=""))
    for recorded, sid in real.items():
        path, body = path.replace(recorded, sid), body.replace(recorded, sid)
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    data = None
    if request["method"] == "POST":
        headers["Content-Type"], data = "application/x-www-form-urlencoded", body.encode()
    async with bench.session.request(
        request["method"], bench.emulator.url + path, data=data, headers=headers
    ) as answer:
        content = await answer.read()
        answered = json.loads(content) if content else {}
        return answer.status, answered.get("code") if answer.status >= 400 else None
