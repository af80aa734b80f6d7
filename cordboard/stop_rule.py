"""When dead letters are too many: then the fault is ours, and a partition stands still rather than empty itself."""

from collections import deque

import msgspec

from cordboard.errors import CordboardError


class TooManyDeadLettersError(CordboardError):
    """The partition stands still: so many dead letters point at a fault of ours, not of the records."""


class StopPolicy(msgspec.Struct, frozen=True):
    """When dead letters stop a partition: `in_a_row`, or a `share` of a window's records, but no fewer than `at_least`.

    Without `at_least` the first bad record in a quiet minute would be "more than 1 %" (reliability.md 2.7).
    """

    in_a_row: int = 50
    share: float = 0.01
    at_least: int = 50
    window_ms: int = 60_000


class StopRule:
    """Counts good and bad records of one partition and says when to stop. Told the time; survives a re-take."""

    def __init__(self, policy: StopPolicy | None = None) -> None:
        self._policy = policy or StopPolicy()
        self._row = 0
        self._good = self._bad = 0
        self._window: deque[tuple[int, int, int]] = deque()

    def passed(self, good: int, at_ms: int) -> None:
        """So many records were applied; there is a good one behind the last bad one."""
        self._row = 0
        self._note(good, 0, at_ms)

    def refusal(self, at_ms: int) -> str | None:
        """Why one more dead letter must not be taken, or None."""
        self._forget(at_ms)
        policy = self._policy
        if self._row >= policy.in_a_row:
            return f"{self._row} dead letters in a row (limit {policy.in_a_row})"
        seen = self._good + self._bad
        if self._bad >= policy.at_least and self._bad > policy.share * seen:
            return f"{self._bad} of {seen} records in {policy.window_ms // 1000} s were dead letters"
        return None

    def failed(self, at_ms: int) -> None:
        """One record became a dead letter."""
        self._row += 1
        self._note(0, 1, at_ms)

    def _note(self, good: int, bad: int, at_ms: int) -> None:
        self._good += good
        self._bad += bad
        self._window.append((at_ms, good, bad))
        self._forget(at_ms)

    def _forget(self, at_ms: int) -> None:
        while self._window and self._window[0][0] <= at_ms - self._policy.window_ms:
            _, good, bad = self._window.popleft()
            self._good -= good
            self._bad -= bad
