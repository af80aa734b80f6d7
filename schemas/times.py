"""Times as they are written: milliseconds since the epoch inside, RFC 3339 outside, RFC 2822 from Twilio."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated

import msgspec
from msgspec import Meta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def rfc3339(at_ms: int) -> str:
    """`at_ms` (milliseconds since the epoch) as RFC 3339 in UTC with milliseconds, `2026-11-21T10:00:00.000Z`."""
    moment = _EPOCH + at_ms * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> int:
    """RFC 3339 text as milliseconds since the epoch. Raises `ValueError`; a time without a zone is refused."""
    try:
        moment: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError:
        message = f"{text[:40]!r} is no time: expected RFC 3339 with a zone, such as 2026-11-21T10:00:00Z"
        raise ValueError(message) from None
    return (moment - _EPOCH) // _MILLISECOND


def parse_rfc2822(text: str) -> int | None:
    """Twilio's `Timestamp` (`Wed, 02 Sep 2026 10:11:12 +0000`) as milliseconds since the epoch, None if it is not one.

    A time without a zone is UTC, never this machine's zone.
    """
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND
