"""The mark of a call that misses something: a part of its state (`schemas.state`)."""

import msgspec


class Quarantine(msgspec.Struct, frozen=True, gc=False):
    """A record of the call became a dead letter: what it said is missing in the state. `records`: how many so far.

    `record`, `reason` and `at` are of the last one; `at` is the record's own time, ms.
    """

    record: str
    reason: str
    at: int
    records: int = 1
