"""Consumer groups inside one process, for the journal and the in-memory log.

Members join, leave and fail; partitions move with as little change as possible. What a member reads is
`local_reading.py`'s business; groups over many processes are Kafka's.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from cordboard.log.port import AssignmentListener, Member

_REVOKE_LIMIT_S = 10.0

_log = structlog.get_logger(__name__)


class LocalMember:
    """One member: what it holds, and in which generation it came to hold it."""

    def __init__(self, group: str, member_id: str, listener: AssignmentListener) -> None:
        self.group = group
        self.member_id = member_id
        self.listener = listener
        self.generation = 0
        self.held: set[int] = set()
        self.alive = True
        """False once the group has given its partitions away without it knowing: a zombie."""
        self.on_change: Callable[[Iterable[int], Iterable[int]], None] = lambda _lost, _gained: None
        """Told of (lost, gained) before the listener is, so that reading stops and starts in step."""

    def describe(self) -> Member:
        """As written into claims."""
        return Member(group=self.group, member_id=self.member_id, generation=self.generation)


class LocalGroup:
    """The members of one group on one topic. Rebalances run one at a time, in the task of whoever causes them.

    `eager` revokes everything at every rebalance, as Kafka's eager protocol does; otherwise only what moves.
    """

    def __init__(self, name: str, partitions: int, *, eager: bool = False) -> None:
        self.name = name
        self.generation = 0
        self.members: list[LocalMember] = []
        self._partitions = partitions
        self._eager = eager
        self._joined = 0
        self._rebalancing = asyncio.Lock()

    def new_member(self, listener: AssignmentListener) -> LocalMember:
        """A member that has not joined yet."""
        self._joined += 1
        return LocalMember(self.name, f"{self.name}-{self._joined}", listener)

    async def join(self, member: LocalMember) -> None:
        """Add a member (or bring a zombie back, empty-handed) and share the partitions out anew."""
        async with self._rebalancing:
            member.alive = True
            self.members.append(member)
            await self._rebalance()

    async def leave(self, member: LocalMember) -> None:
        """Take back what the member holds, then share it out among the others."""
        async with self._rebalancing:
            await self._revoke(member, member.held)
            if member in self.members:
                self.members.remove(member)
                await self._rebalance()

    async def evict(self, member: LocalMember) -> None:
        """Give the member's partitions away as if its heartbeats had failed: it goes on and believes it owns them."""
        async with self._rebalancing:
            member.alive = False
            self.members.remove(member)
            await self._rebalance()

    async def rejoin(self, member: LocalMember) -> None:
        """Revoke everything from one member and assign anew. A zombie learns here what has happened to it."""
        async with self._rebalancing:
            await self._revoke(member, member.held)
            if not member.alive:
                member.alive = True
                self.members.append(member)
            await self._rebalance()

    async def _rebalance(self) -> None:
        target = share_out(self._partitions, {m.member_id: m.held for m in self.members})
        for member in list(self.members):
            lost = set(member.held) if self._eager else member.held - target[member.member_id]
            await self._revoke(member, lost)
        self.generation += 1
        for member in list(self.members):
            member.generation = self.generation
            gained = target[member.member_id] - member.held
            if gained:
                member.held |= gained
                member.on_change((), gained)
                await member.listener.on_assigned(sorted(gained))

    async def _revoke(self, member: LocalMember, partitions: set[int]) -> None:
        lost = sorted(partitions)
        if not lost:
            return
        member.held -= set(lost)
        member.on_change(lost, ())
        try:
            async with asyncio.timeout(_REVOKE_LIMIT_S):
                await member.listener.on_revoked(lost)
        except TimeoutError:
            _log.error("log.revocation_overdue", member=member.member_id, partitions=lost, limit_s=_REVOKE_LIMIT_S)


def share_out(partitions: int, held: Mapping[str, set[int]]) -> dict[str, set[int]]:
    """Who gets what: everybody within one of the others, nobody loses more than that takes. Deterministic."""
    if not held:
        return {}
    share, extra = divmod(partitions, len(held))
    fullest_first = sorted(held, key=lambda member_id: -len(held[member_id]))
    quota = {member_id: share + (rank < extra) for rank, member_id in enumerate(fullest_first)}
    target: dict[str, set[int]] = {}
    taken: set[int] = set()
    for member_id, mine in held.items():
        kept = set(sorted(mine - taken)[: quota[member_id]])
        target[member_id] = kept
        taken |= kept
    free: Sequence[int] = [p for p in range(partitions) if p not in taken]
    rest = iter(free)
    for member_id, kept in target.items():
        while len(kept) < quota[member_id]:
            kept.add(next(rest))
    return target
