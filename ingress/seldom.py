"""Log lines that anybody on the internet can cause, kept few: the rest is counted, and told in the next one."""

from collections.abc import Callable

LINES_PER_SECOND = 10


class Seldom:
    """At most `LINES_PER_SECOND` lines in each second of `seconds` (a monotonic clock)."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._second = -1
        self._lines = 0
        self._left_out = 0

    def next(self) -> int | None:
        """How many lines were left out since the last one; None when this one is to be left out too."""
        second = int(self._seconds())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_PER_SECOND:
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return left_out
