"""The ownership loop on every log: taking, feeding, failing and letting go without losing or doubling a record."""

import asyncio
from collections.abc import Sequence

from cordboard.log.ownership import OwnerLimits
from cordboard.log.port import Entry, FencedPartition, Log, Record
from log_harness import (
    Journal,
    Ledger,
    Notes,
    entry,
    eventually,
    is_live,
    owning,
    polled,
    state_of,
    until_applied,
)
from schemas.topics import Topic

ALL = (0, 1, 2, 3)


async def test_every_record_is_handled_once_and_in_order(log: Log) -> None:
    """What was published before and after the start is applied once each, in the order of its partition."""
    await log.publish(Topic.INBOX, [entry(n % 4, b"%d" % n) for n in range(40)])
    journal = Journal()
    async with owning(log, journal) as owner:
        await eventually(is_live(owner, ALL), "all partitions live")
        await log.publish(Topic.INBOX, [entry(n % 4, b"%d" % n) for n in range(40, 80)])
        await eventually(lambda: len(journal.handled) >= 80, "80 records handled")

    for partition in ALL:
        applied = await state_of(log, partition)
        assert [a.value for a in applied] == [b"%d" % n for n in range(partition, 80, 4)]


async def test_a_successor_goes_on_where_the_predecessor_stopped(log: Log) -> None:
    """After an orderly end the next owner handles what came meanwhile, and nothing again."""
    await log.publish(Topic.INBOX, (entry(0, b"a"),))
    async with owning(log, first := Journal()):
        await eventually(lambda: first.values() == [b"a"], "a handled")
    await log.publish(Topic.INBOX, (entry(0, b"b"),))

    async with owning(log, second := Journal(), name="engine-2"):
        await eventually(lambda: second.values() == [b"b"], "b handled")

    assert [a.value for a in await state_of(log, 0)] == [b"a", b"b"]


async def test_the_end_releases_commits_and_leaves(log: Log) -> None:
    """After `run` every object is released, the floor is committed, and the group's partitions are free."""
    await log.publish(Topic.INBOX, [entry(0, b"a"), entry(0, b"b")])
    journal = Journal()
    async with owning(log, journal) as owner:
        await eventually(lambda: len(journal.handled) == 2, "both handled")

    assert all(ledger.released for ledger in journal.made)
    assert owner.status().assigned == ()
    notes = Notes()
    async with log.subscribe("engine", Topic.INBOX, notes) as sub, polled(sub):
        await eventually(lambda: notes.held == set(ALL), "the group is free")
        assert await sub.committed(0) == 2


async def test_a_member_is_told_from_one_that_waits_to_join(log: Log) -> None:
    """A rolling restart goes on when a process is ready: one that the group does not know yet is not."""
    journal = Journal()
    async with owning(log, journal) as owner:
        assert not owner.status().joined
        await eventually(is_live(owner, ALL), "all partitions live")
        assert owner.status().joined


async def test_partitions_move_to_a_newcomer_without_loss_or_doubling(log: Log) -> None:
    """While records keep coming, a second member joins and leaves; the state shows each record applied once."""
    journal = Journal()
    sent = 0

    async def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            await log.publish(Topic.INBOX, (entry(sent % 4, b"%d" % sent),))
            sent += 1

    async with owning(log, journal, name="one") as one:
        await eventually(is_live(one, ALL), "the first owner is live")
        await send(40)
        async with owning(log, journal, name="two") as two:
            await asyncio.gather(
                send(80), eventually(lambda: len(one.status().live) == len(two.status().live) == 2, "shared")
            )
        await asyncio.gather(send(40), eventually(is_live(one, ALL), "everything is back"))
        await until_applied(log, {b"%d" % n for n in range(160)})

    for partition in ALL:
        applied = await state_of(log, partition)
        assert [a.value for a in applied] == [b"%d" % n for n in range(partition, 160, 4)]


async def test_an_unexpected_failure_stops_the_partition_and_is_retried(log: Log) -> None:
    """A bug in `handle` is visible in the status, discards that object only, and is retried from the log."""
    journal = Journal()
    broken = True

    async def refuse(ledger: Ledger, records: Sequence[Record]) -> None:
        if broken and ledger.partition == 1:
            raise ZeroDivisionError(f"{len(records)} records were too much")

    journal.before_handle = refuse  # type: ignore[method-assign]
    async with owning(log, journal) as owner:
        await log.publish(Topic.INBOX, [entry(0, b"good"), entry(1, b"bad")])
        await eventually(lambda: any("ZeroDivisionError" in why for _, why in owner.status().failed), "failure seen")
        await eventually(lambda: journal.values() == [b"good"], "the other partition goes on")
        await eventually(lambda: len([c for c in journal.claims if c[0] == 1]) >= 3, "it is taken again")
        broken = False
        await eventually(lambda: journal.values() == [b"good", b"bad"], "it works at last")
        await eventually(lambda: owner.status().failed == (), "nothing failed any more")

    assert all(ledger.released for ledger in journal.made)


async def test_a_failed_append_means_a_new_claim(log: Log) -> None:
    """The one error rule: the object is discarded, the partition claimed again, and the record applied once."""
    journal = Journal()
    async with owning(log, journal) as owner:
        await eventually(is_live(owner, ALL), "live")
        doomed = next(ledger for ledger in journal.made if ledger.partition == 2)
        assert doomed.fenced is not None
        await doomed.fenced.close()  # as good as any reason for an append to fail
        await log.publish(Topic.INBOX, (entry(2, b"x"),))
        await eventually(lambda: journal.values() == [b"x"], "handled by a new object")

    assert [p for p, _ in journal.claims].count(2) == 2
    assert doomed.released
    assert [a.value for a in await state_of(log, 2)] == [b"x"]


async def test_a_fenced_owner_waits_for_a_new_assignment(log: Log) -> None:
    """Claimed by somebody else, it stops at once, claims nothing until the group assigns anew, and loses nothing."""
    journal = Journal()
    patient = OwnerLimits(poll_s=0.05, commit_every_s=0.1, retry_min_s=0.02, rejoin_after_s=1.0)
    async with owning(log, journal, limits=patient) as owner:
        await eventually(is_live(owner, ALL), "live")
        before = len(journal.claims)
        intruder = await log.claim(Topic.STATE, 3, "intruder")
        await log.publish(Topic.INBOX, (entry(3, b"x"),))
        await eventually(lambda: [p for p, _ in owner.status().failed] == [3], "partition 3 is fenced")
        assert len(journal.claims) == before
        await eventually(lambda: journal.values() == [b"x"], "applied after a new assignment")
        await intruder.close()
        status = owner.status()
        assert (status.fences, status.failures) == (1, 1)
        assert status.takes >= len(ALL) + 1

    assert [a.value for a in await state_of(log, 3)] == [b"x"]


async def test_one_slow_partition_does_not_hold_up_the_others(log: Log) -> None:
    """While one partition's work stands still, with its backlog full, the others are handled."""
    journal = Journal()
    gate = asyncio.Event()

    async def wait(ledger: Ledger, records: Sequence[Record]) -> None:
        if ledger.partition == 0 and records:
            await gate.wait()

    journal.before_handle = wait  # type: ignore[method-assign]
    limits = OwnerLimits(backlog=20, batch=10, poll_s=0.05, commit_every_s=0.1)
    async with owning(log, journal, limits=limits):
        await log.publish(Topic.INBOX, [entry(0, b"slow %d" % n) for n in range(200)])
        await log.publish(Topic.INBOX, [entry(1, b"%d" % n) for n in range(200)])
        await eventually(lambda: len(journal.handled) >= 200, "the other partition is done")
        assert all(r.partition == 1 for r in journal.handled)
        gate.set()
        await eventually(lambda: len(journal.handled) == 400, "the slow one as well")

    assert [a.value for a in await state_of(log, 0)] == [b"slow %d" % n for n in range(200)]


async def test_a_handler_that_hangs_does_not_hold_up_the_end(log: Log) -> None:
    """Draining is bounded: what does not finish in time is abandoned, and the next owner does it."""
    journal = Journal()
    stuck = asyncio.Event()

    async def hang(ledger: Ledger, records: Sequence[Record]) -> None:
        del ledger, records
        stuck.set()
        await asyncio.Event().wait()

    journal.before_handle = hang  # type: ignore[method-assign]
    limits = OwnerLimits(poll_s=0.05, drain_s=0.2)
    async with owning(log, journal, limits=limits):
        await log.publish(Topic.INBOX, (entry(0, b"x"),))
        await stuck.wait()
    assert journal.handled == []

    async with owning(log, second := Journal(), name="engine-2"):
        await eventually(lambda: second.values() == [b"x"], "done by the successor")


async def test_lag_counts_what_is_not_handled_yet(log: Log) -> None:
    """The status says how many source records wait, and zero once they are handled."""
    journal = Journal()
    gate = asyncio.Event()

    async def wait(ledger: Ledger, records: Sequence[Record]) -> None:
        del ledger, records
        await gate.wait()

    journal.before_handle = wait  # type: ignore[method-assign]
    await log.publish(Topic.INBOX, [entry(0, b"x") for _ in range(5)])
    async with owning(log, journal) as owner:
        await eventually(lambda: owner.status().lag == 5, "five records wait")
        gate.set()
        await eventually(lambda: owner.status().lag == 0, "none waits")


async def test_background_failures_count_like_those_of_handle(log: Log) -> None:
    """An `Owned` whose own background work fails is discarded and taken anew, though no record came."""
    journal = Journal()
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Watching(Ledger):
        async def watch(self) -> None:
            if self.partition == 1 and not failure.cancelled():
                await asyncio.shield(failure)
            await asyncio.Event().wait()

    def make(partition: int) -> Ledger:
        ledger = Watching(partition, journal)
        journal.made.append(ledger)
        return ledger

    async with owning(log, journal, factory=make) as owner:
        await eventually(is_live(owner, ALL), "live")
        failing, failure = failure, asyncio.get_running_loop().create_future()
        failing.set_exception(RuntimeError("a timer went wrong"))
        await eventually(lambda: [p for p, _ in journal.claims].count(1) == 2, "taken anew")
        await eventually(is_live(owner, ALL), "live again")

    assert [p for p, _ in journal.claims].count(0) == 1


async def test_a_committed_floor_wins_over_the_restored_position(log: Log) -> None:
    """An operator moves the group's offset forward past records that must not be handled: they are not."""
    await log.publish(Topic.INBOX, [entry(0, b"%d" % n) for n in range(4)])
    notes = Notes()
    async with log.subscribe("engine", Topic.INBOX, notes) as sub:
        async with polled(sub):
            await eventually(lambda: notes.held == set(ALL), "assigned")
        await sub.commit({0: 3})

    async with owning(log, journal := Journal()):
        await eventually(lambda: journal.values() == [b"3"], "only the last one")


async def test_positions_beyond_the_log_stop_that_partition_loudly(log: Log) -> None:
    """T11: a position that the log does not hold is a reason in the status, not a silent jump; others go on."""
    notes = Notes()
    async with log.subscribe("engine", Topic.INBOX, notes) as sub:
        async with polled(sub):
            await eventually(lambda: notes.held == set(ALL), "assigned")
        await sub.commit({2: 1000})
    await log.publish(Topic.INBOX, [Entry(1, b"k", b"good"), Entry(2, b"k", b"hidden")])

    async with owning(log, journal := Journal()) as owner:
        await eventually(
            lambda: any("offset 1000 is not in the log" in why for _, why in owner.status().failed), "loud"
        )
        await eventually(lambda: journal.values() == [b"good"], "others go on")


async def test_restore_is_retried_when_it_fails(log: Log) -> None:
    """A failure while restoring is no end: the partition is claimed and restored again."""
    journal = Journal()

    class Forgetful(Ledger):
        async def restore(self, fenced: FencedPartition) -> int | None:
            restored = await super().restore(fenced)
            if len(journal.made) <= len(ALL):
                raise ValueError("cannot restore this, the first time")
            return restored

    def make(partition: int) -> Ledger:
        ledger = Forgetful(partition, journal)
        journal.made.append(ledger)
        return ledger

    await log.publish(Topic.INBOX, (entry(0, b"x"),))
    async with owning(log, journal, factory=make):
        await eventually(lambda: journal.values() == [b"x"], "handled after all")

    assert len(journal.made) > len(ALL)
    assert all(ledger.released for ledger in journal.made)
