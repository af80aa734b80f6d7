"""What has come for a member and nobody has polled for yet, and which record of each partition comes next."""

from collections.abc import Collection, Sequence

from cordboard.log.port import Record


class Buffer:
    """Records by partition, each partition's in order and without a repeat."""

    def __init__(self) -> None:
        self._records: dict[int, list[Record]] = {}
        self._next: dict[int, int] = {}

    def partitions(self) -> set[int]:
        """Those of which something is here."""
        return set(self._records)

    def seek(self, partition: int, offset: int) -> None:
        """Throw away what is here of a partition, and go on at `offset`."""
        self._records.pop(partition, None)
        self._next[partition] = offset

    def add(self, partition: int, records: Sequence[Record]) -> None:
        """Put what was fetched behind what is here. Offsets may be left out: compaction and markers leave gaps."""
        self._records.setdefault(partition, []).extend(records)
        self._next[partition] = records[-1].offset + 1

    def follows(self, partition: int, records: Sequence[Record]) -> bool:
        """Whether these records are the very next ones of their partition, nothing in between."""
        return self._next.get(partition) == records[0].offset

    def clear(self) -> None:
        """Throw away everything, positions too."""
        self._records.clear()
        self._next.clear()

    def take(self, paused: Collection[int], max_records: int) -> dict[int, Sequence[Record]]:
        """At most `max_records` of those that are not paused, oldest first; they are here no longer."""
        found: dict[int, Sequence[Record]] = {}
        for partition in [p for p in self._records if p not in paused]:
            if max_records <= 0:
                break
            records = self._records.pop(partition)
            found[partition] = records[:max_records]
            if len(records) > max_records:
                self._records[partition] = records[max_records:]
            max_records -= len(found[partition])
        return found
