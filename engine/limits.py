"""The bounds of the engine's shell, in one place: how much at once, how long, how often."""

import msgspec


class EngineLimits(msgspec.Struct, frozen=True):
    """Times in seconds, sizes in bytes.

    A batch ends at `batch_records`, at `batch_bytes` of state records, or with a state record over `big_record_bytes`
    (its outbox grows with every record of the same call in one batch). `recent_calls` are kept decoded, per partition.
    A timer or a parked record that was put into the inbox and not applied is put there again after `refire_s`.
    `session_timeout_s` is the consumer group's: an event loop that stood still for half of it must not append
    (reliability.md 2.3, self-fencing). `position_every_s`: an idle partition writes so often, or the broker forgets its
    producer id. `release_s` is less than what the owner grants.
    """

    batch_records: int = 500
    batch_bytes: int = 4_000_000
    big_record_bytes: int = 256_000
    recent_calls: int = 32
    parked_records: int = 10_000
    tick_s: float = 1.0
    refire_s: float = 15.0
    position_every_s: float = 600.0
    session_timeout_s: float = 10.0
    release_s: float = 1.5
    retry_min_s: float = 0.05
    retry_max_s: float = 5.0
