"""Whatever arrives, signed or not, is taken or refused: never a server error, never a hung connection."""

import asyncio
from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cordboard.log.memory import MemoryLog
from ingress.app import IngressConfig
from ingress.forms import joined, parse_form
from ingress.reading import FORM
from ingress.signature import compute_signature
from schemas.routes import Route
from signing_twilio import ACCOUNT, PUBLIC_URL, TOKEN, calling

TAKEN_OR_REFUSED = range(200, 500)

targets = st.sampled_from([route.value for route in Route]) | st.text(max_size=20).map(lambda text: "/" + text)
queries = st.sampled_from(
    ["", "?", "?call=c1", "?call=c1&leg=agent-1", "?call=%ff", "?say=%00", "?play=x", "?audio=%0d"]
)
FIELDS = [f"AccountSid={ACCOUNT}", "CallSid=CA" + "0" * 32, "CallStatus=ringing", "SequenceNumber=x", "From="]
pieces = st.sampled_from(["&", "%ff", "=", "&".join(FIELDS), *FIELDS])
bodies = st.lists(pieces.map(str.encode) | st.binary(max_size=10), max_size=12).map(b"".join)
types = st.sampled_from([FORM, "application/json", "multipart/form-data; boundary=x", "", "\x01", "a/b; c=é"])
methods = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE", "X"])
header_names = st.sampled_from(
    [
        "X-Twilio-Webhooks-Signature-Settings",
        "Transfer-Encoding",
        "Expect",
        "Upgrade",
        "Content-Encoding",
        "Cookie",
        "Host",
    ]
)
header_values = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)


def in_one_loop(config: IngressConfig, body: Callable[[Callable[[bytes], int]], None]) -> None:
    """Run `body` with a function that sends bytes to a fresh connection and gives the status of the answer."""
    with asyncio.Runner() as runner:
        context = calling(config, MemoryLog(partitions=2))
        twilio = runner.run(context.__aenter__())
        try:
            body(lambda request: runner.run(exchange(twilio.port, request)))
        finally:
            runner.run(context.__aexit__(None, None, None))


async def exchange(port: int, request: bytes) -> int:
    """The status of the answer, 0 for a connection closed without one. What is no request is followed by an end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(10):
        writer.write(request)
        if b"HTTP/1.1" not in request:
            writer.write_eof()
        line = await reader.readline()
        writer.close()
    return int(line.split()[1]) if line else 0


def request_of(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes on the wire; what cannot stand in a header line is escaped as it is."""
    lines = [f"{method} {target.replace(' ', '%20')} HTTP/1.1", "Host: h", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in {**headers, "Content-Length": str(len(body))}.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def test_unsigned(config: IngressConfig) -> None:
    """Any request with any headers and any body gets a refusal."""

    def body(send: Callable[[bytes], int]) -> None:
        @settings(max_examples=200)
        @given(methods, targets, queries, types, bodies, st.dictionaries(header_names, header_values))
        def anything(
            method: str, target: str, query: str, content_type: str, form: bytes, headers: dict[str, str]
        ) -> None:
            every = {**headers, "Content-Type": content_type, "X-Twilio-Signature": "x"}
            assert send(request_of(method, target + query, every, form)) in range(400, 500)

        anything()

    in_one_loop(config, body)


def test_signed(config: IngressConfig) -> None:
    """Any request that is signed, on any path with any body, is taken, set aside or refused."""
    seen = set()

    def body(send: Callable[[bytes], int]) -> None:
        @settings(max_examples=200)
        @given(methods | st.just("POST"), targets.filter(plain), queries, types | st.just(FORM), bodies)
        @example("POST", "/v1/voice/status", "", FORM, "&".join(FIELDS[:3]).encode())
        @example("POST", "/v1/voice/wait", "?call=c1", FORM, b"")
        @example("PUT", "/v1/voice/wait", "", "", b"")
        @example("POST", "/nothing", "", FORM, b"")
        def anything(method: str, target: str, query: str, content_type: str, form: bytes) -> None:
            is_form = content_type == FORM and method != "GET"
            signed = joined(parse_form(form)) if is_form else ""
            text = (PUBLIC_URL + target + query + signed).encode("utf-8", "surrogateescape")
            signature = compute_signature(TOKEN.encode(), text).decode()
            headers = {"Content-Type": content_type, "X-Twilio-Signature": signature}
            status = send(request_of(method, target + query, headers, form))
            assert status in TAKEN_OR_REFUSED
            seen.add(status)

        anything()

    in_one_loop(config, body)
    assert seen >= {200, 204, 404, 405}


def plain(target: str) -> bool:
    """Whether a target can stand in a request line as it is."""
    return target.isascii() and target.isprintable() and " " not in target


def test_not_http(config: IngressConfig) -> None:
    """Bytes that are no HTTP are answered 400 or cut off."""

    def body(send: Callable[[bytes], int]) -> None:
        @given(st.binary(min_size=1, max_size=60))
        def anything(junk: bytes) -> None:
            assert send(junk + b"\r\n\r\n") in {0, *range(400, 500)}

        anything()

    in_one_loop(config, body)
