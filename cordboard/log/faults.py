"""Faults as data: what shall go wrong in the in-memory log, written down by a test before it happens.

A `Fault` waits for the operations that it matches and strikes at the nth of them. Nothing here knows chance or time:
the same script over the same operations gives the same run. Real logs get theirs by real means (a proxy, a signal).
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec

from cordboard.errors import LogError
from schemas.topics import Topic


class Operation(StrEnum):
    """What a fault can strike."""

    PUBLISH = "publish"
    APPEND = "append"
    CLAIM = "claim"
    REPLAY = "replay"
    COMMIT = "commit"
    CHECK = "check"


class Point(StrEnum):
    """Where a hook is called: before anything is written, or after it was and before the caller hears of it."""

    BEFORE = "before"
    AFTER = "after"


class Fault(msgspec.Struct, frozen=True):
    """The next operations that match fail: the `nth` one from when the fault was added, and `times` in all.

    `topic` and `partition` None match any. `written` says whether the records are in the log all the same, as when only
    the acknowledgement was lost. `error` None is the operation's own usual error.
    """

    on: Operation
    topic: Topic | None = None
    partition: int | None = None
    nth: int = 1
    times: int = 1
    written: bool = False
    error: type[LogError] | None = None

    def matches(self, on: Operation, topic: Topic | None, partitions: frozenset[int]) -> bool:
        """Whether an operation on these partitions of a topic is one that this fault waits for."""
        return (
            on is self.on
            and (self.topic is None or self.topic is topic)
            and (self.partition is None or self.partition in partitions)
        )


Hook = Callable[[Operation, Point, Topic, int], Awaitable[None]]
"""Called at every point of every publish, append and claim. May wait, or raise to die right there."""


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.until = fault.nth
        self.left = fault.times


class Faults:
    """The script of one log: faults to come, and those that have struck."""

    def __init__(self) -> None:
        self.hook: Hook | None = None
        self.struck: list[Fault] = []
        self._armed: list[_Armed] = []
        self._again: dict[tuple[Topic, int], int] = {}

    def add(self, *faults: Fault) -> None:
        """Arm faults; each counts matching operations from now on."""
        self._armed.extend(_Armed(fault) for fault in faults)

    def pending(self) -> list[Fault]:
        """Faults that have not struck as often as they were to: a test that leaves some has not tested them."""
        return [armed.fault for armed in self._armed]

    def deliver_again(self, topic: Topic, partition: int, times: int = 1) -> None:
        """Publish the next entry of this partition `times` more: what a lost acknowledgement and a retry leave."""
        self._again[topic, partition] = self._again.get((topic, partition), 0) + times

    def take_copies(self, topic: Topic, partition: int) -> int:
        """How often the entry being written is to be in the log."""
        return 1 + self._again.pop((topic, partition), 0)

    def strike(self, on: Operation, topic: Topic | None, partitions: frozenset[int]) -> Fault | None:
        """The fault that this operation meets, if any. Counts the operation for every fault that matches it."""
        due: _Armed | None = None
        for armed in self._armed:
            if armed.fault.matches(on, topic, partitions):
                armed.until -= 1
                if due is None and armed.until <= 0:
                    due = armed
        if due is None:
            return None
        due.left -= 1
        if not due.left:
            self._armed.remove(due)
        self.struck.append(due.fault)
        return due.fault
