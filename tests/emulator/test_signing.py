"""X-Twilio-Signature against Twilio's own vectors and Twilio's own validator."""

import json
from pathlib import Path

import pytest
from twilio.request_validator import RequestValidator

from emulator import NumberConfig
from emulator.signing import signature, signed_url
from emulator_bench import CALLER, TOKEN, Bench, BenchFactory

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "signatures.json").read_text())
FORMS = [case for case in VECTORS if case["valid"] and case["portable"] and "params" in case]
URLS = [
    "https://example.com/voice",
    "https://example.com:8443/voice?b=2&a=1",
    "http://example.com:8080/voice?x=%2B1%20%7E%41",
    "https://user:secret@example.com/voice",
    "https://example.com/voice/#rc=3&rp=all",
]


@pytest.mark.parametrize("case", FORMS, ids=lambda case: str(case["id"]))
def test_published_vectors(case: dict[str, object]) -> None:
    """Over the string that Twilio signed, the signature is the published one."""
    check = case["check"]
    assert isinstance(check, dict)
    params = case["params"]
    assert isinstance(params, list)
    pairs = [(str(name), str(value)) for name, values in params for value in _values(values)]
    assert signature(str(case["auth_token"]), check["signed_string_url"], pairs) == case["signature"]


def _values(values: object) -> list[object]:
    return values if isinstance(values, list) else [values]


def test_facts_vectors() -> None:
    """Duplicate names are signed once per distinct value, sorted; empty values by their name alone."""
    pairs = [("B", "x"), ("a", "2"), ("a", "1"), ("a", "1"), ("b", "")]
    assert signature("12345", "https://h/p", pairs) == "LnQ8YwKE6pKxqPbaiD1ExoXW7RA="


@pytest.mark.parametrize("url", URLS)
def test_validator_agrees(url: str) -> None:
    """Twilio's validator accepts what we sign, over the URL as a server sees it."""
    fields = {"To": "+15550100001", "From": "client:é", "ToCity": "", "A B": "1&2=3"}
    seen = url.partition("#")[0].replace("user:secret@", "")
    made = signature(TOKEN, signed_url(url), fields)
    assert RequestValidator(TOKEN).validate(seen, fields, made)
    assert not RequestValidator(TOKEN).validate(seen, {**fields, "To": "+15550100009"}, made)


def test_https_port_is_not_signed() -> None:
    """Twilio drops an explicit port on https and keeps it on http."""
    assert signed_url("https://h:8443/p?q#rc=1") == "https://h/p?q"
    assert signed_url("http://h:8080/p?q#rc=1") == "http://h:8080/p?q"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_requests_on_the_wire_validate(bench: Bench, method: str) -> None:
    """Every request that the emulator makes validates over the URL that the server received, query and all."""
    number = "+15550100007"
    bench.site.pages["/v o/i"] = "<Response><Hangup/></Response>"
    url = bench.url("/v%20o/i?b=%2B1&a=x+y#rc=1")
    config = {"voice_url": url, "voice_method": method, "status_callback": bench.url("/done")}
    await bench.control("PUT", f"/numbers/{number}", config)
    await bench.control("POST", "/calls", {"from": CALLER, "to": number})
    await bench.until(lambda: bench.site.got("/done"), "the status callback")
    for hit in bench.site.hits:
        signed = {} if hit.method == "GET" else hit.params
        assert RequestValidator(TOKEN).validate(
            bench.site.url + hit.raw_path, signed, hit.headers["X-Twilio-Signature"]
        )
    assert {hit.method for hit in bench.site.hits} == {method, "POST"}


async def test_subaccounts_sign_with_their_own_token(start: BenchFactory) -> None:
    """A subaccount's webhooks carry its AccountSid and are signed with its token (U1)."""
    sub, number = "AC" + "5" * 32, "+15550100008"
    config = Bench.config(subaccounts={sub: "sub-token"}, numbers={number: NumberConfig(account_sid=sub)})
    bench = await start(config)
    await bench.control("PUT", f"/numbers/{number}", {"voice_url": bench.url("/sub"), "account_sid": sub})
    await bench.control("POST", "/calls", {"from": CALLER, "to": number})
    await bench.until(lambda: bench.site.got("/sub"), "the voice webhook")
    hit = bench.site.got("/sub")[0]
    assert hit.params["AccountSid"] == sub
    url, made = bench.url("/sub"), hit.headers["X-Twilio-Signature"]
    assert RequestValidator("sub-token").validate(url, hit.params, made)
    assert not RequestValidator(TOKEN).validate(url, hit.params, made)
