"""What the ownership loop asks of the engine and of the action workers, and what it says about itself."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from cordboard.log.port import FencedPartition, Record, Subscription


class Owned(Protocol):
    """The work of one partition for as long as we own it. Made anew for every claim."""

    async def restore(self, fenced: FencedPartition) -> int | None:
        """Replay, re-publish what is unconfirmed, and return the next offset of the source topic that is not covered.

        None when nothing was covered: the group's committed offset is taken, else the earliest. A committed offset
        beyond the one returned is a floor that an operator has set (or records that left no trace), and wins.
        """
        ...

    async def handle(self, records: Sequence[Record]) -> None:
        """Take source records in offset order. Returns when they are durably taken (or accepted into a bounded queue).

        Raises `AppendFailedError`: this object is then discarded and the partition taken anew.
        """
        ...

    def covered(self) -> int | None:
        """The next source offset that a successor would have to see: what may be committed as the floor."""
        ...

    async def release(self) -> None:
        """Finish or abandon what is in flight, within 2 s. After it no effect may leave this object.

        Called exactly once, also after a failure and when `restore` did not come to its end.
        """
        ...


@runtime_checkable
class Watched(Protocol):
    """What an `Owned` with work of its own in the background (timers, queues) offers in addition."""

    async def watch(self) -> None:
        """Wait until background work fails and raise that: it then counts as if `handle` had raised it."""
        ...


class OwnerStatus(msgspec.Struct, frozen=True):
    """For `/readyz` and metrics: partitions assigned, those live (restored), and source records not handled yet.

    `failed` has a reason for each partition that is assigned, not live, and not merely being restored. The last three
    are totals since the start: partitions taken, failures of any kind, and how many of those were fences. `joined`: the
    group counts us as a member; before that, having no partition says nothing.
    """

    assigned: tuple[int, ...]
    live: tuple[int, ...]
    lag: int
    failed: tuple[tuple[int, str], ...] = ()
    takes: int = 0
    failures: int = 0
    fences: int = 0
    joined: bool = True


def has_joined(subscription: "asyncio.Future[Subscription] | None") -> bool:
    """Whether the group counts the subscriber as a member."""
    if subscription is None or not subscription.done() or subscription.cancelled():
        return False
    return subscription.result().member().generation >= 0


class OwnerTotals(msgspec.Struct):
    """What an owner counts, for as long as it runs."""

    takes: int = 0
    failures: int = 0
    fences: int = 0


class OwnerLimits(msgspec.Struct, frozen=True):
    """Bounds of the loop; times in seconds.

    A partition is paused at `backlog` records that it has not begun to handle, and resumed at half of that. Claims are
    renewed now and then, because brokers forget a producer that has been idle for a day (reliability.md 2.3).
    """

    backlog: int = 1000
    batch: int = 500
    poll_s: float = 0.2
    commit_every_s: float = 3.0
    drain_s: float = 2.0
    retry_min_s: float = 0.2
    retry_max_s: float = 15.0
    rejoin_after_s: float = 3.0
    rejoin_max_s: float = 60.0
    renew_every_s: float = 43_200.0
    takes_at_once: int = 8
