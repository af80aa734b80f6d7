"""The newest records of every partition of the journal, in memory: what is read right after it was written.

A bounded copy; the file is the truth. Readers that are further behind go to the file.
"""

from collections.abc import Sequence

from cordboard.log.port import Record

_MIN_BUDGET_BYTES = 64 * 1024


class Tail:
    """The newest records of one partition, without a gap, at most `budget` bytes or so."""

    __slots__ = ("_budget", "_records", "_sizes", "_total", "base")

    def __init__(self, end: int, budget: int) -> None:
        self.base = end
        """Offset of the oldest record that is here."""
        self._budget = max(budget, _MIN_BUDGET_BYTES)
        self._records: list[Record] = []
        self._sizes: list[int] = []
        self._total = 0

    def add(self, record: Record) -> None:
        """Append the next record; drop a good part of the oldest when there is too much."""
        size = 200 + len(record.key or b"") + len(record.value or b"")
        self._records.append(record)
        self._sizes.append(size)
        self._total += size
        if self._total > self._budget:
            self._shrink()

    def read(self, start: int, limit: int) -> Sequence[Record] | None:
        """Records from `start` on, None when that is older than what is here."""
        first = start - self.base
        return None if first < 0 else self._records[first : first + limit]

    def _shrink(self) -> None:
        dropped = 0
        while self._total > self._budget // 2 and dropped < len(self._records):
            self._total -= self._sizes[dropped]
            dropped += 1
        del self._records[:dropped]
        del self._sizes[:dropped]
        self.base += dropped
