"""Owning partitions: join a group, claim what is assigned, restore it, feed it, and let go in order.

The engine and the action workers both live on this loop. What they do with one partition is an `Owned`; when and
whether they may do it is decided here, by the group's assignments and the one error rule (reliability.md 2.3, 2.8).
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.owned import Owned, OwnerLimits, OwnerStatus, OwnerTotals, Watched, has_joined
from cordboard.log.port import Bounds, Log, PositionLostError, Subscription
from cordboard.log.tenure import Phase, Tenure, Terms
from schemas.topics import Topic

__all__ = ["Owned", "Owner", "OwnerLimits", "OwnerStatus", "Watched"]

_log = structlog.get_logger(__name__)


class Owner:
    """Works on the partitions of `source` that the group gives us, as the fenced owner of the same ones of `fenced`.

    `factory` makes the `Owned` of one partition, anew for every claim. `name` is ours in claims and logs. One partition
    never holds up another: each has its task and a bounded backlog.
    """

    def __init__(
        self,
        log: Log,
        *,
        group: str,
        source: Topic,
        fenced: Topic,
        factory: Callable[[int], Owned],
        name: str,
        limits: OwnerLimits | None = None,
    ) -> None:
        self._log = log
        self._group = group
        self._source = source
        self._limits = limits or OwnerLimits()
        self._totals = OwnerTotals()
        self._terms = Terms(
            source=source,
            fenced=fenced,
            factory=factory,
            name=name,
            limits=self._limits,
            turns=asyncio.Semaphore(self._limits.takes_at_once),
            totals=self._totals,
        )
        self._tenures: dict[int, Tenure] = {}
        self._subscribed: asyncio.Future[Subscription] | None = None
        self._committed: dict[int, int] = {}
        self._ends: dict[int, Bounds] = {}
        self._bound = _log.bind(owner=name, group=group, topic=source.value)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish the batches in hand, commit, release everything and leave the group.

        Raises what `poll` raises when it is not about one partition and not temporary: the process should end then.
        """
        self._subscribed = asyncio.get_running_loop().create_future()
        async with self._log.subscribe(self._group, self._source, self) as subscription:
            self._subscribed.set_result(subscription)
            upkeep = asyncio.create_task(self._keep_up(subscription))
            try:
                while not stop.is_set() and not upkeep.done():
                    await self._poll(subscription)
            finally:
                upkeep.cancel()
                await asyncio.wait({upkeep})
        if not upkeep.cancelled():
            upkeep.result()

    def status(self) -> OwnerStatus:
        """What is assigned, what is live, what is not and why, and how far behind we are."""
        tenures = [self._tenures[p] for p in sorted(self._tenures)]
        return OwnerStatus(
            assigned=tuple(t.partition for t in tenures),
            live=tuple(t.partition for t in tenures if t.phase is Phase.LIVE),
            lag=sum(self._lag(t) for t in tenures),
            failed=tuple((t.partition, t.reason) for t in tenures if t.phase in {Phase.FAILED, Phase.FENCED}),
            takes=self._totals.takes,
            failures=self._totals.failures,
            fences=self._totals.fences,
            joined=has_joined(self._subscribed),
        )

    # AssignmentListener

    async def on_assigned(self, partitions: Sequence[int]) -> None:
        """See `AssignmentListener`: only schedules (T7)."""
        self._bound.info("ownership.assigned", partitions=list(partitions))
        for partition in partitions:
            if partition not in self._tenures:
                tenure = Tenure(self._log, self._subscription, partition, self._terms)
                self._tenures[partition] = tenure
                tenure.begin()

    async def on_revoked(self, partitions: Sequence[int]) -> None:
        """See `AssignmentListener`: drains, commits and forgets."""
        self._bound.info("ownership.revoked", partitions=list(partitions))
        leaving = [self._tenures[p] for p in partitions if p in self._tenures]
        covered = await asyncio.gather(*(t.end() for t in leaving))
        for tenure in leaving:
            self._tenures.pop(tenure.partition, None)
        await self._commit({t.partition: offset for t, offset in zip(leaving, covered, strict=True)})
        for tenure in leaving:
            self._committed.pop(tenure.partition, None)

    async def _poll(self, subscription: Subscription) -> None:
        try:
            batches = await subscription.poll(self._limits.poll_s)
        except PositionLostError as error:
            tenure = self._tenures.get(error.partition)
            if tenure is not None:
                tenure.lose_position(error)
            return
        except LogUnavailableError as error:
            self._bound.warning("ownership.poll_failed", reason=str(error))
            await asyncio.sleep(self._limits.retry_min_s)
            return
        for partition, records in batches.items():
            tenure = self._tenures.get(partition)
            if tenure is not None:
                tenure.accept(records)

    async def _keep_up(self, subscription: Subscription) -> None:
        """Every few seconds: commit what is covered, learn where the partitions end, and leave a fence behind."""
        rejoin = _RejoinDelay(self._limits)
        while True:
            await asyncio.sleep(self._limits.commit_every_s)
            await self._commit({p: t.covered() for p, t in self._tenures.items()})
            try:
                self._ends = dict(await self._log.bounds(self._source))
            except LogError as error:
                self._bound.warning("ownership.bounds_unknown", reason=str(error))
            fenced = [p for p, t in self._tenures.items() if t.phase is Phase.FENCED]
            if rejoin.is_due(fenced=bool(fenced)):
                self._bound.warning("ownership.rejoining", fenced=fenced)
                subscription.rejoin()

    async def _commit(self, covered: dict[int, int | None]) -> None:
        changed = {p: o for p, o in covered.items() if o is not None and self._committed.get(p) != o}
        if not changed:
            return
        try:
            async with asyncio.timeout(self._limits.drain_s):
                await (await self._subscription()).commit(changed)
        except (LogError, TimeoutError) as error:  # a floor and a lag figure: the next commit makes up for it
            self._bound.warning("ownership.commit_failed", partitions=sorted(changed), reason=repr(error))
        else:
            self._committed.update(changed)

    async def _subscription(self) -> Subscription:
        if self._subscribed is None:
            raise RuntimeError("an Owner works inside run()")
        return await asyncio.shield(self._subscribed)

    def _lag(self, tenure: Tenure) -> int:
        bounds = self._ends.get(tenure.partition)
        if bounds is None:
            return 0
        position = tenure.position
        if position is None:
            position = self._committed.get(tenure.partition, bounds.earliest)
        return max(0, bounds.end - position)


class _RejoinDelay:
    """When a fenced member may ask for a new assignment: not at once, and ever less often while it does not help."""

    def __init__(self, limits: OwnerLimits) -> None:
        self._limits = limits
        self._delay_s = limits.rejoin_after_s
        self._due_at: float | None = None
        self._calm_since: float | None = None

    def is_due(self, *, fenced: bool) -> bool:
        """To be asked regularly with whether any partition is fenced."""
        now = asyncio.get_running_loop().time()
        if not fenced:
            self._due_at = None
            self._calm_since = now if self._calm_since is None else self._calm_since
            if now - self._calm_since > self._limits.rejoin_max_s:
                self._delay_s = self._limits.rejoin_after_s
            return False
        self._calm_since = None
        if self._due_at is None:
            self._due_at = now + self._delay_s
        if now < self._due_at:
            return False
        self._delay_s = min(self._delay_s * 2, self._limits.rejoin_max_s)
        self._due_at = now + self._delay_s
        return True
