"""The in-memory log, which also remembers in what order records of different partitions were written."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from cordboard.errors import LogError
from cordboard.log.faults import Operation
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from schemas.topics import Topic


class OrderedLog(MemoryLog):
    """`MemoryLog` with a number for every record: the lower one was there first. Partitions can be away."""

    parted = False
    away: Counter[int]
    """How many reasons there are for each partition to take nothing; -1 is for all."""

    @property
    def fails_as_one(self) -> bool:
        """See `Log`."""
        return not self.parted

    async def _write(
        self, on: Operation, topic: Topic, entries: Sequence[Entry], usual: type[LogError], token: int | None = None
    ) -> int:
        if self.away[-1] or any(self.away[entry.partition] for entry in entries):
            await asyncio.sleep(0)
            raise usual(f"simulated: {topic.value} is away")
        return await super()._write(on, topic, entries, usual, token)

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
