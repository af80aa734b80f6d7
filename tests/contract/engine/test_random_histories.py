"""Random records, batches, repetitions and deaths: nothing is lost, nothing applied twice, one id says one thing."""

import asyncio
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import AppendFailedError
from cordboard.log.faults import Fault, Operation, Point
from cordboard.log.port import Entry
from engine.partition import EnginePartition
from engine_shell import CrashError, Rig, calls_in, command, report
from schemas.records import Command, Inbox, Resumed
from schemas.topics import Topic

CALLS = calls_in(1, 3)
DEATHS = [
    (Operation.APPEND, Point.BEFORE, Topic.STATE),
    (Operation.APPEND, Point.AFTER, Topic.STATE),
    (Operation.PUBLISH, Point.BEFORE, Topic.ACTIONS),
    (Operation.PUBLISH, Point.AFTER, Topic.ACTIONS),
    (Operation.PUBLISH, Point.BEFORE, Topic.EVENTS),
    (Operation.PUBLISH, Point.AFTER, Topic.EVENTS),
    (Operation.PUBLISH, Point.BEFORE, Topic.DEAD_LETTERS),
]


class Died(msgspec.Struct, frozen=True):
    """Die at the nth such point."""

    where: int
    nth: int


class LostAck(msgspec.Struct, frozen=True):
    """The next append is doubtful."""

    written: bool


class Fed(msgspec.Struct, frozen=True):
    """Give the owner what is there, in batches of this size."""

    batch: int


class Taken(msgspec.Struct, frozen=True):
    """A new owner; the former one lives on as a zombie and is given the same records once more."""


records = st.tuples(
    st.sampled_from(["begin", "count", "act", "grow", "boom", "garbage"]),
    st.integers(0, len(CALLS) - 1),
    st.integers(0, 25),  # few numbers: repetitions are common
)
events = st.one_of(
    records,
    records,
    records,
    st.builds(Fed, st.integers(1, 7)),
    st.builds(Died, st.integers(0, len(DEATHS) - 1), st.integers(1, 3)),
    st.builds(LostAck, st.booleans()),
    st.builds(Taken),
)


@settings(max_examples=150)
@given(st.lists(events, max_size=60))
def test_nothing_is_lost_and_nothing_applied_twice(history: list[object]) -> None:
    """Whatever happens in between, the state is that of an undisturbed run, and so is the set of what has left."""
    asyncio.run(compare(history))


async def compare(history: list[object]) -> None:
    """Live through `history`, then through the same records undisturbed."""
    disturbed = Rig()
    await live(disturbed, history)
    calm = Rig()
    inbox = disturbed.log.records(Topic.INBOX, 1)
    await calm.log.publish(Topic.INBOX, [Entry(1, r.key or b"", r.value) for r in inbox])
    await calm.feed(await calm.take())
    last = disturbed.owners[-1]
    states = [last.state_of(c) for c in CALLS]
    assert states == [calm.owners[-1].state_of(c) for c in CALLS], "state"
    assert set(disturbed.event_ids()) == set(calm.event_ids()), "events"
    assert set(disturbed.actions()) == set(calm.actions()), "actions"
    assert said(disturbed) == said(calm), "one id says one thing"
    assert set(letters(disturbed)) == set(letters(calm)), "dead letters"
    again = await disturbed.take()
    assert [again.state_of(c) for c in CALLS] == states, "restored"
    counted = {c: call.routed for c in CALLS if (call := disturbed.call(c)) is not None}
    assert counted == expected_counts(disturbed), "applied exactly once each"
    await disturbed.close()
    await calm.close()


async def live(rig: Rig, history: list[object]) -> None:
    """Play the history; in the end whoever owns the partition is given all that is left."""
    owner = await rig.take()
    for event in history:
        match event:
            case (str(name), int(call), int(number)):
                await put(rig, name, call, number)
            case Died(where, nth):
                rig.die_at(*DEATHS[where], nth=nth)
            case LostAck(written):
                rig.log.faults.add(Fault(Operation.APPEND, Topic.STATE, written=written))
            case Fed(batch):
                owner = await feed(rig, owner, batch)
            case Taken():
                zombie, owner = owner, await take(rig)
                await feed_zombie(rig, zombie)
    rig.log.faults.hook = None
    for _ in range(len(rig.log.faults.pending()) + 1):
        owner = await feed(rig, owner, 500)
    assert owner.covered() in {len(rig.log.records(Topic.INBOX, 1)), None}


async def put(rig: Rig, name: str, call: int, number: int) -> None:
    """Into the inbox."""
    if name == "garbage":
        await rig.put_raw(CALLS[call].encode(), b"{%d" % number)
    elif name == "act" and number % 3 == 0:
        await rig.put(report(CALLS[call], f"{CALLS[call]}.{number}.0"))
    else:
        await rig.put(command(name, CALLS[call], number * len(CALLS) + call, size=number))


async def take(rig: Rig) -> EnginePartition:
    """A new owner, as often as it takes."""
    while True:
        try:
            return await rig.take()
        except CrashError:
            continue


async def feed(rig: Rig, owner: EnginePartition, batch: int) -> EnginePartition:
    """Give the owner all there is; when it dies, the next one goes on."""
    while True:
        try:
            await rig.feed(owner, batch)
            return owner
        except (CrashError, AppendFailedError):
            owner = await take(rig)


async def feed_zombie(rig: Rig, zombie: EnginePartition) -> None:
    """It believes that it owns the partition."""
    if len(rig.log.records(Topic.INBOX, 1)) > (zombie.covered() or 0):
        with pytest.raises((CrashError, AppendFailedError)):
            await rig.feed(zombie)


def said(rig: Rig) -> dict[str, set[bytes]]:
    """Every event's bytes by id: each id may have one content only."""
    contents: dict[str, set[bytes]] = {}
    for record in rig.log.records(Topic.EVENTS, 1):
        value = record.value or b""
        contents.setdefault(msgspec.json.decode(value)["id"], set()).add(value)
    return contents


def letters(rig: Rig) -> list[tuple[bytes, bytes]]:
    """Which records were put aside, and why."""
    return [(dict(r.headers)["source_offset"], dict(r.headers)["reason"]) for r in rig.dead_letters()]


def expected_counts(rig: Rig) -> dict[str, int]:
    """How many distinct records each call has taken, counted from the inbox alone."""
    begun: set[str] = set()
    seen: set[tuple[str, str]] = set()
    counts: Counter[str] = Counter()
    for raw in rig.log.records(Topic.INBOX, 1):
        try:
            record = msgspec.json.decode(raw.value or b"", type=Inbox)
        except msgspec.MsgspecError:
            continue
        name = record.name if isinstance(record, Command) else ""
        if name == "boom" or isinstance(record, Resumed):
            continue
        if record.call_id not in begun:
            if name == "begin":
                begun.add(record.call_id)
                counts[record.call_id] = 0
        elif (record.call_id, record.id) not in seen:
            seen.add((record.call_id, record.id))
            counts[record.call_id] += 1
    return dict(counts)
