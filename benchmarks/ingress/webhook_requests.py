"""Signed status callbacks of 25 fields, as they come over the wire: calls of four callbacks each, none like another."""

from collections.abc import Iterator
from urllib.parse import urlencode

from ingress.forms import joined
from ingress.signature import compute_signature

ACCOUNT = "AC" + "a" * 32
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up
PUBLIC_URL = "https://calls.example.com"
_STATUSES = ("initiated", "ringing", "in-progress", "completed")


def fields_of(number: int) -> dict[str, str]:
    """The form of the `number`-th callback."""
    call, step = divmod(number, len(_STATUSES))
    caller = f"+1415{call % 10_000_000:07d}"
    return {
        "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "CallbackSource": "call-progress-events",
        "CallSid": f"CA{call:032x}", "CallStatus": _STATUSES[step], "SequenceNumber": str(step), "CallDuration": "28",
        "Timestamp": f"Mon, 22 Aug 2022 11:{call // 60 % 60:02d}:{call % 60:02d} +0000", "Direction": "inbound",
        "Called": "+15550100007", "CalledCity": "", "CalledState": "AL", "CalledZip": "", "CalledCountry": "US",
        "Caller": caller, "CallerCity": "SAN RAFAEL", "CallerState": "CA", "CallerZip": "94903", "CallerCountry": "US",
        "From": caller, "FromCity": "SAN RAFAEL", "FromState": "CA", "To": "+15550100007", "ToState": "AL",
        "ToCountry": "US",
    }  # fmt: skip


def request_of(number: int) -> bytes:
    """One request with the headers that Twilio sends."""
    fields = fields_of(number)
    target = f"/v1/voice/status?call={fields['CallSid']}&leg=customer-1"
    text = PUBLIC_URL + target + joined(list(fields.items()))
    signature = compute_signature(TOKEN.encode(), text.encode()).decode()
    body = urlencode(fields).encode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: calls.example.com\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nCache-Control: max-age=259200\r\n"
        f"I-Twilio-Idempotency-Token: 4f2e8fd5-6bb0-4e8e-840e-{number:012x}\r\nX-Home-Region: us1\r\n"
        f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def requests(count: int, begin: int) -> Iterator[bytes]:
    """`count` requests from the `begin`-th on."""
    return (request_of(number) for number in range(begin, begin + count))
