"""What was done since the start, counted in fixed memory: calls, requests made, REST requests taken.

The journals forget; these do not. Counts and buckets only grow, so that two readings subtract.
"""

from collections import Counter
from math import ceil, log

import msgspec

GROWTH = 1.05
"""Each bucket of latencies ends 5 % above the one before: percentiles are exact to that."""
SMALLEST_S = 1e-4
_STEP = log(GROWTH)


def bucket(seconds: float) -> int:
    """Return the bucket of a latency; 0 holds everything up to 0.1 ms."""
    return 0 if seconds <= SMALLEST_S else ceil(log(seconds / SMALLEST_S) / _STEP)


def upper_end_s(number: int) -> float:
    """Return the longest latency of a bucket, seconds."""
    return SMALLEST_S * float(GROWTH**number)


class Tally(msgspec.Struct):
    """Requests of one kind with one outcome, and their latencies by bucket (real seconds, see ``upper_end_s``)."""

    count: int = 0
    latencies: Counter[int] = msgspec.field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.count += 1
        self.latencies[bucket(seconds)] += 1

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.count + other.count, self.latencies + other.latencies)

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(self.count - other.count, self.latencies - other.latencies)

    def percentile_s(self, percent: float) -> float | None:
        """Return the latency that so many percent do not exceed, to 5 %; None without requests."""
        wanted, seen = self.count * percent / 100, 0
        for number in sorted(self.latencies):
            seen += self.latencies[number]
            if seen >= wanted:
                return upper_end_s(number)
        return None


class Statistics(msgspec.Struct):
    """The counts. Keys are ``direction status`` (``inbound begun``), ``kind outcome``, ``method status``."""

    calls: Counter[str] = msgspec.field(default_factory=Counter)
    requests: dict[str, Tally] = msgspec.field(default_factory=dict)
    """Callbacks and documents that the emulator asked for; the outcome is an HTTP status or ``failed``."""
    rest: dict[str, Tally] = msgspec.field(default_factory=dict)

    def requested(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a callback or a document with all its attempts."""
        _tally(self.requests, f"{kind} {outcome}").add(seconds)

    def asked(self, method: str, status: int, seconds: float) -> None:
        """Count a REST request."""
        _tally(self.rest, f"{method} {status}").add(seconds)

    def __sub__(self, other: "Statistics") -> "Statistics":
        return Statistics(self.calls - other.calls, *(_less(getattr(self, name), getattr(other, name)) for name in _OF))


_OF = ("requests", "rest")


def _tally(tallies: dict[str, Tally], key: str) -> Tally:
    tally = tallies.get(key)
    if tally is None:
        tally = tallies[key] = Tally()
    return tally


def _less(now: dict[str, Tally], before: dict[str, Tally]) -> dict[str, Tally]:
    rests = {key: tally - before.get(key, Tally()) for key, tally in now.items()}
    return {key: tally for key, tally in rests.items() if tally.count}
