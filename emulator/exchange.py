"""One HTTP request of Twilio's to a customer's server: signing, timeouts, retries by URL fragment, redirects.

Used for callbacks and for documents alike; knows nothing of what is asked. Reference: twilio-facts.md 1.1-1.9.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from http import HTTPStatus
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, quote_plus, unquote, urljoin, urlsplit, urlunsplit

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from emulator.errors import Alert, DocumentError
from emulator.faults import Effect
from emulator.journal import Exchange
from emulator.signing import signature, signed_url
from emulator.world import World

MAX_BODY = 64 * 1024
MAX_REFUSAL = 2_000
"""Bytes of an error's answer that the journal keeps."""
MAX_REDIRECTS = 10
MAX_PER_HOST = 256
"""Connections to one server at once. More requests wait, within their own time limits; sockets must not run out."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
POLICY_NAMES = frozenset({"4xx", "5xx", "ct", "rt", "all"})
HEADERS = {
    "User-Agent": "TwilioProxy/1.1",
    "Accept": "*/*",
    "Cache-Control": "max-age=259200",
    "X-Home-Region": "us1",
}
CONVERSATION = "conversation"
SIGNED_BY_SWITCH = frozenset({CONVERSATION, "taskrouter", "assignment"})
"""Kinds of requests whose signature is not confirmed (U3)."""
FORM = "application/x-www-form-urlencoded; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Connection overrides of a URL's fragment. Times in seconds; out-of-range values are clamped."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    on: frozenset[str] = frozenset({"ct"})

    def retries_on(self, cause: str) -> bool:
        """Tell whether a failure of this kind (``4xx 5xx ct rt``) is tried again."""
        return cause in self.on or ("all" in self.on and cause != "partial")


@dataclass(frozen=True, slots=True)
class Reply:
    """The last answer: status, media type without parameters, body."""

    status: int
    content_type: str
    body: bytes
    url: str


class ExchangeFailedError(Exception):
    """No usable answer. ``cause`` is ``ct``, ``rt``, ``partial``, ``4xx``, ``5xx``, ``url`` or ``redirects``."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


def _bounded(text: str, default: float, low: int, high: int) -> float:
    return min(max(int(text), low), high) / 1000 if text.isdigit() else default


def parse_policy(fragment: str) -> RetryPolicy:
    """Read ``#ct=…&rt=…&tt=…&rc=…&rp=…``; unknown keys (``e``, ``sni``) have no local meaning."""
    if not fragment:
        return RetryPolicy()
    given = dict(parse_qsl(fragment))
    retries = given.get("rc", "")
    policies = frozenset(given.get("rp", "ct").split(",")) & POLICY_NAMES
    return RetryPolicy(
        connect_s=_bounded(given.get("ct", ""), 5.0, 100, 10_000),
        read_s=_bounded(given.get("rt", ""), 15.0, 100, 15_000),
        total_s=_bounded(given.get("tt", ""), 15.0, 100, 15_000),
        retries=min(int(retries), 5) if retries.isdigit() else 1,
        on=policies or frozenset({"ct"}),
    )


def split_url(url: str) -> tuple[str, str, str]:
    """Return the URL as requested (no fragment, no credentials), its Basic credentials, its fragment."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ExchangeFailedError("url", "not an absolute http(s) URL")
    credentials, _, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, host, parts.path or "/", parts.query, "")), unquote(credentials), parts.fragment


class Exchanger:
    """Makes requests over one shared session. ``open`` and ``close`` bracket its life inside a loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the connection pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=2 * MAX_PER_HOST, limit_per_host=MAX_PER_HOST, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    async def run(self, entry: Exchange, account_sid: str, *, limit_s: float = 15.0) -> Reply:
        """Make the request with all its retries, within ``limit_s``; write the outcome into the journal entry.

        Raises:
            ExchangeFailedError: no answer below 400 within the policy.

        """
        begun, outcome = time.perf_counter(), "failed"
        entry.began_at, entry.account_sid = self._world.clock.now(), account_sid
        try:
            url, credentials, fragment = split_url(entry.url)
            if entry.kind == CONVERSATION and not self._world.switches.u28_conversation_callbacks_retry:
                fragment = ""
            policy = parse_policy(fragment)
            policy = replace(policy, total_s=min(policy.total_s, limit_s))
            reply = await self._attempts(entry, account_sid, url, credentials, policy)
            outcome = str(reply.status)
        except ExchangeFailedError as error:
            outcome = str(entry.status) if error.cause in {"4xx", "5xx"} else "failed"
            entry.error, entry.cause = error.detail, error.cause
            raise
        finally:
            entry.done_at = self._world.clock.now()
            self._world.statistics.requested(entry.kind, outcome, time.perf_counter() - begun)
        return reply

    async def _attempts(
        self, entry: Exchange, account_sid: str, url: str, credentials: str, policy: RetryPolicy
    ) -> Reply:
        clock = self._world.clock
        deadline = clock.monotonic() + policy.total_s
        tried = 0
        while True:
            tried += 1
            entry.attempts += 1
            if not entry.token or not self._world.switches.u2_same_token_for_attempts:
                entry.token = self._world.sids.token()
            attempt = _Attempt(entry, account_sid, url, credentials, entry.method, policy, deadline)
            try:
                return await self._follow(attempt)
            except ExchangeFailedError as error:
                entry.first_error = entry.first_error or error.detail
                used_up = tried > policy.retries or clock.monotonic() >= deadline
                if used_up or not policy.retries_on(error.cause):
                    raise

    async def _follow(self, attempt: "_Attempt") -> Reply:
        for _ in range(MAX_REDIRECTS + 1):
            status, headers, body = await self._once(attempt)
            attempt.entry.status = status
            self._keep_cookies(attempt.entry, headers)
            if status in REDIRECTS and "Location" in headers:
                attempt.url = urljoin(attempt.url, headers["Location"])
                attempt.method = attempt.method if status in {307, 308} else "GET"
                attempt.redirected = attempt.redirected or attempt.method != attempt.entry.method
                continue
            if status == HTTPStatus.UNAUTHORIZED and attempt.credentials and not attempt.authorization:
                attempt.authorization = "Basic " + base64.b64encode(attempt.credentials.encode()).decode()
                continue
            if status >= HTTPStatus.BAD_REQUEST:
                attempt.entry.refusal = body[:MAX_REFUSAL].decode(errors="replace")
                cause = "4xx" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "5xx"
                raise ExchangeFailedError(cause, f"HTTP {status}")
            content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Reply(status, content_type, body, attempt.url)
        raise ExchangeFailedError("redirects", "more than 10 redirects")

    def _keep_cookies(self, entry: Exchange, headers: Mapping[str, str]) -> None:
        """Keep what the answer sets with the call (twilio-facts.md 1.8); one jar a call, whatever the path."""
        call = self._world.calls.get(entry.resource)
        if call is not None and isinstance(headers, CIMultiDictProxy):
            for line in headers.getall("Set-Cookie", ()):
                call.cookies = {**(call.cookies or {}), **{name: one.value for name, one in SimpleCookie(line).items()}}

    async def _once(self, attempt: "_Attempt") -> tuple[int, Mapping[str, str], bytes]:
        kept = self._world.bins.answer(attempt.url, attempt.entry.params)
        if kept is not None:
            return kept[0], {"Content-Type": "text/xml"}, kept[1]
        if self._session is None:
            raise ExchangeFailedError("url", "the emulator is not started")
        url, data, headers = self._signed(attempt)
        timeout = aiohttp.ClientTimeout(
            total=max(attempt.deadline - self._world.clock.monotonic(), 0.001),
            sock_connect=attempt.policy.connect_s,
            sock_read=attempt.policy.read_s,
        )
        target = URL(url, encoded=True)
        try:
            async with (
                self._world.clock.contact(),
                self._session.request(
                    attempt.method, target, data=data, headers=headers, timeout=timeout, allow_redirects=False
                ) as answer,
            ):
                return answer.status, answer.headers, await _read(answer.content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ExchangeFailedError("ct", f"cannot connect: {type(error).__name__}") from error
        except aiohttp.ClientPayloadError as error:  # a partial response is never retried (twilio-facts.md 1.9)
            raise ExchangeFailedError("partial", "the answer broke off") from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ExchangeFailedError("rt", f"no answer: {type(error).__name__}") from error

    def _signed(self, attempt: "_Attempt") -> tuple[str, bytes | None, dict[str, str]]:
        # A 301/302 is followed with GET and the fields are lost (twilio-facts.md 1.10).
        params = {} if attempt.redirected else attempt.entry.params
        headers = {**HEADERS, "I-Twilio-Idempotency-Token": attempt.entry.token}
        url, data = attempt.url, None
        if attempt.method == "GET":
            url, params = with_query(url, params), {}
        else:
            data = encode_form(params)
            headers["Content-Type"] = FORM
        if attempt.entry.kind not in SIGNED_BY_SWITCH or self._world.switches.u3_taskrouter_and_conversation_sign:
            token = self._world.signing_token(attempt.account_sid)
            if attempt.entry.fault == Effect.WRONG_SIGNATURE:
                token += " that is wrong"
            headers["X-Twilio-Signature"] = signature(token, signed_url(url), params)
        call = self._world.calls.get(attempt.entry.resource)
        if call is not None and call.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in call.cookies.items())
        if attempt.authorization:
            headers["Authorization"] = attempt.authorization
        return url, data, headers


@dataclass(slots=True)
class _Attempt:
    """One attempt on its way through redirects and a credentials challenge."""

    entry: Exchange
    account_sid: str
    url: str
    credentials: str
    method: str
    policy: RetryPolicy
    deadline: float
    authorization: str = ""
    redirected: bool = False


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Return the whole body, or its first ``MAX_BODY + 1`` bytes."""
    parts: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_BODY:
            break
    return b"".join(parts)[: MAX_BODY + 1]


_quoted = lru_cache(maxsize=16_384)(quote_plus)
"""Names, numbers and flags come again with every callback; quoting was a fifth of a callback's cost."""


def encode_form(params: dict[str, str]) -> bytes:
    """Return the fields as ``application/x-www-form-urlencoded``."""
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in params.items()]).encode()


def with_query(url: str, params: dict[str, str]) -> str:
    """Return the URL with the fields in its query, as a GET carries them."""
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{encode_form(params).decode()}"


def document_error(error: ExchangeFailedError, url: str) -> DocumentError:
    """Translate a failed exchange into what the debugger calls it."""
    codes = {"rt": Alert.HTTP_TIMEOUT, "url": Alert.MALFORMED_URL, "redirects": Alert.TOO_MANY_REDIRECTS}
    return DocumentError(codes.get(error.cause, Alert.HTTP_FAILURE), error.detail, url)
