"""The port to the log: topics, partitions, offsets and owners, in Kafka's words.

Three adapters implement it and pass one contract suite (`tests/contract/log`): the SQLite journal, Kafka, and an
in-memory log with scripted faults. Nothing here knows calls or Twilio; what the bytes mean is `schemas`' business.

Rules that every adapter keeps:

* An offset is the position of one record; "next offset" is always the next one to read.
* `publish` and `append` return only when the records are durable. Entries given in one call keep their order within a
  partition. A failure leaves it open whether they are in the log: publish again with the same record id, or, for an
  append, discard the writer and claim anew.
* Topic names are bare (`Topic`); the adapter adds the configured prefix.
* Fenced topics (`schemas.topics.POLICIES`) are written through `claim` only; `publish` refuses them.
* A claim is written in the log itself: after `claim` returns, no append of an earlier owner of that partition can
  succeed, and `replay` yields everything that was accepted before (reliability.md 2.3).
"""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from cordboard.errors import LogError
from schemas.topics import Topic

Headers = tuple[tuple[str, bytes], ...]

MAX_RECORD_BYTES = 1_000_000
"""Key, value and headers of one record: below `max.message.bytes` with room for the batch's own framing."""


class RecordTooLargeError(LogError):
    """A record is larger than the topic takes. Publishing it again cannot help: it belongs in the dead letters."""


class PositionLostError(LogError):
    """The position of a partition is outside what the log holds: records were deleted unread, or the log was cut.

    The partition is paused, the others go on. Reading on without a word would hide a loss (reliability.md 1.4, T11).
    """

    def __init__(self, topic: Topic, partition: int, position: int, detail: str) -> None:
        super().__init__(
            f"{topic.value}[{partition}]: offset {position} is not in the log ({detail}). Records were lost between "
            "the last run and now. After checking, set the group's committed offset to where reading shall begin"
        )
        self.topic = topic
        self.partition = partition
        self.position = position


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One record to write. `value=None` is a tombstone (compacted topics only)."""

    partition: int
    key: bytes
    value: bytes | None
    headers: Headers = ()


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as read. `timestamp_ms` is when the log took it, milliseconds since the epoch."""

    topic: Topic
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Member(msgspec.Struct, frozen=True):
    """Who works on a partition by the group's word. Written into claims, so that one that came late is recognised."""

    group: str
    member_id: str
    generation: int


class Bounds(msgspec.Struct, frozen=True, gc=False):
    """`earliest`: offset of the oldest record that is still there. `end`: the offset the next record will get."""

    earliest: int
    end: int


class TopicCheck(msgspec.Struct, frozen=True):
    """What `ensure_topics` found or did for a topic. `state`: `created`, `ok` or `differs` (then `detail` says how)."""

    topic: Topic
    state: str
    detail: str = ""


class Reader(Protocol):
    """Independent reading of chosen partitions: no group, no ownership. For tails and read models."""

    async def poll(self, timeout_s: float, max_records: int = 500) -> Sequence[Record]:
        """The next records of any of the partitions, in order within each; empty when none came within `timeout_s`."""
        ...


class FencedPartition(Protocol):
    """The right to append to one partition, held until somebody else claims it."""

    @property
    def token(self) -> int:
        """Offset of the claim record: grows with every change of ownership."""
        ...

    def replay(self) -> AsyncIterator[Sequence[Record]]:
        """Every record before the claim, oldest first, claim records left out. To be run to its end before `append`.

        Raises `FencedError` at an earlier claim by a later generation of the same group: ours came late, stand down.
        """
        ...

    async def append(self, entries: Sequence[Entry]) -> None:
        """Append in order; durable when it returns. `Entry.partition` must be this partition.

        Raises `FencedError` when somebody else has claimed, `AppendFailedError` for anything else that failed, timed
        out or is doubtful. After either this object is of no more use.
        """
        ...

    async def close(self) -> None:
        """Give up the writer's resources. The claim itself stays until the next one."""
        ...


class AssignmentListener(Protocol):
    """Told of every change of the partitions that a group member may work on."""

    async def on_revoked(self, partitions: Sequence[int]) -> None:
        """Finish what is in flight (2 s at most) and forget these partitions. Awaited before others get them."""
        ...

    async def on_assigned(self, partitions: Sequence[int]) -> None:
        """These partitions are now this member's. Must return at once; they stay paused until `resume`."""
        ...


class Subscription(Protocol):
    """One member of a consumer group on one topic. Newly assigned partitions are paused: `seek`, then `resume`.

    A rebalance may revoke and re-assign what a member keeps (Kafka's eager protocol does, with all of it).
    """

    async def poll(self, timeout_s: float, max_records: int = 500) -> Mapping[int, Sequence[Record]]:
        """Records of resumed partitions by partition, in offset order. To be called at least once a second (T13).

        Raises `PositionLostError` for one partition, which is then paused; anything else raised is about all of them.
        """
        ...

    def seek(self, partition: int, offset: int) -> None:
        """The next record that `poll` gives of this partition is the one at `offset`, or the first one after it."""
        ...

    def pause(self, partitions: Sequence[int]) -> None:
        """`poll` gives nothing of these partitions until they are resumed."""
        ...

    def resume(self, partitions: Sequence[int]) -> None:
        """Undo `pause`. Raises `LogError` for a partition that has not been sought since it was assigned."""
        ...

    async def committed(self, partition: int) -> int | None:
        """The next offset last committed by this group, or None."""
        ...

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Remember the next offsets by partition: a floor and a lag figure, never the truth about what was applied."""
        ...

    def may_claim(self, partition: int) -> bool:
        """Whether this member still holds `partition` by a fresh heartbeat (the guard against fencing wars)."""
        ...

    def member(self) -> Member:
        """This member as the group knows it now."""
        ...

    def rejoin(self) -> None:
        """Ask the group for a new assignment: everything held is revoked and assigned anew."""
        ...


class Log(Protocol):
    """A log with topics, partitions, offsets and owners."""

    @property
    def partitions(self) -> int:
        """Partitions of every topic; fixed for the life of the log."""
        ...

    @property
    def fails_as_one(self) -> bool:
        """Whether no partition can be written when one cannot. Then one `publish` to several risks nothing more."""
        ...

    async def ensure_topics(self) -> Sequence[TopicCheck]:
        """Create the topics that are missing and compare the settings of those that are there."""
        ...

    def publish(self, topic: Topic, entries: Sequence[Entry]) -> Awaitable[None]:
        """Write records of which anybody may be the writer; durable when it has been awaited.

        Raises `LogUnavailableError` when not acknowledged in time, `RecordTooLargeError` for what no retry can help.
        """
        ...

    async def bounds(self, topic: Topic) -> Mapping[int, Bounds]:
        """Earliest and end offset by partition."""
        ...

    def reader(self, topic: Topic, starts: Mapping[int, int]) -> AbstractAsyncContextManager[Reader]:
        """Read the partitions in `starts`, each from its next offset. Offsets below `earliest` begin there."""
        ...

    def subscribe(
        self, group: str, topic: Topic, listener: AssignmentListener
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join a group. Leaving the context revokes what is held (the listener is told) and leaves the group."""
        ...

    async def claim(self, topic: Topic, partition: int, owner: str, member: Member | None = None) -> FencedPartition:
        """Become the only writer of a fenced partition (`call.state`, `call.ledger`). `owner` names us in the claim.

        Raises `FencedError` when somebody else claims at the same time, `LogUnavailableError` when the log is away.
        """
        ...

    async def check(self) -> str | None:
        """None when the log can take records now, else the reason (for `/readyz`)."""
        ...

    async def aclose(self) -> None:
        """Release everything within bounded time."""
        ...
