"""What the tests of the log share: a listener that keeps notes, a small honest `Owned`, and waiting for conditions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from cordboard.log.ownership import Owned, Owner, OwnerLimits
from cordboard.log.port import Entry, FencedPartition, Log, Record, Subscription
from schemas.topics import CLAIM_KEY, Topic

DEADLINE_S = 30.0


async def eventually(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until `condition` holds; fail with `what` when it does not within the deadline."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not condition():
        if loop.time() > end:
            raise AssertionError(f"did not come true within {deadline_s} s: {what}")
        await asyncio.sleep(0.01)


def entry(partition: int, value: bytes | None, key: bytes = b"k") -> Entry:
    """An entry without headers."""
    return Entry(partition=partition, key=key, value=value)


async def read_values(log: Log, topic: Topic, partition: int, count: int, start: int = 0) -> list[bytes | None]:
    """The values of the next `count` records; fails when they do not come."""
    return [r.value for r in await read_records(log, topic, partition, count, start)]


async def read_records(log: Log, topic: Topic, partition: int, count: int, start: int = 0) -> list[Record]:
    """The next `count` records of one partition."""
    found: list[Record] = []
    async with asyncio.timeout(DEADLINE_S), log.reader(topic, {partition: start}) as reader:
        while len(found) < count:
            found.extend(await reader.poll(1.0))
    return found


async def poll_values(sub: Subscription, count: int) -> dict[int, list[bytes | None]]:
    """The values of the next `count` records by partition; fails when they do not come."""
    values: dict[int, list[bytes | None]] = {}
    seen = 0
    async with asyncio.timeout(DEADLINE_S):
        while seen < count:
            for partition, records in (await sub.poll(0.2)).items():
                values.setdefault(partition, []).extend(r.value for r in records)
                seen += len(records)
    return values


async def replay_values(fenced: FencedPartition) -> list[bytes | None]:
    """The values of everything before the claim."""
    return [record.value async for batch in fenced.replay() for record in batch]


class Notes:
    """An `AssignmentListener` that writes down what it is told, and knows what is held."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.told: list[tuple[str, tuple[int, ...]]] = []

    async def on_assigned(self, partitions: Sequence[int]) -> None:
        """See `AssignmentListener`."""
        self.told.append(("assigned", tuple(sorted(partitions))))
        self.held |= set(partitions)

    async def on_revoked(self, partitions: Sequence[int]) -> None:
        """See `AssignmentListener`."""
        self.told.append(("revoked", tuple(sorted(partitions))))
        self.held -= set(partitions)


@asynccontextmanager
async def polled(sub: Subscription) -> AsyncIterator[None]:
    """Keep polling in the background, as every member must (T13)."""

    async def keep_polling() -> None:
        while True:
            await sub.poll(0.1)

    task = asyncio.create_task(keep_polling())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def reading_on(log: Log) -> AsyncIterator[Subscription]:
    """A member that has all partitions of the inbox and reads each from its beginning."""
    every, notes = range(log.partitions), Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        async with polled(sub):
            await eventually(lambda: notes.held == set(every), "assigned")
        for partition in every:
            sub.seek(partition, 0)
        sub.resume(every)
        yield sub


class Applied(msgspec.Struct, frozen=True):
    """The value that `Ledger` appends: which source offset it covers, and that record's value."""

    offset: int
    value: bytes


class Ledger:
    """An `Owned` as small as it can be: appends one record for each source record, and trusts nothing but the log."""

    def __init__(self, partition: int, journal: "Journal") -> None:
        self.partition = partition
        self.journal = journal
        self.next: int | None = None
        self.fenced: FencedPartition | None = None
        self.released = False

    async def restore(self, fenced: FencedPartition) -> int | None:
        """See `Owned`."""
        self.fenced = fenced
        self.journal.claims.append((self.partition, fenced.token))
        async for batch in fenced.replay():
            for record in batch:
                self.next = msgspec.json.decode(record.value or b"", type=Applied).offset + 1
        return self.next

    async def handle(self, records: Sequence[Record]) -> None:
        """See `Owned`: skips what is covered, appends the rest in one go."""
        assert self.fenced is not None
        await self.journal.before_handle(self, records)
        new = [r for r in records if self.next is None or r.offset >= self.next]
        await self.fenced.append(
            [entry(self.partition, msgspec.json.encode(Applied(r.offset, r.value or b""))) for r in new]
        )
        self.next = records[-1].offset + 1
        self.journal.handled.extend(new)

    def covered(self) -> int | None:
        """See `Owned`."""
        return self.next

    async def release(self) -> None:
        """See `Owned`."""
        assert not self.released, "released twice"
        self.released = True


class Journal:
    """Makes `Ledger`s and sees what all of them do. `before_handle` may be replaced to fail or to wait."""

    def __init__(self) -> None:
        self.handled: list[Record] = []
        self.claims: list[tuple[int, int]] = []
        self.made: list[Ledger] = []

    def __call__(self, partition: int) -> Ledger:
        """Make the work of one partition."""
        ledger = Ledger(partition, self)
        self.made.append(ledger)
        return ledger

    async def before_handle(self, ledger: Ledger, records: Sequence[Record]) -> None:
        """Nothing, unless a test replaces it."""
        del ledger, records

    def values(self) -> list[bytes | None]:
        """What was handled, in order."""
        return [record.value for record in self.handled]


QUICK = OwnerLimits(poll_s=0.05, commit_every_s=0.1, retry_min_s=0.02, retry_max_s=0.2, rejoin_after_s=0.2)


@asynccontextmanager
async def owning(
    log: Log,
    journal: Journal,
    *,
    name: str = "engine-1",
    limits: OwnerLimits = QUICK,
    factory: Callable[[int], Owned] | None = None,
) -> AsyncIterator[Owner]:
    """An `Owner` of inbox and state that runs for as long as the context, and ends in order."""
    owner = Owner(
        log,
        group="engine",
        source=Topic.INBOX,
        fenced=Topic.STATE,
        factory=factory or journal,
        name=name,
        limits=limits,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(owner.run(stop))
    try:
        yield owner
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def state_of(log: Log, partition: int, claimant: str = "checker") -> list[Applied]:
    """What the state topic says was applied, read by claiming the partition."""
    fenced = await log.claim(Topic.STATE, partition, claimant)
    values = await replay_values(fenced)
    await fenced.close()
    return [msgspec.json.decode(value or b"", type=Applied) for value in values]


def is_live(owner: Owner, partitions: Sequence[int]) -> Callable[[], bool]:
    """A condition: exactly these partitions are live."""
    return lambda: owner.status().live == tuple(partitions)


async def until_applied(log: Log, values: set[bytes]) -> None:
    """Read the state until it covers these values. An append whose acknowledgement was lost counts as well."""
    applied: set[bytes] = set()
    async with asyncio.timeout(60), log.reader(Topic.STATE, dict.fromkeys(range(log.partitions), 0)) as reader:
        while applied != values:
            for record in await reader.poll(0.5):
                if record.key != CLAIM_KEY:
                    applied.add(msgspec.json.decode(record.value or b"", type=Applied).value)
