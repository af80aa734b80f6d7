"""Records that cannot be applied: put aside with their bytes, never in the way of others; too many of them stop us."""

import msgspec
import pytest

from cordboard.errors import AppendFailedError
from cordboard.log.faults import Operation, Point
from cordboard.stop_rule import TooManyDeadLettersError
from engine_shell import CrashError, Rig, calls_in, command
from schemas.codec import encode
from schemas.events import type_of
from schemas.quarantine import Quarantine
from schemas.topics import Topic

CALL, OTHER = calls_in(1, 2)


def reasons(rig: Rig) -> list[str]:
    """Why each dead letter is one."""
    return [dict(letter.headers)["reason"].decode() for letter in rig.dead_letters()]


@pytest.mark.parametrize("value", [b"", None, b"{", b'{"kind":"nothing"}', b"\xff\xfe", b"[" * 100_000])
async def test_bytes_that_are_no_record_are_put_aside(value: bytes | None) -> None:
    """They lie in the dead letters as they came; the records around them are applied."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(command("begin", CALL, 1))
    await rig.put_raw(CALL.encode(), value)
    await rig.put(command("count", CALL, 2))

    await rig.feed(owner)

    (letter,) = rig.dead_letters()
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (CALL.encode(), value or b"")
    assert (headers["reason"], headers["source_topic"]) == (b"undecodable", b"call.inbox")
    assert (headers["source_partition"], headers["source_offset"]) == (b"1", b"1")
    call = rig.call(CALL)
    assert call is not None
    assert call.version == 2
    assert owner.covered() == 3
    await rig.close()


async def test_a_last_record_that_is_faulty_is_covered() -> None:
    """The position moves over it, so that it is not met again after a take-over."""
    rig = Rig()
    owner = await rig.take()
    await rig.put_raw(b"k", b"{")
    await rig.feed(owner)

    again = await rig.take()

    assert again.covered() == 1
    await rig.close()


async def test_a_dead_letter_is_durable_before_its_offset_is_covered() -> None:
    """A death between the two makes it appear twice, never not at all."""
    rig = Rig()
    first = await rig.take()
    await rig.put_raw(b"k", b"{")
    rig.die_at(Operation.APPEND, Point.BEFORE, Topic.STATE)
    with pytest.raises(CrashError):
        await rig.feed(first)
    assert reasons(rig) == ["undecodable"]

    await rig.feed(await rig.take())

    assert reasons(rig) == ["undecodable"] * 2
    await rig.close()


async def test_a_step_that_breaks_leaves_the_call_as_it_was() -> None:
    """A bug in a step costs one record: a dead letter that says why; a command is answered `failed(internal_error)`.

    The call bears a mark that something of it is missing, and is told of; it goes on.
    """
    rig = Rig()
    owner = await rig.take()
    await rig.put(command("begin", CALL, 1))
    await rig.feed(owner)
    before = rig.call(CALL)
    assert before is not None
    await rig.put(command("boom", CALL, 2), command("begin", OTHER, 3))

    await rig.feed(owner)

    mark = Quarantine(command("boom", CALL, 2).id, "poison", before.created_at)
    assert rig.call(CALL) == msgspec.structs.replace(before, version=2, quarantined=mark)
    assert owner.state_of(CALL) == encode(rig.call(CALL))
    assert [e["data"]["reason"] for e in rig.events() if e["type"] == type_of("call.quarantined")] == ["poison"]
    assert reasons(rig) == ["poison"]
    assert dict(rig.dead_letters()[0].headers)["detail"] == b"ValueError: boom"
    answers = {e["data"]["command_id"]: e["data"] for e in rig.events() if e["type"] == "cordboard.result.v1"}
    assert (answers["2"]["outcome"], answers["2"]["reason"]) == ("failed", "internal_error")
    assert answers["3"]["outcome"] == "applied"
    await rig.close()


@pytest.mark.parametrize("begun", [True, False])
async def test_the_answer_to_a_poisoned_command_survives_a_death(begun: bool) -> None:
    """It stands in an outbox like any event: in that of its call, or in that of the position without one."""
    rig = Rig()
    first = await rig.take()
    if begun:
        await rig.put(command("begin", CALL, 1))
        await rig.feed(first)
    await rig.put(command("boom", CALL, 2))
    rig.die_at(Operation.PUBLISH, Point.BEFORE, Topic.EVENTS)
    with pytest.raises(CrashError):
        await rig.feed(first)

    await rig.take()

    answers = [e["data"] for e in rig.events() if e["type"] == "cordboard.result.v1"]
    assert [a["outcome"] for a in answers if a["command_id"] == "2"] == ["failed"]
    await rig.close()


async def test_a_call_that_grows_too_large_is_kept_as_it_was() -> None:
    """A state record that the topic would not take is never tried: the partition would stand still for ever."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(
        command("begin", CALL, 1),
        command("grow", CALL, 2, size=600_000),
        command("grow", CALL, 3, size=1_200_000),
        command("count", CALL, 4),
    )

    await rig.feed(owner)

    call = rig.call(CALL)
    assert reasons(rig) == ["too_large"]
    assert call is not None
    assert (call.version, len(call.context["big"])) == (4, 600_000)
    assert call.quarantined is not None
    assert (call.quarantined.reason, call.quarantined.records) == ("too_large", 1)
    await rig.close()


async def test_many_large_steps_of_one_call_become_several_batches() -> None:
    """The outbox is cumulative within a batch; a batch ends before that could make a record too large."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(command("begin", CALL, 1), command("grow", CALL, 2, size=300_000))
    await rig.put(*(command("count", CALL, n) for n in range(3, 30)))

    await rig.feed(owner)

    assert rig.dead_letters() == ()
    assert owner.covered() == 29
    assert len({record.published for _, record in rig.states() if record is not None}) > 5
    await rig.close()


async def test_a_record_in_the_wrong_partition_begins_no_call() -> None:
    """Two partitions with one call would be two truths; only our partitioner decides."""
    elsewhere = calls_in(2, 1)[0]
    rig = Rig()
    owner = await rig.take()
    await rig.put(command("begin", elsewhere, 1))

    await rig.feed(owner)

    assert owner.state_of(elsewhere) is None
    assert reasons(rig) == ["misrouted"]
    await rig.close()


async def test_fifty_faulty_records_in_a_row_stop_the_partition() -> None:
    """The fault is then ours: nothing more is put aside, also not after the partition is taken anew."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(command("begin", CALL, 1))
    for _ in range(60):
        await rig.put_raw(b"k", b"{")
    await rig.put(command("count", CALL, 2))

    with pytest.raises(TooManyDeadLettersError, match="50 dead letters in a row"):
        await rig.feed(owner)
    assert len(rig.dead_letters()) == 50
    assert owner.covered() == 51
    with pytest.raises(AppendFailedError):
        await rig.feed(owner)
    await owner.release()

    again = await rig.take()
    with pytest.raises(TooManyDeadLettersError):
        await rig.feed(again)
    assert len(rig.dead_letters()) == 50
    assert again.covered() == 51
    await rig.close()


async def test_quarantined_calls_do_not_hide_a_row_of_dead_letters() -> None:
    """Marking a call is no success: fifty poisoned records in a row stop the partition as well."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(command("begin", CALL, 1), *(command("boom", CALL, n + 2) for n in range(60)))

    with pytest.raises(TooManyDeadLettersError, match="50 dead letters in a row"):
        await rig.feed(owner)

    call = rig.call(CALL)
    assert call is not None
    assert call.quarantined is not None
    assert (call.quarantined.records, len(rig.dead_letters())) == (50, 50)
    await rig.close()


async def test_faulty_records_among_many_good_ones_do_not_stop_the_partition() -> None:
    """One in two hundred is below the limit."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(command("begin", CALL, 1))
    for block in range(12):
        await rig.put_raw(b"k", b"{")
        await rig.put(*(command("count", CALL, 1000 * block + n + 2) for n in range(200)))
    await rig.feed(owner)

    assert reasons(rig) == ["undecodable"] * 12
    await rig.close()


async def test_a_dead_letter_near_the_limit_is_cut_and_says_so() -> None:
    """What no longer fits with its headers is shortened: the head of it is better than nothing."""
    rig = Rig()
    owner = await rig.take()
    await rig.put_raw(b"k", b"{" + b" " * 999_990)

    await rig.feed(owner)

    (letter,) = rig.dead_letters()
    assert dict(letter.headers)["truncated_from"] == b"999991"
    assert letter.value is not None
    assert len(letter.value) == 996_000
    await rig.close()


async def test_events_carry_the_trace_of_the_record() -> None:
    """Who traces a command finds its events and its result."""
    rig = Rig()
    owner = await rig.take()
    begin = command("begin", CALL, 1)
    await rig.put(begin, msgspec.structs.replace(command("count", CALL, 2), trace=None))

    await rig.feed(owner)

    assert [event.get("traceparent") for event in rig.events()] == [begin.trace, begin.trace, None, None]
    assert encode(rig.events()[0]["time"]) == b'"2027-01-15T08:00:00.000Z"'
    await rig.close()
