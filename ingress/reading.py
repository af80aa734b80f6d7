"""A request on Twilio's side, read within bounds and parsed, not yet believed (reliability.md 4.3).

What it refuses is no form of Twilio's. Whether Twilio sent it is `signature.py`'s question, what it means
`webhooks.py`'s.
"""

import asyncio

from aiohttp import hdrs, web

from ingress.forms import TooManyFieldsError, parse_form, parse_text, readable, signed_and_readable
from ingress.signature import check_body

MAX_BODY_BYTES = 65_536
FORM = "application/x-www-form-urlencoded"
TWILIOS_FORM = FORM + "; charset=UTF-8"


class RefusedError(Exception):
    """A request that is answered with `status` and leaves no record. `reason` is the metric's label."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Incoming:
    """One request: its raw target, its body as it came, the fields that Twilio signs besides the URL, and all fields.

    `signed_fields` is the form as it is signed: empty for GET, whose fields stand in the URL, and for what is no form.
    `fields` are Twilio's: the form, or the query of a GET.
    """

    def __init__(self, method: str, target: str, body: bytes, *, is_form: bool) -> None:
        self.method = method
        self.target = target
        self.path, _, query = target.partition("?")
        self.query = readable(parse_text(query)) if query else {}
        self.body = body
        self.is_form = is_form
        if method == "GET":
            self.signed_fields, self.fields = "", self.query
        else:
            self.signed_fields, self.fields = signed_and_readable(parse_form(body) if is_form else [])

    @property
    def body_is_signed(self) -> bool:
        """Whether the signature covers the body: a form's fields do, any other by its hash in the signed query."""
        if self.is_form:
            return True
        expected = self.query.get("bodySHA256")
        return expected is not None and check_body(self.body, expected)


async def read_request(request: web.BaseRequest, timeout_s: float) -> Incoming:
    """The request with its body. Raises `RefusedError` for one that is too large, too slow or packed."""
    body = await read_body(request, timeout_s)
    is_form = request.headers.get(hdrs.CONTENT_TYPE) == TWILIOS_FORM or request.content_type == FORM or not body
    try:
        return Incoming(request.method, request.raw_path, body, is_form=is_form)
    except TooManyFieldsError as error:
        raise RefusedError(413, "fields") from error


async def read_body(request: web.BaseRequest, timeout_s: float) -> bytes:
    """At most `MAX_BODY_BYTES`. Raises `RefusedError` (`encoding`, `size`, `slow_body`, `gone`)."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise RefusedError(415, "encoding")
    try:
        if request.content.is_eof():
            return _bounded(request.content.read_nowait())
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise RefusedError(413, "size")
        async with asyncio.timeout(timeout_s):
            return _bounded(await request.read())
    except web.HTTPRequestEntityTooLarge as error:
        raise RefusedError(413, "size") from error
    except TimeoutError as error:
        raise RefusedError(408, "slow_body") from error
    except ConnectionResetError as error:
        raise RefusedError(400, "gone") from error


def _bounded(body: bytes) -> bytes:
    """The server that carries the request may allow more than we do."""
    if len(body) > MAX_BODY_BYTES:
        raise RefusedError(413, "size")
    return body
