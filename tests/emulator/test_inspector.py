"""The inspector: what the details say, what they never say, and the page in a real browser."""

from pathlib import Path

import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from browser import browser_path, browsing
from emulator import EmulatorConfig, Switches
from emulator.errors import Alert
from emulator.explanations import BY_CODE, of_rest
from emulator_bench import ACCOUNT, NUMBER, TARGET, TOKEN, Bench, BenchFactory

FORM = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>"}


async def _failed(bench: Bench, path: str, page: object, fragment: str = "") -> dict[str, object]:
    """Let a callback go wrong and return what the inspector says of it."""
    bench.site.pages[path] = page  # type: ignore[assignment]
    await bench.rest("POST", "/Calls.json", {**FORM, "StatusCallback": bench.url(path + fragment)})
    await bench.until(lambda: bench.sent("call"), "the callback")
    await bench.settled()
    entry = bench.sent("call")[-1]
    status, body = await bench.control("GET", f"/requests/{entry.number}")
    assert status == 200
    return body


async def test_a_refused_signature_is_explained(bench: Bench) -> None:
    """For a 403 there is the string that was signed, which gives the signature with the account's token."""
    told = await _failed(bench, "/cb", lambda _: web.Response(status=403, text="bad signature"))
    assert (told["status"], told["attempts"], told["refusal"]) == (403, 1, "bad signature")
    assert "refused the signature" in str(told["explanation"])
    url, params = str(told["signed_url"]), told["params"]
    assert isinstance(params, dict)
    assert told["signature_base"] == url + "".join(name + params[name] for name in sorted(params))
    assert RequestValidator(TOKEN).validate(url, params, told["signature"])
    assert bench.site.got("/cb")[0].headers["X-Twilio-Signature"] == told["signature"]


async def test_the_signature_of_a_get(bench: Bench) -> None:
    """A GET is signed with its fields in the URL, without the fragment."""
    bench.site.pages["/cb"] = 204
    wish = {"StatusCallback": bench.url("/cb?a=1#rc=2"), "StatusCallbackMethod": "GET"}
    await bench.rest("POST", "/Calls.json", {**FORM, **wish})
    await bench.until(lambda: bench.site.got("/cb"), "the callback")
    await bench.settled()
    _, told = await bench.control("GET", f"/requests/{bench.sent('call')[-1].number}")
    assert told["signature_base"] == told["signed_url"]
    assert "#" not in str(told["signed_url"])
    assert bench.site.got("/cb")[0].headers["X-Twilio-Signature"] == told["signature"]


async def test_a_retry_keeps_its_first_error(bench: Bench) -> None:
    """A delivery that worked at the second attempt is none that failed, and says what the first one met."""
    answers = iter([500, 204])
    told = await _failed(bench, "/cb", lambda _: next(answers), "#rc=1&rp=5xx")
    assert (told["attempts"], told["error"], told["first_error"], told["explanation"]) == (2, None, "HTTP 500", "")
    assert isinstance(told["latency_s"], float)


BROKEN = [
    ("<Response><Say>a & b</Say></Response>", 12100, "not XML"),
    ("<Response><Sing/></Response>", 12200, "not TwiML"),
    (503, 11200, "Your server failed"),
    (403, 11200, "refused the signature"),
    (lambda _: web.Response(text="<Response/>", content_type="text/html"), 12300, "Content-Type"),
]


@pytest.mark.parametrize(("page", "code", "words"), BROKEN)
async def test_a_broken_document_is_explained(bench: Bench, page: object, code: int, words: str) -> None:
    """A document that cannot be used has the debugger's code and plain words, in its call's details too."""
    bench.site.pages["/go"] = page  # type: ignore[assignment]
    _, made = await bench.rest("POST", "/Calls.json", {"To": TARGET, "From": NUMBER, "Url": bench.url("/go")})
    await bench.until(lambda: bench.status(str(made["sid"])) == "completed", "the end")
    _, told = await bench.control("GET", f"/calls/{made['sid']}")
    requests, alerts = told["requests"], told["alerts"]
    assert isinstance(requests, list)
    assert isinstance(alerts, list)
    assert requests[0]["code"] == code
    assert words in requests[0]["explanation"]
    assert [alert["code"] for alert in alerts] == [code]


async def test_no_secret_is_shown(start: BenchFactory) -> None:
    """Tokens and key secrets are blotted out wherever a request or an answer has them; a URL's password as well."""
    bench = await start(Bench.config(api_keys={"SKkey": "key-secret"}))
    await bench.rest("POST", "/Calls.json", {**FORM, "Twiml": f"<Response><Say>{TOKEN} key-secret</Say></Response>"})
    await _failed(bench, "/cb", 403)
    form = {**FORM, "StatusCallback": bench.url("/cb").replace("http://", "http://me:hidden@")}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: len(bench.sent("call")) == 2, "the callback")
    await bench.settled()
    for path in ("/rest", "/rest/1", "/requests", "/callbacks", "/requests/2", "/alerts", "/calls", "/conferences"):
        async with bench.session.get(f"{bench.emulator.url}/_emulator{path}") as answer:
            text = await answer.text()
        assert answer.status == 200, path
        assert TOKEN not in text, path
        assert "key-secret" not in text, path
        assert "hidden" not in text, path


async def test_answers_of_rest_are_kept_for_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A REST request is shown with its answer; older ones keep everything but that."""
    monkeypatch.setattr("emulator.rest.edge.BODIES_KEPT", 2)
    for _ in range(4):
        await bench.rest("GET", "/Calls/CA404.json")
    _, newest = await bench.control("GET", "/rest/4")
    _, oldest = await bench.control("GET", "/rest/1")
    assert '"code":20404' in str(newest["body"])
    assert newest["explanation"] == of_rest(404, 20404) != ""
    assert (oldest["status"], oldest["body"]) == (404, None)
    assert (await bench.control("GET", "/rest/99"))[0] == (await bench.control("GET", "/requests/x"))[0] == 404


async def test_unsigned_kinds_say_so(start: BenchFactory) -> None:
    """What a switch leaves unsigned (U3) has no signature in the details either."""
    bench = await start(Bench.config(switches=Switches(u3_taskrouter_and_conversation_sign=False)))
    told = await _failed(bench, "/cb", 403)
    assert told["signature"] is not None
    entry = bench.sent("call")[-1]
    entry.kind = "conversation"
    _, told = await bench.control("GET", f"/requests/{entry.number}")
    assert told["signature"] is None


def test_every_code_of_the_debugger_is_explained() -> None:
    """Each code that the emulator raises has words; TaskRouter's instruction codes say it in their own detail."""
    own_words = {code for code in Alert if 40005 <= code <= 40145}
    assert set(Alert) - set(BY_CODE) == own_words


async def test_the_page_in_a_browser(bench: Bench, tmp_path: Path) -> None:
    """The page lists what there is, opens the details, says why a callback failed, and follows what happens."""
    program = browser_path()
    if program is None:
        pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")
    bench.site.pages["/cb"] = 403
    await bench.caller_in("room-1", statusCallback=bench.url("/cb"), statusCallbackEvent="join")
    await bench.settled()
    async with browsing(program, tmp_path) as page:
        await page.do("Page.navigate", url=f"{bench.emulator.url}/_emulator/")
        await page.press("[role=tab]", "Webhooks")
        await page.press("tr.failed button.link", "participant-join")
        await page.until("document.querySelector('aside .why')?.textContent.includes('refused the signature')")
        assert await page.value("document.activeElement.id") == "detail"
        assert f"AccountSid{ACCOUNT}" in str(await page.value("document.querySelector('aside').textContent"))
        await page.press("[role=tab]", "Conferences")
        await page.until("document.querySelector('td li')?.textContent.includes('customer: hears nobody')")
        await bench.agent_in("room-1", Label="agent-1")
        await page.until("document.querySelectorAll('td li').length === 2")
        await page.press("[role=tab]", "Calls")
        await page.press("td button", "hang up")
        await page.until("[...document.querySelectorAll('td')].some(one => one.textContent === 'completed')")
        await page.until("[...document.querySelectorAll('td')].some(one => one.textContent === 'was in room-1')")
        assert (
            await page.value("document.querySelectorAll('[src^=http], [href^=http], link[rel=stylesheet]').length") == 0
        )
        assert page.errors == []


async def test_the_page_is_at_both_addresses(bench: Bench) -> None:
    """Without the slash the page is found as well, and it may load nothing from elsewhere."""
    for path in ("/_emulator", "/_emulator/"):
        async with bench.session.get(bench.emulator.url + path) as answer:
            assert answer.content_type == "text/html"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("origin", "status"), [("http://evil.example", 403), ("null", 403), ("own", 200), (None, 200)])
async def test_pages_of_other_sites_are_kept_out(bench: Bench, origin: str | None, status: int) -> None:
    """A control route answers programs and its own page, no page of another site."""
    headers = {} if origin is None else {"Origin": bench.emulator.url if origin == "own" else origin}
    async with bench.session.put(f"{bench.emulator.url}/_emulator/chaos", data="{}", headers=headers) as answer:
        assert answer.status == status


def test_the_configuration_shows_no_secret() -> None:
    """A configuration in a log line names no token."""
    assert TOKEN not in repr(EmulatorConfig(auth_token=TOKEN))
