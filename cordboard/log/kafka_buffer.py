"""What a consumer has brought and nobody has polled for yet."""

from collections.abc import Collection, Sequence

from cordboard.log.port import Record


class Buffer:
    """Records by partition, each partition's in order."""

    def __init__(self) -> None:
        self._records: dict[int, list[Record]] = {}

    def partitions(self) -> set[int]:
        """Those of which something is here."""
        return set(self._records)

    def add(self, partition: int, records: Sequence[Record]) -> None:
        """Put behind what is here."""
        self._records.setdefault(partition, []).extend(records)

    def drop(self, partition: int) -> None:
        """Throw away what is here of one partition."""
        self._records.pop(partition, None)

    def clear(self) -> None:
        """Throw away everything."""
        self._records.clear()

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
