"""The signature check against Twilio's own: its SDKs' published cases, and its Python validator on made-up input."""

import hmac
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from cordboard.accounts import Account, Accounts
from ingress.forms import joined
from ingress.signature import (
    KeySettings,
    Refusal,
    SigningUrls,
    Verifier,
    check_body,
    compute_signature,
    parse_settings,
    signing_urls,
)

SID = "AC" + "0" * 32
TOKEN = "12345"
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "vectors" / "signatures.json").read_text())
SDK_QUIRKS = {
    "creds-in-url": "signed with the userinfo that Twilio itself removes before signing",
    "creds-in-url-signed-with-443": "signed with the userinfo that Twilio itself removes before signing",
    "username-in-url": "signed with the userinfo that Twilio itself removes before signing",
    "apostrophe-in-query": "only twilio-node accepts it: it rewrites the URL before signing",
}
"""Published as valid, refused by us: the reason."""


def accepted(case: dict[str, Any]) -> bool:
    """Our verdict on a case: any of the texts that Twilio may have signed matches."""
    if case["signature"] is None:
        return False
    body = case.get("body")
    if body is not None:
        hashes = [part.removeprefix("bodySHA256=") for part in case["url"].partition("?")[2].split("&")]
        if not any(check_body(body.encode(), candidate) for candidate in hashes):
            return False
    fields = joined([(name, value) for name, value in case.get("params", [])])
    secret, given_signature = case["auth_token"].encode(), case["signature"].encode()
    return any(
        compute_signature(secret, (url + fields).encode()) == given_signature for url in signing_urls(case["url"])
    )


@given(st.binary(max_size=200), st.binary(max_size=300), st.sampled_from(["sha1", "sha256"]))
def test_the_signature_is_the_hmac(secret: bytes, text: bytes, algorithm: str) -> None:
    """For any secret, also one longer than the hash's block, it is what Python's own `hmac` gives, Base64."""
    assert b64decode(compute_signature(secret, text, algorithm)) == hmac.digest(secret, text, algorithm)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_published_cases(case: dict[str, Any]) -> None:
    """Every case that Twilio's SDKs publish gets their verdict, but for the quirks that are named."""
    assert accepted(case) is (case["valid"] and case["id"] not in SDK_QUIRKS)


hosts = st.sampled_from(["example.com", "example.com:8443", "example.com:443", "h", "h:80"])
# What can stand in a request target: visible ASCII without space, `#` and `?`; a segment with `;` at its end is dropped
# by the SDK's urlparse when nothing follows it, which Twilio's servers do not do.
characters = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#?;[]\\")
paths = st.text(characters, max_size=30).map(lambda text: "/" + text.lstrip("/"))
queries = st.none() | st.text(characters, min_size=1, max_size=30)
names = st.sampled_from(["CallSid", "From", "FromCity", "a", "A", "_", ""]) | st.text(max_size=5)
forms = st.lists(st.tuples(names, st.text(max_size=8)), max_size=8)


@given(
    scheme=st.sampled_from(["https", "http"]),
    host=hosts,
    path=paths,
    query=queries,
    form=forms,
    token=st.text(min_size=1, max_size=12),
    with_port=st.booleans(),
)
@example(
    scheme="https",
    host="example.com:8443",
    path="/",
    query=None,
    form=[("B", "x"), ("a", "2"), ("a", "1"), ("a", "1"), ("b", "")],
    token=TOKEN,
    with_port=True,
)
def test_agrees_with_twilios_validator(
    *, scheme: str, host: str, path: str, query: str | None, form: list[tuple[str, str]], token: str, with_port: bool
) -> None:
    """What Twilio's validator would sign, with or without port, is accepted, and both accept the same."""
    public_url = f"{scheme}://{host}"
    target = path if query is None else f"{path}?{query}"
    name, _, port = host.partition(":")
    signed_host = f"{name}:{port or (443 if scheme == 'https' else 80)}" if with_port else name
    oracle = RequestValidator(token)
    signature = oracle.compute_signature(f"{scheme}://{signed_host}{target}", MultiDict(form))
    verifier = Verifier(Accounts([Account(sid=SID, auth_tokens=(token,))]), public_url)

    ours = verifier.check(target, joined(form), SID, signature)

    assert oracle.validate(public_url + target, MultiDict(form), signature)
    assert ours is None


@given(forms, forms)
def test_another_form_is_refused(signed: list[tuple[str, str]], sent: list[tuple[str, str]]) -> None:
    """A form whose signed text differs from the one that was signed is refused, as by Twilio's validator."""
    signature = RequestValidator(TOKEN).compute_signature("https://h/p", MultiDict(signed))
    verdict = verifier().check("/p", joined(sent), SID, signature)
    assert (verdict is None) is RequestValidator(TOKEN).validate("https://h/p", MultiDict(sent), signature)


def verifier(public_url: str = "https://h", shared_keys: dict[str, str] | None = None) -> Verifier:
    """One account with one token."""
    return Verifier(Accounts([Account(sid=SID, auth_tokens=(TOKEN,), shared_keys=shared_keys or {})]), public_url)


def signed(url: str, fields: str = "", secret: str = TOKEN, algorithm: str = "sha1") -> str:
    """A signature as Twilio makes it."""
    return compute_signature(secret.encode(), (url + fields).encode(), algorithm).decode()


def test_bare_question_mark() -> None:
    """A URL that ends in a bare `?` is accepted however Twilio signed it; its own validator drops the `?`."""
    for url in ("https://h/p?", "https://h/p"):
        assert verifier().check("/p?", "", SID, signed(url)) is None
    assert not RequestValidator(TOKEN).validate("https://h/p?", {}, signed("https://h/p?"))


def test_userinfo_and_fragment_are_not_signed() -> None:
    """Credentials and fragment of the configured URL are left out, as Twilio leaves them out."""
    assert SigningUrls("https://user:pass@h:8443/x").bases == SigningUrls("https://h:8443/x").bases
    assert set(signing_urls("https://user@h/p?a=1#rc=3")) == {"https://h/p?a=1", "https://h:443/p?a=1"}


def test_ipv6_host_keeps_its_brackets() -> None:
    """Leaving the port out of an IPv6 address leaves the address whole; Twilio's validator cuts it to `[`."""
    assert verifier("https://[::1]:8443").check("/p", "", SID, signed("https://[::1]/p")) is None


def test_path_prefix_may_be_there_or_not() -> None:
    """A proxy may take the prefix of the public URL off; a number may be set to a URL without it."""
    behind = verifier("https://h/twilio")
    assert behind.check("/v1/x?a=1", "", SID, signed("https://h/twilio/v1/x?a=1")) is None
    assert behind.check("/twilio/v1/x", "", SID, signed("https://h/twilio/v1/x")) is None
    assert behind.check("/v1/x", "", SID, signed("https://h/v1/x")) is None
    assert behind.check("/v1/x", "", SID, signed("https://h/other/v1/x")) is Refusal.WRONG_SIGNATURE


def test_every_token_of_an_account_verifies() -> None:
    """While a token is rotated both verify; another account's does not."""
    other = "AC" + "1" * 32
    accounts = Accounts([Account(sid=SID, auth_tokens=("old", "new")), Account(sid=other, auth_tokens=("theirs",))])
    check = Verifier(accounts, "https://h").check
    assert check("/p", "", SID, signed("https://h/p", secret="old")) is None
    assert check("/p", "", SID, signed("https://h/p", secret="new")) is None
    assert check("/p", "", SID, signed("https://h/p", secret="theirs")) is Refusal.WRONG_SIGNATURE
    assert check("/p", "", other, signed("https://h/p", secret="theirs")) is None


def test_other_token_is_told() -> None:
    """Whoever rotates a token can see when the other one is no longer in use."""
    told: list[str] = []
    check = Verifier(Accounts([Account(sid=SID, auth_tokens=("new", "old"))]), "https://h", told.append).check
    assert check("/p", "", SID, signed("https://h/p", secret="new")) is None
    assert told == []
    assert check("/p", "", SID, signed("https://h/p", secret="old")) is None
    assert told == [SID]
    check("/p", "", SID, signed("https://h/p", secret="older"))
    assert told == [SID]


def test_request_without_account_tries_all() -> None:
    """A request that names no account (a conference's announcement may not) is held against every account."""
    assert verifier().check("/p", "", None, signed("https://h/p")) is None
    assert verifier().check("/p", "", None, signed("https://h/p", secret="x")) is Refusal.WRONG_SIGNATURE


def test_unknown_account_is_refused() -> None:
    """An AccountSid that is not configured is refused, whatever signed it."""
    assert verifier().check("/p", "", "AC" + "9" * 32, signed("https://h/p")) is Refusal.UNKNOWN_ACCOUNT


def test_empty_token_verifies_nothing() -> None:
    """An account without a token cannot be spoken for with the empty one."""
    check = Verifier(Accounts([Account(sid=SID, auth_tokens=("",), shared_keys={"k": ""})]), "https://h").check
    assert check("/p", "", SID, signed("https://h/p", secret="")) is Refusal.WRONG_SIGNATURE
    assert check("/p", "", SID, signed("https://h/p", secret=""), "key=k") is Refusal.UNKNOWN_KEY


@pytest.mark.parametrize(("name", "algorithm"), [("HMAC_SHA256", "sha256"), ("HMAC_SHA1", "sha1")])
def test_shared_key_signs_by_the_algorithm_named(name: str, algorithm: str) -> None:
    """With a settings header the key it names verifies, by the algorithm it names, as with Twilio's validator."""
    check = verifier(shared_keys={"webhooks_sharedkey_1": "secret"}).check
    signature = signed("https://h/p", "a1", "secret", algorithm)
    settings = f"key=webhooks_sharedkey_1,algorithm={name}"
    assert RequestValidator("secret").validate("https://h/p", {"a": "1"}, signature, name)
    assert check("/p", "a1", SID, signature, settings) is None
    assert check("/p", "a1", SID, signed("https://h/p", "a1", TOKEN, algorithm), settings) is Refusal.WRONG_SIGNATURE


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        ("", Refusal.UNKNOWN_KEY),
        ("key=other,algorithm=HMAC_SHA256", Refusal.UNKNOWN_KEY),
        ("algorithm=HMAC_SHA256", Refusal.UNKNOWN_KEY),
        ("key=k,algorithm=HMAC_MD5", Refusal.UNKNOWN_ALGORITHM),
    ],
)
def test_settings_header_has_no_fall_back(header: str, refusal: Refusal) -> None:
    """A request that says it was signed by a shared key is never held against the auth token."""
    check = verifier(shared_keys={"k": "secret"}).check
    assert check("/p", "", SID, signed("https://h/p"), header) is refusal


def test_settings_without_algorithm_mean_sha1() -> None:
    """Twilio's SDKs take SHA-1 where the header names no algorithm."""
    assert parse_settings(" key = k ") == KeySettings("k", "sha1")


@given(st.text(max_size=40), st.text(max_size=40), st.none() | st.text(max_size=40), st.none() | st.text(max_size=40))
def test_any_headers_are_refused_without_an_error(
    target: str, fields: str, signature: str | None, settings: str | None
) -> None:
    """Whatever stands in the headers, the answer is a refusal."""
    assert verifier().check(target, fields, SID, signature, settings) is not None
