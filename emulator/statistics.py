"""What was done since the start, counted in fixed memory: calls, requests made, REST requests taken.

The journals forget; these do not. Counts and buckets only grow, so that two readings subtract.
"""

from collections.abc import Hashable, Mapping
from math import ceil, log
from typing import TypeVar

import msgspec

KeyT = TypeVar("KeyT", bound=Hashable)

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
    latencies: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.count += 1
        number = bucket(seconds)
        self.latencies[number] = self.latencies.get(number, 0) + 1

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(self.count - other.count, since(self.latencies, other.latencies))

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

    calls: dict[str, int] = {}
    requests: dict[str, Tally] = msgspec.field(default_factory=dict)
    """Callbacks and documents that the emulator asked for; the outcome is an HTTP status or ``failed``."""
    rest: dict[str, Tally] = msgspec.field(default_factory=dict)

    def called(self, direction: str, what: str) -> None:
        """Count a call that has begun or has ended in a status."""
        key = f"{direction} {what}"
        self.calls[key] = self.calls.get(key, 0) + 1

    def requested(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a callback or a document with all its attempts."""
        _tally(self.requests, f"{kind} {outcome}").add(seconds)

    def asked(self, method: str, status: int, seconds: float) -> None:
        """Count a REST request."""
        _tally(self.rest, f"{method} {status}").add(seconds)

    def __sub__(self, other: "Statistics") -> "Statistics":
        """Return what was counted since the ``other`` reading."""
        return Statistics(
            since(self.calls, other.calls), _less(self.requests, other.requests), _less(self.rest, other.rest)
        )


def since(now: Mapping[KeyT, int], before: Mapping[KeyT, int]) -> dict[KeyT, int]:
    """Return what was counted between two readings."""
    return {key: count - before.get(key, 0) for key, count in now.items() if count > before.get(key, 0)}


def _tally(tallies: dict[str, Tally], key: str) -> Tally:
    tally = tallies.get(key)
    if tally is None:
        tally = tallies[key] = Tally()
    return tally


def _less(now: dict[str, Tally], before: dict[str, Tally]) -> dict[str, Tally]:
    rests = {key: tally - before.get(key, Tally()) for key, tally in now.items()}
    return {key: tally for key, tally in rests.items() if tally.count}
