"""Groups: who may read what, from where, and what is told before a partition moves."""

import asyncio
from collections.abc import Sequence

import pytest

from cordboard.errors import LogError
from cordboard.log.port import Log, Subscription
from log_harness import Notes, entry, eventually, poll_values, polled
from schemas.topics import Topic

ALL = {0, 1, 2, 3}


def start(sub: Subscription, partitions: set[int], offset: int = 0) -> None:
    """Seek and resume, as every owner does."""
    for partition in partitions:
        sub.seek(partition, offset)
    sub.resume(sorted(partitions))


async def assigned(sub: Subscription, notes: Notes, partitions: set[int]) -> None:
    """Poll until exactly these partitions are held."""
    async with polled(sub):
        await eventually(lambda: notes.held == partitions, f"assignment of {partitions}")


async def test_a_lone_member_gets_everything(log: Log) -> None:
    """The only member of a group is assigned every partition, and reads all of them once it resumes them."""
    await log.publish(Topic.INBOX, [entry(p, b"%d" % p) for p in range(4)])
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        await assigned(sub, notes, ALL)
        start(sub, ALL)

        assert await poll_values(sub, 4) == {p: [b"%d" % p] for p in range(4)}


async def test_t8_assigned_partitions_are_paused_until_sought_and_resumed(log: Log) -> None:
    """A new assignment gives no record before `resume`, whatever has been committed."""
    await log.publish(Topic.INBOX, [entry(p, b"x") for p in range(4)])
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        await assigned(sub, notes, ALL)
        assert await sub.poll(0.3) == {}
        start(sub, {2})

        assert await poll_values(sub, 1) == {2: [b"x"]}
        assert await sub.poll(0.3) == {}


async def test_t11_there_is_no_default_position(log: Log) -> None:
    """Resuming what was never sought is refused: neither the beginning nor the end is a safe guess."""
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        await assigned(sub, notes, ALL)
        with pytest.raises(LogError, match="seek before resume"):
            sub.resume([1])


async def test_a_seek_is_exact(log: Log) -> None:
    """After a seek, backwards too, the very next record is the one at that offset."""
    await log.publish(Topic.INBOX, [entry(0, b"%d" % n) for n in range(10)])
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        await assigned(sub, notes, ALL)
        start(sub, {0}, offset=7)
        assert await poll_values(sub, 3) == {0: [b"7", b"8", b"9"]}
        sub.seek(0, 4)

        assert (await poll_values(sub, 6))[0] == [b"%d" % n for n in range(4, 10)]


async def test_a_paused_partition_gives_nothing_and_loses_nothing(log: Log) -> None:
    """Between pause and resume others are read; afterwards the partition goes on where it was."""
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        await assigned(sub, notes, ALL)
        start(sub, {0, 1})
        await log.publish(Topic.INBOX, [entry(0, b"a"), entry(1, b"b")])
        assert await poll_values(sub, 2) == {0: [b"a"], 1: [b"b"]}
        sub.pause([0])
        await log.publish(Topic.INBOX, [entry(0, b"c"), entry(1, b"d")])
        assert await poll_values(sub, 1) == {1: [b"d"]}
        assert await sub.poll(0.2) == {}
        sub.resume([0])

        assert await poll_values(sub, 1) == {0: [b"c"]}


async def test_commits_are_kept_for_the_group(log: Log) -> None:
    """What one member commits the next member of that group finds, and another group does not."""
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        await assigned(sub, notes, ALL)
        assert await sub.committed(0) is None
        await sub.commit({0: 7, 1: 9})
        assert await sub.committed(0) == 7

    later, other = Notes(), Notes()
    async with log.subscribe("g", Topic.INBOX, later) as sub, log.subscribe("h", Topic.INBOX, other) as stranger:
        await assigned(sub, later, ALL)
        await assigned(stranger, other, ALL)
        assert [await sub.committed(p) for p in range(3)] == [7, 9, None]
        assert await stranger.committed(0) is None


async def test_members_share_the_partitions(log: Log) -> None:
    """Two members hold half of the partitions each, and together every one exactly once."""
    first, second = Notes(), Notes()
    async with log.subscribe("g", Topic.INBOX, first) as one, polled(one):
        await eventually(lambda: first.held == ALL, "the first member holds everything")
        async with log.subscribe("g", Topic.INBOX, second) as two, polled(two):
            await eventually(lambda: len(first.held) == len(second.held) == 2, "two partitions each")
            assert first.held | second.held == ALL
            assert all(one.may_claim(p) for p in first.held)
            assert not any(one.may_claim(p) for p in second.held)
        await eventually(lambda: first.held == ALL, "the first member gets everything back")


async def test_a_member_that_leaves_is_told_and_hands_over(log: Log) -> None:
    """Leaving the context revokes what is held (T14), and only then do the others get it."""
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub:
        await assigned(sub, notes, ALL)

    assert notes.held == set()
    assert notes.told[-1] == ("revoked", (0, 1, 2, 3))


async def test_revocation_is_awaited_before_others_get_the_partition(log: Log) -> None:
    """While a member is still finishing its work, nobody else is assigned what it gives up."""
    finished = asyncio.Event()
    order: list[str] = []

    class Slow(Notes):
        async def on_revoked(self, partitions: Sequence[int]) -> None:
            await asyncio.wait_for(finished.wait(), 20)
            order.append("finished")
            await super().on_revoked(partitions)

    class Eager(Notes):
        async def on_assigned(self, partitions: Sequence[int]) -> None:
            order.append("assigned")
            await super().on_assigned(partitions)

    slow, eager = Slow(), Eager()
    async with log.subscribe("g", Topic.INBOX, slow) as one, polled(one):
        await eventually(lambda: slow.held == ALL, "the slow member holds everything")
        joined = asyncio.create_task(_join_and_leave(log, eager))
        await asyncio.sleep(0.2)  # long enough for a wrong assignment to show; the order below is what counts
        assert order == []
        finished.set()
        await joined

    assert order[:2] == ["finished", "assigned"]


async def _join_and_leave(log: Log, notes: Notes) -> None:
    async with log.subscribe("g", Topic.INBOX, notes) as sub, polled(sub):
        await eventually(lambda: len(notes.held) == 2, "the newcomer holds two partitions")


async def test_rejoining_gives_a_new_assignment(log: Log) -> None:
    """`rejoin` revokes and assigns anew, in a later generation."""
    notes = Notes()
    async with log.subscribe("g", Topic.INBOX, notes) as sub, polled(sub):
        await eventually(lambda: notes.held == ALL, "everything is held")
        before = sub.member()
        notes.told.clear()
        sub.rejoin()
        await eventually(lambda: [t for t, _ in notes.told][-2:] == ["revoked", "assigned"], "a new assignment")

        after = sub.member()
        assert notes.held == ALL
        assert after.generation > before.generation
        assert (before.group, bool(after.member_id)) == ("g", True)
        assert sub.may_claim(0)
