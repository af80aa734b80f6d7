"""The in-memory log, which also remembers in what order records of different partitions were written."""

from cordboard.log.faults import Operation
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from schemas.topics import Topic


class OrderedLog(MemoryLog):
    """`MemoryLog` with a number for every record: the lower one was there first."""

    order: dict[tuple[Topic, int, int], int]

    def _store(self, on: Operation, topic: Topic, entry: Entry) -> int:
        if not hasattr(self, "order"):
            self.order = {}
        last = super()._store(on, topic, entry)
        self.order.setdefault((topic, entry.partition, last), len(self.order))
        return last

    def place(self, topic: Topic, partition: int, offset: int) -> int:
        """The number of a record; one that was delivered again has that of its last copy."""
        return next(
            self.order[topic, partition, o] for o in range(offset, offset + 9) if (topic, partition, o) in self.order
        )
