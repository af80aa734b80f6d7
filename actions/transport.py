"""The way to Twilio: twilio-python's async client over our own timeouts, pool, base URL and classes of network errors.

The library ignores its own timeout, can repeat POSTs and hides the headers of error answers (twilio-facts.md 8.2), so
its `request` is replaced whole. It never retries: what to do after a failure is judged in `outcome.py`.
"""

import asyncio
import base64
import contextvars
import math
import time
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
import msgspec
from aiohttp import hdrs
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from yarl import URL

from actions.heard import TOO_LATE, Answer, RequestFailedError, Silence
from cordboard.metrics import TWILIO_REQUESTS, TWILIO_SECONDS

T = TypeVar("T")

ORIGINAL_HOST = "X-Orig-Host"
_REFUSED = 400
_LIMITED = 429
_SHORT = 24
"""Characters of a value that is worth remembering as quoted: words and numbers, not URLs."""


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds for a whole request and for getting a connection (reliability.md 3.3)."""

    total_s: float = 8.0
    connect_s: float = 2.0


class _Exchange:
    """One request under way, as the transport saw it: what the library's exceptions leave out."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.answer: Answer | None = None


_exchange: contextvars.ContextVar[_Exchange | None] = contextvars.ContextVar("cordboard_twilio_exchange", default=None)


class _Sending:
    """The requests of one attempt: until when they may begin (loop time), and whether one of them may have arrived."""

    def __init__(self, until_s: float) -> None:
        self.until_s = until_s
        self.begun = False


_sending: contextvars.ContextVar[_Sending | None] = contextvars.ContextVar("cordboard_twilio_sending", default=None)


@contextmanager
def beginning_within(seconds: float) -> Iterator[None]:
    """Requests inside are written within so many seconds from now or not at all (`TOO_LATE`, nothing written).

    Getting a connection counts. Once one of them may have arrived nothing is unwritten any more: an action can be more
    than one request.
    """
    token = _sending.set(_Sending(asyncio.get_running_loop().time() + seconds))
    try:
        yield
    finally:
        _sending.reset(token)


async def asked(operation: str, request: Awaitable[T]) -> tuple[T, Answer]:
    """Await one call of the library; `operation` names it in metrics, `participants.create`.

    Raises `RequestFailedError` for everything that is not a success, with what was heard.
    """
    exchange = _Exchange(operation)
    token = _exchange.set(exchange)
    try:
        value = await request
    except (TwilioException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RequestFailedError(operation, _refusal(exchange.answer)) from error
    finally:
        _exchange.reset(token)
    return value, exchange.answer or Answer(status=0)


def _refusal(answer: Answer | None) -> Answer:
    if answer is None:  # the library itself refused the arguments: nothing was sent
        return Answer(status=_REFUSED)
    return answer if answer.status >= _REFUSED else msgspec.structs.replace(answer, readable=False)


class Transport(AsyncTwilioHttpClient):
    """One pooled session of one account. To be made and closed inside the running loop.

    `api_url` replaces scheme, host and port of every product's URL, and may carry a path prefix; None is Twilio itself.
    """

    def __init__(self, api_url: str | None, timeouts: Timeouts, connections: int) -> None:
        super().__init__(pool_connections=False)
        self._base = None if api_url is None else api_url.rstrip("/")
        self._timeouts = timeouts
        self.session: aiohttp.ClientSession = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ttl_dns_cache=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=timeouts.total_s, connect=timeouts.connect_s, sock_connect=timeouts.connect_s
            ),
            trust_env=False,
        )

    async def request(  # type: ignore[override]  # the library's base class is the synchronous one
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the library's; the session has ours
        allow_redirects: bool = False,  # noqa: ARG002, FBT001, FBT002 - never: a redirected POST loses its form
    ) -> Response:
        """One request, sent at most once. Raises `RequestFailedError` when no answer came."""
        exchange = _exchange.get() or _Exchange("other")
        sent = dict(headers or {}) if auth is None else {**(headers or {}), hdrs.AUTHORIZATION: _basic(*auth)}
        if self._base is not None:
            sent[ORIGINAL_HOST] = urlsplit(url).netloc
        body = _form(data) if data else None
        outcome = "cancelled"
        started = time.perf_counter()
        sending = _sending.get()
        try:
            _require_time(sending)
            response = await self._exchanged(method, self._target(url, params), body, sent)
            exchange.answer = _answer_of(response)
            outcome = _class_of(response.status_code)
            return response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            silence = _heard_of(error, sending)
            outcome = silence.cause
            raise RequestFailedError(exchange.operation, silence) from error
        finally:
            if sending is not None and outcome not in _UNWRITTEN:
                sending.begun = True
            TWILIO_REQUESTS.labels(exchange.operation, outcome).inc()
            TWILIO_SECONDS.labels(exchange.operation).observe(time.perf_counter() - started)

    async def _exchanged(self, method: str, target: URL, body: bytes | None, headers: Mapping[str, str]) -> Response:
        async with self.session.request(
            method.upper(), target, data=body, headers=headers, allow_redirects=False, timeout=self._patience()
        ) as response:
            text = (await response.read()).decode(errors="replace")  # JSON is UTF-8; of other bodies nothing is read
            return Response(response.status, text, response.headers)

    def _patience(self) -> aiohttp.ClientTimeout:
        """The usual times; for getting a connection no longer than until the request must have begun."""
        connect_s, sending = self._timeouts.connect_s, _sending.get()
        if sending is not None:
            connect_s = max(0.001, min(connect_s, sending.until_s - asyncio.get_running_loop().time()))
        return aiohttp.ClientTimeout(total=self._timeouts.total_s, connect=connect_s, sock_connect=connect_s)

    def _target(self, url: str, params: Mapping[str, object] | None) -> URL:
        """The URL as it goes on the wire: rewritten, its path escaped, which the library leaves raw, its query once."""
        parts = urlsplit(url)
        start = self._base if self._base is not None else f"{parts.scheme}://{parts.netloc}"
        query = "&".join(filter(None, (parts.query, urlencode(params, doseq=True) if params else "")))
        path = URL(f"{start}{parts.path}")
        return URL(f"{path}?{query}", encoded=True) if query else path


class _TooLateError(OSError):
    """The time in which the request had to begin is over."""


_UNWRITTEN = frozenset({"connect_timeout", "dns", "tls", "connect", "url", TOO_LATE})
"""Causes of silence with which nothing has been written."""


def _require_time(sending: _Sending | None) -> None:
    if sending is not None and asyncio.get_running_loop().time() > sending.until_s:
        raise _TooLateError


def _heard_of(error: Exception, sending: _Sending | None) -> Silence:
    silence = silence_of(error)
    if sending is None or not sending.begun or silence.written:
        return silence
    return msgspec.structs.replace(silence, written=True)


def silence_of(error: Exception) -> Silence:
    """The class of a network error: nothing is written before the connection stands, anything may be after that.

    aiohttp wraps everything up to the TLS handshake in connector errors and its own connection timeout.
    """
    match error:
        case _TooLateError():
            return Silence(cause=TOO_LATE, written=False)
        case aiohttp.ConnectionTimeoutError():
            return Silence(cause="connect_timeout", written=False)
        case aiohttp.ClientConnectorDNSError():
            return Silence(cause="dns", written=False)
        case aiohttp.ClientSSLError():
            return Silence(cause="tls", written=False)
        case aiohttp.ClientConnectorError():
            return Silence(cause="connect", written=False)
        case aiohttp.InvalidURL():
            return Silence(cause="url", written=False)
        case TimeoutError():
            return Silence(cause="timeout", written=True)
        case _:
            return Silence(cause="reset", written=True)


class _ErrorBody(msgspec.Struct, frozen=True):
    """What both of Twilio's error formats share (twilio-facts.md 3.1)."""

    code: int | None = None


def _answer_of(response: Response) -> Answer:
    headers: Mapping[str, str] = response.headers or {}
    status = response.status_code
    return Answer(
        status=status,
        code=_code_of(response.text) if status >= _REFUSED else None,
        retry_after_s=_seconds(headers.get(hdrs.RETRY_AFTER)),
        request_id=headers.get("Twilio-Request-Id"),
        etag=headers.get(hdrs.ETAG),
    )


def _code_of(body: str) -> int | None:
    """Twilio's error code, None for an HTML or empty body, as gateways send them."""
    try:
        return msgspec.json.decode(body, type=_ErrorBody).code
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds; its date form is not used by Twilio and not read."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _class_of(status: int) -> str:
    return str(_LIMITED) if status == _LIMITED else f"{status // 100}xx"


def _form(data: Mapping[str, object]) -> bytes:
    """What `urlencode(data, doseq=True)` makes of it; names, and values that come again, are quoted once."""
    pairs: list[str] = []
    for name, value in data.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            text = str(one)
            pairs.append(f"{_quoted(name)}={_quoted(text) if len(text) <= _SHORT else quote_plus(text)}")
    return "&".join(pairs).encode()


_quoted = lru_cache(2048)(quote_plus)


@lru_cache(64)
def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
