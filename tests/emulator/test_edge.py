"""Twilio's front door: authentication, error bodies, headers, what is not emulated, limits, faults, the ledger."""

import asyncio
import base64

import aiohttp
import pytest

from emulator import EmulatorConfig, NumberConfig, Switches
from emulator_bench import ACCOUNT, NUMBER, TARGET, TOKEN, Bench, BenchFactory

ROOT = f"/2010-04-01/Accounts/{ACCOUNT}"
FORM = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>"}


def _basic(user: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


CREDENTIALS = [
    ({}, 401),
    (_basic(ACCOUNT, "wrong"), 401),
    (_basic("AC" + "9" * 32, TOKEN), 401),
    (_basic("SKkey", "wrong"), 401),
    ({"Authorization": "Bearer x"}, 401),
    ({"Authorization": "Basic !!"}, 401),
    (_basic(ACCOUNT, TOKEN), 200),
    (_basic("SKkey", "key-secret"), 200),
]


@pytest.mark.parametrize(("headers", "status"), CREDENTIALS)
async def test_authentication(start: BenchFactory, headers: dict[str, str], status: int) -> None:
    """Account SID and token, or an API key, get in; everybody else gets 401 with 20003."""
    bench = await start(Bench.config(api_keys={"SKkey": "key-secret"}))
    async with bench.session.get(f"{bench.emulator.url}{ROOT}/Calls.json", headers=headers) as answer:
        assert answer.status == status
        body = await answer.json()
    if status == 401:
        assert body["code"] == 20003


async def test_parent_reaches_its_subaccounts_only(start: BenchFactory) -> None:
    """The main account may act for its subaccounts, a subaccount for itself alone, and each sees its own calls."""
    sub = "AC" + "5" * 32
    number = "+15550100044"
    numbers = {NUMBER: NumberConfig(), number: NumberConfig(account_sid=sub)}
    bench = await start(Bench.config(subaccounts={sub: "sub-token"}, numbers=numbers))
    theirs, ours = (f"{bench.emulator.url}/2010-04-01/Accounts/{sid}/Calls.json" for sid in (sub, ACCOUNT))
    cases = [(theirs, _basic(ACCOUNT, TOKEN), 201), (theirs, _basic(sub, "sub-token"), 201)]
    for url, headers, status in [*cases, (ours, _basic(sub, "sub-token"), 401)]:
        async with bench.session.post(url, data={**FORM, "From": number}, headers=headers) as answer:
            assert answer.status == status
    assert (await bench.rest("GET", "/Calls.json"))[1]["calls"] == []


async def test_headers_of_an_answer(bench: Bench) -> None:
    """Every answer, an error too, carries Twilio's headers and an error its code, status and link."""
    url = f"{bench.emulator.url}{ROOT}/Calls/CA404.json"
    async with bench.session.get(url, headers=_basic(ACCOUNT, TOKEN)) as answer:
        body = await answer.json()
        assert answer.headers["Twilio-Request-Id"].startswith("RQ")
        assert answer.headers["Twilio-Concurrent-Requests"] == "1"
        assert float(answer.headers["Twilio-Request-Duration"]) >= 0
    assert body == {
        "code": 20404,
        "message": f"The requested resource {ROOT}/Calls/CA404.json was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


NOT_EMULATED = [
    ("POST", "/Calls.json", {**FORM, "SipAuthPassword": "1"}, "SipAuthPassword"),
    ("GET", "/Recordings.json?IncludeSoftDeleted=true", None, "IncludeSoftDeleted"),
    ("POST", "/Calls.json", {**FORM, "Byoc": "BY1"}, "Byoc"),
    (
        "POST",
        "/Conferences/r/Participants.json",
        {"To": TARGET, "From": NUMBER, "SipAuthUsername": "x"},
        "SipAuthUsername",
    ),
    ("POST", "/Conferences/r/Participants.json", {"To": TARGET, "From": NUMBER, "Status": "completed"}, "Status"),
    ("POST", "/IncomingPhoneNumbers.json", {"PhoneNumber": "+15550100055", "EmergencyStatus": "x"}, "EmergencyStatus"),
    ("POST", "/Messages.json", {"To": TARGET, "From": NUMBER, "Body": "x"}, "Messages"),
    ("POST", "/Calls/CA1/Streams.json", {"Url": "wss://x"}, "Streams"),
]


@pytest.mark.parametrize(("method", "path", "form", "named"), NOT_EMULATED)
async def test_not_emulated(bench: Bench, method: str, path: str, form: dict[str, str] | None, named: str) -> None:
    """What is not emulated is 501 and named, never a silent success; nothing has happened."""
    status, body = await bench.rest(method, path, form)
    assert status == 501
    assert named in str(body["message"])
    assert not bench.emulator.world.calls
    assert not bench.emulator.world.conferences


@pytest.mark.parametrize("name", ["Trim", "ConferenceTrim", "JitterBufferSize", "Region"])
async def test_words_without_effect_are_checked(bench: Bench, name: str) -> None:
    """A parameter that changes nothing here has to have one of Twilio's values all the same."""
    form = {"To": TARGET, "From": NUMBER, name: "wrong"}
    status, body = await bench.rest("POST", "/Conferences/r/Participants.json", form)
    assert (status, body["code"]) == (400, 20001)
    assert name in str(body["message"])


async def test_participant_update_has_no_status(bench: Bench) -> None:
    """Status=completed on a participant does not exist."""
    caller = await bench.caller_in("room-1")
    path = f"/Conferences/{bench.room('room-1').sid}/Participants/{caller}.json"
    status, body = await bench.rest("POST", path, {"Status": "completed"})
    assert status == 501
    assert "Status" in str(body["message"])
    assert bench.joined("room-1", caller)


async def test_unknown_paths_and_methods(bench: Bench) -> None:
    """A path that Twilio does not have is 404, a method that a resource does not have is 405."""
    assert (await bench.rest("GET", "/Nonsense.json"))[1]["code"] == 20404
    assert (await bench.rest("PUT", "/Calls.json"))[0] in {404, 405}
    url = f"{bench.emulator.url}{ROOT}/Calls.json"
    async with bench.session.post(url, json=FORM, headers=_basic(ACCOUNT, TOKEN)) as answer:
        assert answer.status == 415


async def test_account(bench: Bench) -> None:
    """The account can be fetched, which is how clients check their credentials."""
    async with bench.twilio() as twilio:
        assert str((await twilio.api.v2010.accounts(ACCOUNT).fetch_async()).status) == "active"


async def test_ledger(bench: Bench) -> None:
    """Every REST request is in the ledger with its form, status, code and time, refused ones too."""
    await bench.rest("POST", "/Calls.json", FORM)
    await bench.rest("GET", "/Calls/CA404.json?x=1")
    _, body = await bench.control("GET", "/rest")
    entries = body["rest"]
    assert isinstance(entries, list)
    made, missed = entries
    assert (made["method"], made["path"], made["status"]) == ("POST", f"{ROOT}/Calls.json", 201)
    assert dict(made["form"]) == FORM
    assert (missed["status"], missed["code"], missed["query"]) == (404, 20404, "x=1")
    assert missed["at"] >= made["at"]


@pytest.mark.parametrize(
    ("effect", "status", "code", "placed"),
    [("429", 429, 20429, 0), ("500-before", 500, 20500, 0), ("500-after", 500, 20500, 1)],
)
async def test_faults(bench: Bench, effect: str, status: int, code: int, placed: int) -> None:
    """The next matching request goes wrong before or after its effect, the one after it does not."""
    await bench.control("POST", "/faults", {"effect": effect, "method": "POST", "match": "/Calls"})
    await bench.rest("GET", "/Calls.json")
    got, body = await bench.rest("POST", "/Calls.json", FORM)
    assert (got, body["code"]) == (status, code)
    assert len(bench.emulator.world.calls) == placed
    assert (await bench.rest("POST", "/Calls.json", FORM))[0] == 201


async def test_lost_answer(bench: Bench) -> None:
    """answer-lost: the call is placed, the connection is cut, and the ledger says so."""
    await bench.control("POST", "/faults", {"effect": "answer-lost"})
    with pytest.raises(aiohttp.ClientError):
        await bench.rest("POST", "/Calls.json", FORM)
    assert len(bench.emulator.world.calls) == 1
    assert bench.emulator.world.rest.entries[0].fault == "answer-lost"


async def test_concurrency_ceiling(start: BenchFactory) -> None:
    """More requests at once than the ceiling: 429 with 20429, and Retry-After if switched on (U24, U27)."""
    bench = await start(Bench.config(switches=Switches(u27_concurrency_ceiling=1, u24_retry_after_s=2)))
    await bench.control("POST", "/faults", {"effect": "slow", "delay_s": 30})
    slow = asyncio.create_task(bench.rest("GET", "/Calls.json"))
    await bench.until(lambda: bench.emulator.world.rest_in_flight, "the slow request")
    url = f"{bench.emulator.url}{ROOT}/Calls.json"
    async with bench.session.get(url, headers=_basic(ACCOUNT, TOKEN)) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
        assert (await answer.json())["code"] == 20429
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


def test_secrets_stay_out_of_repr() -> None:
    """A configuration can be printed without its tokens."""
    config = EmulatorConfig(auth_token="s3cret", api_keys={"SK1": "k3y"})
    assert "s3cret" not in f"{config!r} {config}"
    assert "k3y" not in repr(config)


async def test_same_seed_same_sids(start: BenchFactory) -> None:
    """Two emulators with one seed give the same SIDs."""
    sids = []
    for _ in range(2):
        bench = await start(Bench.config(seed=42))
        sids.append((await bench.rest("POST", "/Calls.json", FORM))[1]["sid"])
    assert sids[0] == sids[1]
