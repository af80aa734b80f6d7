"""Twilio's error codes that a worker must tell apart, and the short words that reports carry. Pure tables.

Source: twilio-facts.md 3.7 and https://www.twilio.com/docs/api/errors.
"""

NOT_FOUND = 404
LIMITED = 429
SERVER_ERROR = 500

RESOURCE_NOT_FOUND = 20404
TOO_MANY_REQUESTS = 20429
NOT_IN_PROGRESS = 21220
NO_SUCH_CONFERENCE = 16022
NOT_BRIDGED = 16001
UNEXPECTED_STATUS = 16099

LABEL_TAKEN = frozenset({16025, 16026})
"""The label is held by an active participant. Leg ids are never used twice, so it is ours, from an earlier attempt."""

GONE = frozenset({RESOURCE_NOT_FOUND, NO_SUCH_CONFERENCE, NOT_BRIDGED, NOT_IN_PROGRESS})
"""What was to end has already ended."""

BUSY_RESOURCE = frozenset({15009, 20162, 20409})
"""The resource is being changed or asks to be tried again; the request was not carried out."""

REASONS: dict[int, str] = {
    **dict.fromkeys((13223, 13224, 21201, 21211, 21214, 21217), "invalid_number"),
    **dict.fromkeys((21210, 21212, 21213), "invalid_caller_id"),
    **dict.fromkeys((13225, 13227, 20006, 20008, 20403, 21202, 21203, 21215, 21216, 21219, 16000), "forbidden"),
    **dict.fromkeys((20003, 20005, 10001), "authentication"),
    **dict.fromkeys((10004, 16020, 16021, 22001, 22005), "capacity"),
    **dict.fromkeys((NO_SUCH_CONFERENCE, RESOURCE_NOT_FOUND, NOT_BRIDGED), "not_found"),
    16027: "coached_on_hold",
    16028: "not_in_conference",
    **dict.fromkeys((NOT_IN_PROGRESS, UNEXPECTED_STATUS), "wrong_state"),
    TOO_MANY_REQUESTS: "rate_limited",
}

STATUS_REASONS: dict[int, str] = {
    401: "authentication",
    403: "forbidden",
    NOT_FOUND: "not_found",
    410: "not_found",
}


def reason_of(status: int, code: int | None) -> str:
    """The short word for a refusal: by Twilio's code, else by the HTTP status, else `invalid`."""
    return REASONS.get(code or 0) or STATUS_REASONS.get(status, "invalid")
