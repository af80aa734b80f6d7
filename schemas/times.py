"""Times as they are written: milliseconds since the epoch inside, RFC 3339 outside, RFC 2822 from Twilio."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def rfc3339(at_ms: int) -> str:
    """`at_ms` (milliseconds since the epoch) as RFC 3339 in UTC with milliseconds, `2026-11-21T10:00:00.000Z`."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> int:
    """RFC 3339 text as milliseconds since the epoch. Raises `ValueError`; a time without a zone is refused."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text[:40]!r} has no time zone: expected RFC 3339, such as 2026-11-21T10:00:00Z"
        raise ValueError(message)
    return int(moment.timestamp() * 1000)


def parse_rfc2822(text: str) -> int | None:
    """Twilio's `Timestamp` (`Wed, 02 Sep 2026 10:11:12 +0000`) as milliseconds since the epoch, None if it is not one."""
    try:
        return int(parsedate_to_datetime(text).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return None
