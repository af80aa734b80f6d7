"""Owning a partition: one writer at a time, written in the log itself (reliability.md 2.3)."""

import asyncio

import pytest

from cordboard.errors import AppendFailedError, FencedError, LogError
from cordboard.log.port import Log, Member
from log_harness import entry, read_records, replay_values
from schemas.topics import CLAIM_KEY, Topic


async def test_an_owner_appends_and_the_next_one_replays_it(log: Log) -> None:
    """Everything that an owner has appended is before the claim of the next, in order, claims left out."""
    first = await log.claim(Topic.STATE, 0, "engine-1")
    assert await replay_values(first) == []
    await first.append([entry(0, b"a"), entry(0, b"b")])
    await first.append([entry(0, None)])

    second = await log.claim(Topic.STATE, 0, "engine-2")

    assert second.token > first.token
    assert await replay_values(second) == [b"a", b"b", None]


async def test_a_fenced_owner_cannot_append(log: Log) -> None:
    """After another claim every append of the old owner fails with FencedError, and none of them is in the log."""
    old = await log.claim(Topic.STATE, 1, "engine-1")
    await old.append([entry(1, b"before")])
    new = await log.claim(Topic.STATE, 1, "engine-2")

    for _ in range(2):
        with pytest.raises(FencedError):
            await old.append([entry(1, b"zombie")])
    await new.append([entry(1, b"after")])

    last = await log.claim(Topic.STATE, 1, "engine-3")
    assert await replay_values(last) == [b"before", b"after"]


async def test_a_zombie_that_slept_through_the_claim_is_fenced_too(log: Log) -> None:
    """An owner that never appended before the new claim is kept out by the claim alone."""
    zombie = await log.claim(Topic.STATE, 2, "engine-1")
    owner = await log.claim(Topic.STATE, 2, "engine-2")
    await owner.append([entry(2, b"good")])

    with pytest.raises(FencedError):
        await zombie.append([entry(2, b"bad")])

    assert [r.value for r in await read_records(log, Topic.STATE, 2, 3) if r.key != CLAIM_KEY] == [b"good"]


async def test_claims_are_per_partition(log: Log) -> None:
    """Claiming one partition leaves the owners of the others, and of the other fenced topic, alone."""
    state = await log.claim(Topic.STATE, 0, "engine-1")
    ledger = await log.claim(Topic.LEDGER, 1, "worker-1")
    await log.claim(Topic.STATE, 1, "engine-2")

    await state.append([entry(0, b"x")])
    await ledger.append([entry(1, b"y")])

    assert await replay_values(await log.claim(Topic.STATE, 0, "checker")) == [b"x"]
    assert await replay_values(await log.claim(Topic.LEDGER, 1, "checker")) == [b"y"]


async def test_the_token_is_the_offset_of_the_claim(log: Log) -> None:
    """The owner token is where the claim lies, so that it grows with every change of ownership."""
    fenced = await log.claim(Topic.STATE, 3, "engine-1")
    await fenced.append([entry(3, b"x")])
    again = await log.claim(Topic.STATE, 3, "engine-1")

    records = await read_records(log, Topic.STATE, 3, 3)
    assert [r.offset for r in records if r.key == CLAIM_KEY] == [fenced.token, again.token]
    assert b"engine-1" in (records[0].value or b"")


async def test_of_concurrent_claims_one_remains(log: Log) -> None:
    """However many claim at once, exactly one of them can append afterwards: the one whose claim is the last."""
    claims = await asyncio.gather(*(log.claim(Topic.STATE, 0, f"engine-{n}") for n in range(5)), return_exceptions=True)
    good = [c for c in claims if not isinstance(c, BaseException)]
    assert all(isinstance(c, LogError) for c in claims if isinstance(c, BaseException))
    last = max(good, key=lambda fenced: fenced.token)

    for fenced in good:
        if fenced is not last:
            with pytest.raises(FencedError):
                await fenced.append([entry(0, b"no")])
    await last.append([entry(0, b"yes")])

    assert await replay_values(await log.claim(Topic.STATE, 0, "checker")) == [b"yes"]


async def test_many_appends_keep_their_order(log: Log) -> None:
    """Appends given one after the other, without waiting, are in the log in that order, across batch limits."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    parts = [[entry(0, b"%04d" % n + b"." * 900) for n in range(b * 300, (b + 1) * 300)] for b in range(4)]

    await asyncio.gather(*(fenced.append(part) for part in parts))

    values = await replay_values(await log.claim(Topic.STATE, 0, "checker"))
    assert [int((v or b"")[:4]) for v in values] == list(range(1200))


async def test_a_closed_writer_appends_no_more(log: Log) -> None:
    """After `close` an append is an error, never a silent success."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    await fenced.close()

    with pytest.raises(AppendFailedError):
        await fenced.append([entry(0, b"x")])


async def test_an_owner_writes_to_its_own_partition_only(log: Log) -> None:
    """An entry of another partition, or a claim made by hand, is refused and nothing is written."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    with pytest.raises(LogError, match="own partition"):
        await fenced.append([entry(0, b"x"), entry(1, b"y")])
    with pytest.raises(LogError, match="own partition"):
        await fenced.append([entry(0, b"x", key=CLAIM_KEY)])

    assert await replay_values(await log.claim(Topic.STATE, 0, "checker")) == []


async def test_nobody_publishes_to_a_fenced_topic(log: Log) -> None:
    """`publish` refuses topics that only their owners may write."""
    with pytest.raises(LogError, match="owner of a partition only"):
        await log.publish(Topic.STATE, (entry(0, b"x"),))


async def test_a_claim_that_came_late_stands_down_once(log: Log) -> None:
    """A claim found to be older than one of a later generation gives way; the next one, newly assigned, goes on."""
    now = Member(group="engine", member_id="b", generation=6)
    late = Member(group="engine", member_id="a", generation=5)
    await (await log.claim(Topic.STATE, 0, "engine-b", now)).append([entry(0, b"x")])

    with pytest.raises(FencedError, match="generation 6, ours is 5"):
        await replay_values(await log.claim(Topic.STATE, 0, "engine-a", late))

    assert await replay_values(await log.claim(Topic.STATE, 0, "engine-a", late)) == [b"x"]


async def test_generations_of_other_groups_do_not_count(log: Log) -> None:
    """Generations are numbered per group: a claim of another group, or of none, is no reason to stand down."""
    await log.claim(Topic.STATE, 0, "tool", Member(group="tools", member_id="t", generation=99))
    await log.claim(Topic.STATE, 0, "nobody")

    fenced = await log.claim(Topic.STATE, 0, "engine", Member(group="engine", member_id="a", generation=1))

    assert await replay_values(fenced) == []
