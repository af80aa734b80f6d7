"""How fast one account may be asked: new legs per second, and requests at once. Pure values that are told the time.

Twilio queues calls above the account's rate, for up to a day, so that one may ring long after it stopped making sense
(reliability.md 3.1); and it answers 429 by the number of requests at once (twilio-facts.md 3.6).
"""

import msgspec

HEADROOM = 0.9
"""Share of the configured rate that is used (reliability.md 3.4)."""

_RECOVERY_MS = 1000


class Pace(msgspec.Struct, frozen=True):
    """A token bucket with room for one token: new legs begin at least `interval_ms` apart; 0 is no pacing."""

    interval_ms: float = 0.0
    free_at_ms: float = 0.0

    def reserve(self, now_ms: float, deadline_ms: float) -> "tuple[Pace, float] | None":
        """The bucket after one leg more and when that may begin; None if that were after `deadline_ms`."""
        begin = max(now_ms, self.free_at_ms)
        if begin > deadline_ms:
            return None
        return msgspec.structs.replace(self, free_at_ms=begin + self.interval_ms), begin


def pace_of(calls_per_second: float) -> Pace:
    """The pace for a rate that Twilio has granted."""
    return Pace(interval_ms=1000 / (calls_per_second * HEADROOM) if calls_per_second > 0 else 0.0)


class Concurrency(msgspec.Struct, frozen=True):
    """Requests at once: halved by a 429, at most once a second, and won back by one per `limit` answers."""

    ceiling: int
    limit: float
    halved_at_ms: float = float("-inf")

    def allows(self, in_flight: int) -> bool:
        """Whether one more may go."""
        return in_flight < int(self.limit)

    def answered(self) -> "Concurrency":
        """After an answer that was no 429."""
        return msgspec.structs.replace(self, limit=min(float(self.ceiling), self.limit + 1 / self.limit))

    def limited(self, now_ms: float) -> "Concurrency":
        """After a 429. Those that were on their way when the first one came say nothing new."""
        if now_ms - self.halved_at_ms < _RECOVERY_MS:
            return self
        return msgspec.structs.replace(self, limit=max(1.0, self.limit / 2), halved_at_ms=now_ms)


def concurrency_of(ceiling: int) -> Concurrency:
    """Begin at the ceiling."""
    return Concurrency(ceiling=ceiling, limit=float(ceiling))
