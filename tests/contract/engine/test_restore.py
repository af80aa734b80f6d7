"""A taken partition is the partition as it was left, byte for byte, and says nothing that has been said already."""

import msgspec
import pytest

from cordboard.errors import LogUnavailableError
from cordboard.log.faults import Fault, Operation, Point
from cordboard.log.port import Entry
from engine.recovery import UnreadableStateError
from engine_shell import CrashError, Rig, calls_in, command, eventually
from schemas.codec import encode
from schemas.records import TimerDue
from schemas.state import StateRecord
from schemas.topics import STATE_POSITION_KEY, Topic

CALLS = calls_in(1, 3)


async def test_an_untouched_partition_covers_nothing() -> None:
    """Before the first record the group's committed offset decides where to begin, not we."""
    rig = Rig()

    owner = await rig.take()

    assert owner.covered() is None
    await rig.close()


async def test_restored_calls_equal_live_ones_byte_for_byte() -> None:
    """The successor holds exactly the bytes that the predecessor held, for every call."""
    rig = Rig()
    await rig.put(*(command(name, c, n) for n, name in enumerate(("begin", "act", "count", "act")) for c in CALLS))
    first = await rig.take()
    await rig.feed(first, batch=3)

    second = await rig.take()

    assert [second.state_of(c) for c in CALLS] == [first.state_of(c) for c in CALLS]
    assert None not in [second.state_of(c) for c in CALLS]
    assert second.covered() == first.covered() == 4 * len(CALLS)
    await rig.close()


async def test_state_records_are_those_of_the_public_schema() -> None:
    """Every inbox record has one state record that readers of `StateRecord` understand, with offset and owner."""
    rig = Rig()
    await rig.put(command("begin", CALLS[0], 1), command("act", CALLS[0], 2))
    owner = await rig.take()
    await rig.feed(owner)

    (_, first), (_, second) = rig.states()

    assert first is not None
    assert second is not None
    assert (first.in_off, first.owner, first.published) == (0, 0, -1)
    assert (second.in_off, second.call and second.call.version) == (1, 2)
    assert [len(record.outbox) for record in (first, second)] == [2, 3], "cumulative within the batch"
    await rig.close()


async def test_the_next_record_of_a_call_carries_only_what_has_not_left() -> None:
    """After the publication the outbox begins anew, and `published` says up to where all has left."""
    rig = Rig()
    await rig.put(command("begin", CALLS[0], 1))
    owner = await rig.take()
    await rig.feed(owner)
    await rig.put(command("count", CALLS[0], 2))
    await rig.feed(owner)

    _, record = rig.states()[-1]

    assert record is not None
    assert (record.in_off, record.published, len(record.outbox)) == (1, 0, 2)
    await rig.close()


async def test_compaction_loses_nothing_that_must_still_leave() -> None:
    """With only the last record of each key left, every event of the batch that was not published still leaves."""
    rig = Rig()
    await rig.put(
        *(
            command(name, c, len(CALLS) * n + i)
            for n, name in enumerate(("begin", "count", "act"))
            for i, c in enumerate(CALLS)
        )
    )
    first = await rig.take()
    rig.die_at(Operation.PUBLISH, Point.BEFORE, Topic.EVENTS)
    with pytest.raises(CrashError):
        await rig.feed(first)
    compacted = Rig()
    fenced = await compacted.log.claim(Topic.STATE, 1, "compaction")
    last = {r.key: r for r in rig.log.records(Topic.STATE, 1) if r.value is not None and r.offset > 0}
    await fenced.append([Entry(1, r.key or b"", r.value) for r in sorted(last.values(), key=lambda r: r.offset)])

    await compacted.take()
    await rig.take()

    assert len(set(compacted.event_ids())) == 5 * len(CALLS)
    assert sorted(compacted.event_ids()) == sorted(set(rig.event_ids()))
    await rig.close()
    await compacted.close()


async def test_an_orderly_release_spares_the_successor_a_repetition() -> None:
    """The position record written on the way out says that everything has left: no event leaves twice."""
    rig = Rig()
    await rig.put(command("begin", CALLS[0], 1))
    first = await rig.take()
    await rig.feed(first)
    said = rig.event_ids()
    await first.release()

    second = await rig.take()

    assert rig.states()[-1][0] == STATE_POSITION_KEY
    assert second.covered() == 1
    assert rig.event_ids() == said
    await rig.close()


async def test_a_successor_that_restored_and_published_says_so() -> None:
    """What a take-over has published again is not published at every further take-over."""
    rig = Rig()
    await rig.put(command("begin", CALLS[0], 1))
    await rig.feed(await rig.take())
    said = len(rig.event_ids())
    second = await rig.take()
    assert len(rig.event_ids()) == 2 * said
    await second.release()

    await rig.take()

    assert len(rig.event_ids()) == 2 * said
    await rig.close()


async def test_kafka_delivers_again() -> None:
    """A record that is given again after it was covered changes nothing and leaves no state record."""
    rig = Rig()
    await rig.put(command("begin", CALLS[0], 1), command("act", CALLS[0], 2))
    owner = await rig.take()
    await rig.feed(owner)
    before = rig.states(), rig.event_ids()

    await owner.handle(rig.log.records(Topic.INBOX, 1))

    assert (rig.states(), rig.event_ids()) == before
    assert owner.covered() == 2
    await rig.close()


async def test_a_state_record_that_cannot_be_read_stops_the_take_over() -> None:
    """A partition with a hole in its state must not go live."""
    rig = Rig()
    fenced = await rig.log.claim(Topic.STATE, 1, "somebody")
    await fenced.append([Entry(1, CALLS[0].encode(), b'{"in_off": "no"}')])

    with pytest.raises(UnreadableStateError, match=CALLS[0]):
        await rig.take()
    await rig.close()


async def test_a_log_that_cannot_be_read_stops_the_take_over() -> None:
    """The error of the log reaches the ownership loop, which tries again."""
    rig = Rig()
    rig.log.faults.add(Fault(Operation.REPLAY, Topic.STATE))

    with pytest.raises(LogUnavailableError):
        await rig.take()
    await rig.close()


async def test_a_record_of_a_stale_owner_is_passed_over_and_put_right() -> None:
    """An owner token that goes back is not believed; its key is written anew, so that compaction keeps the truth."""
    rig = Rig()
    await rig.put(command("begin", CALLS[0], 1), command("act", CALLS[0], 2))
    first = await rig.take()
    await rig.feed(first)
    good = first.state_of(CALLS[0])
    fenced = await rig.log.claim(Topic.STATE, 1, "late")
    stale = StateRecord(in_off=99, owner=-5)
    await fenced.append([Entry(1, key, encode(stale)) for key in (CALLS[0].encode(), CALLS[1].encode(), b"~pos")])

    second = await rig.take()

    assert second.covered() == 2
    assert second.state_of(CALLS[0]) == good
    repaired = dict(rig.states()[-3:])
    assert set(repaired) == {CALLS[0].encode(), CALLS[1].encode(), b"~pos"}
    assert repaired[CALLS[1].encode()] is None
    call, position = repaired[CALLS[0].encode()], repaired[b"~pos"]
    assert call is not None
    assert encode(call.call) == good
    assert position is not None
    assert position.in_off == 1
    third = await rig.take()
    assert (third.covered(), third.state_of(CALLS[0])) == (2, good)
    await rig.close()


async def test_records_that_leave_no_call_are_covered_under_the_position_key() -> None:
    """The answer to a command for a call that is not there survives a death like any other event."""
    rig = Rig()
    await rig.put(command("count", CALLS[0], 1), command("begin", CALLS[1], 2), command("count", CALLS[2], 3))
    first = await rig.take()
    rig.die_at(Operation.PUBLISH, Point.BEFORE, Topic.EVENTS)
    with pytest.raises(CrashError):
        await rig.feed(first)

    second = await rig.take()

    assert [key for key, _ in rig.states()] == [STATE_POSITION_KEY, CALLS[1].encode(), STATE_POSITION_KEY]
    assert second.covered() == 3
    outcomes = [(e["subject"], e["data"]["outcome"]) for e in rig.events() if "outcome" in e["data"]]
    assert sorted(outcomes) == sorted([(CALLS[0], "rejected"), (CALLS[1], "applied"), (CALLS[2], "rejected")])
    await rig.close()


async def test_only_ignored_records_are_covered_too() -> None:
    """A batch in which nothing happened still moves the position."""
    rig = Rig()
    due = TimerDue(id="timer.x", call_id=CALLS[0], at=1, name="x", due=1)
    await rig.put(due, due, due)
    owner = await rig.take()
    await rig.feed(owner)

    assert [(key, record and record.in_off) for key, record in rig.states()] == [(STATE_POSITION_KEY, 2)]
    await rig.close()


@pytest.mark.parametrize("torn_after", [0, 1, 2, 3])
async def test_a_forgotten_call_leaves_a_tombstone_and_its_last_words(torn_after: int) -> None:
    """However much of the last append got into the log, the call is forgotten in the end and what it said has left."""
    rig = Rig()
    due = rig.clock() - 1
    await rig.put(command("begin", CALLS[0], 1), command("forget", CALLS[0], 2, due=due))
    first = await rig.take()
    await rig.put(TimerDue(id=f"timer.{CALLS[0]}.forget.{due}", call_id=CALLS[0], at=due, name="forget", due=due))
    rig.die_at(Operation.PUBLISH, Point.BEFORE, Topic.EVENTS)
    with pytest.raises(CrashError):
        await rig.feed(first)
    written = [r for r in rig.log.records(Topic.STATE, 1) if r.key != b"~owner"]
    assert [r.key for r in written[-2:]] == [STATE_POSITION_KEY, CALLS[0].encode()]
    assert written[-1].value is None

    torn = Rig()
    fenced = await torn.log.claim(Topic.STATE, 1, "torn")
    kept = written[: len(written) - torn_after]
    if kept:
        await fenced.append([Entry(1, r.key or b"", r.value) for r in kept])
    for record in rig.log.records(Topic.INBOX, 1):
        await torn.put_raw(record.key or b"", record.value)
    owner = await torn.take()
    await torn.feed(owner)
    if owner.state_of(CALLS[0]) is not None:  # its timer is set still, and falls due once more
        inbox = len(torn.log.records(Topic.INBOX, 1))
        await eventually(lambda: len(torn.log.records(Topic.INBOX, 1)) > inbox, "the timer once more")
        await torn.feed(owner)

    assert owner.state_of(CALLS[0]) is None
    assert {f"{CALLS[0]}.1.e0", f"{CALLS[0]}.2.e0"} <= set(torn.event_ids())
    assert sum(event["data"].get("cause", "").startswith("timer.") for event in torn.events()) >= 1
    await rig.close()
    await torn.close()


async def test_a_call_may_come_back_after_it_was_forgotten() -> None:
    """A tombstone ends a call; a new one under the same id begins from nothing."""
    rig = Rig()
    due = rig.clock() - 1
    owner = await rig.take()
    await rig.put(
        command("begin", CALLS[0], 1),
        command("forget", CALLS[0], 2, due=due),
        TimerDue(id="t", call_id=CALLS[0], at=due, name="forget", due=due),
        command("begin", CALLS[0], 3),
    )
    await rig.feed(owner)

    again = await rig.take()

    call = rig.call(CALLS[0])
    assert call is not None
    assert call.version == 1
    assert again.state_of(CALLS[0]) == owner.state_of(CALLS[0])
    await rig.close()


async def test_an_idle_owner_writes_its_position() -> None:
    """The broker forgets the producer id of a partition in which nothing happens for a day."""
    rig = Rig(limits=msgspec.structs.replace(Rig().limits, position_every_s=600.0, session_timeout_s=1e9))
    await rig.put(command("begin", CALLS[0], 1))
    owner = await rig.take()
    await rig.feed(owner)
    count = len(rig.states())

    rig.clock.monotonic_s += 601
    await eventually(lambda: len(rig.states()) > count, "a position record of an idle partition")
    key, record = rig.states()[-1]
    assert key == STATE_POSITION_KEY
    assert record is not None
    assert (record.in_off, record.published) == (0, 0)
    await rig.close()
