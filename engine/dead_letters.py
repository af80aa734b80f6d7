"""Records that cannot be applied: put aside with their bytes. When there are too many: `cordboard.stop_rule`."""

from enum import StrEnum

from cordboard.log.port import MAX_RECORD_BYTES, Entry, Headers, Record

_DETAIL_BYTES = 500
_MAX_VALUE = MAX_RECORD_BYTES - 4_000


class Reason(StrEnum):
    """Why a record is a dead letter, as its header `reason` says."""

    UNDECODABLE = "undecodable"
    POISON = "poison"
    MISROUTED = "misrouted"
    TOO_LARGE = "too_large"
    UNPLACED = "unplaced"
    INVALID = "invalid"


def dead_letter(record: Record, reason: Reason, detail: str, *, value: bytes | None = None) -> Entry:
    """The dead letter of a record: its bytes and key, why, and where it was. `value` stands in for other bytes."""
    body = (record.value or b"") if value is None else value
    headers: Headers = (
        ("reason", reason.value.encode()),
        ("detail", detail.encode("utf-8", "replace")[:_DETAIL_BYTES]),
        ("source_topic", record.topic.value.encode()),
        ("source_partition", str(record.partition).encode()),
        ("source_offset", str(record.offset).encode()),
    )
    if len(body) > _MAX_VALUE:
        body, headers = body[:_MAX_VALUE], (*headers, ("truncated_from", str(len(body)).encode()))
    return Entry(record.partition, record.key or b"", body, headers)
