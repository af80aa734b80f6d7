"""`X-Twilio-Signature`, checked for the hot path. Pure: no request object, no clock, no log.

The rules are Twilio's (twilio-facts.md 1.1 to 1.7, https://www.twilio.com/docs/usage/security) and those of
twilio-python's `RequestValidator`, which the tests use as the oracle. It differs from that on purpose:

* userinfo and fragment of the configured URL are left out, as Twilio leaves them out; the SDK signs what it is given;
* a URL ending in a bare `?` is accepted signed with or without the `?`; the SDK only knows the one without;
* a `;` at the end of the path is part of the signed text; the SDK's URL parser drops it;
* an IPv6 host keeps its brackets when the port is left out; the SDK cuts the host at its first colon;
* the comparison takes constant time in C.

The string that Twilio signs has no separators, no time and no method: a captured request stays valid. What defends
against replays is the record's id and the sequence numbers (reliability.md 4.2).
"""

import hashlib
import hmac
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from cordboard.accounts import Account, Accounts

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
_DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_KNOWN_SECRETS = 256
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Refusal(StrEnum):
    """Why a request is not from Twilio. All of them are answered alike; only the metric tells them apart."""

    UNSIGNED = "unsigned"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_ALGORITHM = "unknown_algorithm"
    WRONG_SIGNATURE = "wrong_signature"
    WRONG_BODY = "wrong_body"


class KeySettings(msgspec.Struct, frozen=True):
    """What the settings header says: which shared key signed, and how. `algorithm` is a name that `hmac` knows."""

    key: str
    algorithm: str


class SigningUrls:
    """The texts that Twilio may have signed for a request target, built once from the configured public URL.

    With and without port, because Twilio drops an https port for voice and SDKs of other products add the default one;
    with and without the path prefix, because a proxy may have taken it off or a number may be set without it.
    """

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        host = parts.netloc.rpartition("@")[2]
        name = host.removesuffix(f":{parts.port}") if parts.port else host
        with_port = host if parts.port else f"{host}:{_DEFAULT_PORTS.get(parts.scheme, 80)}"
        origins = [f"{parts.scheme}://{authority}" for authority in (name, with_port)]
        prefix = parts.path.rstrip("/")
        self.prefix = prefix
        self.bases = tuple(dict.fromkeys(origin + path for path in (prefix, "") for origin in origins))

    def of(self, target: str) -> list[str]:
        """The candidates for a raw request target (path and query, undecoded), the likeliest first."""
        urls = [base + target for base in self.bases]
        return [url[:-1] for url in urls] + urls if target.endswith("?") else urls


def signing_urls(url: str) -> tuple[str, ...]:
    """The texts that Twilio may have signed for a whole URL: userinfo and fragment left out, with and without port."""
    parts = urlsplit(url.partition("#")[0])
    query = f"?{parts.query}" if "?" in url.partition("#")[0] else ""
    urls = SigningUrls(f"{parts.scheme}://{parts.netloc}")
    return tuple(urls.of(parts.path + query))


def compute_signature(secret: bytes, text: bytes, algorithm: str = "sha1") -> bytes:
    """The signature of `text`: its HMAC by `secret`, Base64."""
    begun, last = _keyed(secret, algorithm)
    inner, outer = begun.copy(), last.copy()
    inner.update(text)
    outer.update(inner.digest())
    return b2a_base64(outer.digest(), newline=False)


@lru_cache(_KNOWN_SECRETS)
def _keyed(secret: bytes, algorithm: str) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """HMAC's two hashes with the secret worked in (RFC 2104): copies take half of what `hmac.digest` takes a form."""
    block = hashlib.new(algorithm).block_size
    key = hashlib.new(algorithm, secret).digest() if len(secret) > block else secret
    padded = key.ljust(block, b"\0")
    return hashlib.new(algorithm, padded.translate(_INNER)), hashlib.new(algorithm, padded.translate(_OUTER))


def parse_settings(header: str) -> KeySettings | Refusal:
    """The settings header `key=ID,algorithm=HMAC_SHA256`. Without `algorithm` it is SHA-1, as in Twilio's SDKs."""
    items = (part.partition("=") for part in header.split(","))
    values = {name.strip(): value.strip() for name, found, value in items if found}
    algorithm = _DIGESTS.get((values.get("algorithm") or "HMAC_SHA1").upper())
    if algorithm is None:
        return Refusal.UNKNOWN_ALGORITHM
    return KeySettings(values["key"], algorithm) if values.get("key") else Refusal.UNKNOWN_KEY


def check_body(body: bytes, expected_hex: str) -> bool:
    """Whether a body that is no form is the one that `bodySHA256` in the signed query names."""
    return hmac.compare_digest(
        hashlib.sha256(body).hexdigest().encode(), expected_hex.encode("utf-8", "surrogateescape")
    )


class Verifier:
    """Decides whether a request is signed by one of the accounts.

    `on_other_token` is told the account of a request that another auth token than its first has signed.
    """

    def __init__(
        self, accounts: Accounts, public_url: str, on_other_token: Callable[[str], object] | None = None
    ) -> None:
        self._on_other_token = on_other_token
        self._urls = SigningUrls(public_url)
        self._tokens: dict[str | None, tuple[bytes, ...]] = {account.sid: _tokens(account) for account in accounts}
        self._tokens[None] = tuple(token for tokens in self._tokens.values() for token in tokens)
        self._shared = {account.sid: _shared_keys(account) for account in accounts}

    def check(
        self, target: str, fields: str, account_sid: str | None, signature: str | None, settings: str | None = None
    ) -> Refusal | None:
        """None if the request is Twilio's, else why not.

        `target` is the raw request target, `fields` the form as `forms.joined` gives it (empty for GET and for bodies
        that are no form), `account_sid` the claimed account; where a request carries none, every account is tried.
        """
        if not signature:
            return Refusal.UNSIGNED
        secrets = self._tokens.get(account_sid)
        if secrets is None:
            return Refusal.UNKNOWN_ACCOUNT
        if settings is None:
            return self._by_token(target, fields, account_sid, secrets, signature)
        parsed = parse_settings(settings)
        if isinstance(parsed, Refusal):
            return parsed
        shared = self._shared_keys(account_sid, parsed.key)
        if not shared:
            return Refusal.UNKNOWN_KEY
        signer = self._signer(target, fields, shared, parsed.algorithm, signature)
        return Refusal.WRONG_SIGNATURE if signer is None else None

    def _by_token(
        self, target: str, fields: str, account_sid: str | None, tokens: tuple[bytes, ...], signature: str
    ) -> Refusal | None:
        signer = self._signer(target, fields, tokens, "sha1", signature)
        if signer is None:
            return Refusal.WRONG_SIGNATURE
        if signer and account_sid is not None and self._on_other_token is not None:
            self._on_other_token(account_sid)
        return None

    def _signer(
        self, target: str, fields: str, secrets: tuple[bytes, ...], algorithm: str, signature: str
    ) -> int | None:
        """The position of the secret that has signed, or None."""
        given = signature.encode("utf-8", "surrogateescape")
        for url in self._urls.of(target):
            text = (url + fields).encode("utf-8", "surrogateescape")
            for position, secret in enumerate(secrets):
                if hmac.compare_digest(compute_signature(secret, text, algorithm), given):
                    return position
        return None

    def _shared_keys(self, account_sid: str | None, key: str) -> tuple[bytes, ...]:
        """The secrets of the key that is named. There is no fall-back to the tokens."""
        accounts = tuple(self._shared) if account_sid is None else (account_sid,)
        return tuple(self._shared[sid][key] for sid in accounts if key in self._shared[sid])


def _tokens(account: Account) -> tuple[bytes, ...]:
    """Without the empty ones: anybody can sign with those."""
    return tuple(token.encode() for token in account.auth_tokens if token)


def _shared_keys(account: Account) -> Mapping[str, bytes]:
    return {key: secret.encode() for key, secret in account.shared_keys.items() if secret}
