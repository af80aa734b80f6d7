"""The failure matrix of reliability.md 2.3, a test for each row: whatever the moment of death, nothing lost or doubled.

"Doubled" is judged as a consumer does that drops by id: the same id may come again, another one for the same thing not.
"""

import pytest

from cordboard.errors import AppendFailedError, FencedError
from cordboard.log.faults import Fault, Operation, Point
from engine_shell import CrashError, Rig, calls_in, command, report
from schemas.topics import Topic

CALL = calls_in(1, 1)[0]
WORK = (
    command("begin", CALL, 1),
    command("act", CALL, 2),
    command("count", CALL, 3),
    command("act", CALL, 4),
)
ACTIONS = [f"{CALL}.2.0", f"{CALL}.4.0"]


async def undisturbed() -> tuple[bytes, list[str]]:
    """The state and the event ids of a run in which nothing goes wrong."""
    rig = Rig()
    await rig.put(*WORK)
    owner = await rig.take()
    await rig.feed(owner)
    state = owner.state_of(CALL)
    assert state is not None
    await rig.close()
    return state, rig.event_ids()


async def require_the_same_as_undisturbed(rig: Rig) -> None:
    """The call's bytes are those of a run without a death, and so is the set of what left."""
    state, event_ids = await undisturbed()
    owner = rig.owners[-1]
    assert owner.state_of(CALL) == state
    assert set(rig.event_ids()) == set(event_ids)
    assert set(rig.actions()) == set(ACTIONS)
    assert len(rig.log.faults.pending()) == 0


@pytest.mark.parametrize(
    ("operation", "point", "topic"),
    [
        pytest.param(Operation.APPEND, Point.BEFORE, Topic.STATE, id="before_state_append"),
        pytest.param(Operation.APPEND, Point.AFTER, Topic.STATE, id="append_sent_ack_lost"),
        pytest.param(Operation.PUBLISH, Point.BEFORE, Topic.ACTIONS, id="after_append_before_publish_of_actions"),
        pytest.param(Operation.PUBLISH, Point.BEFORE, Topic.EVENTS, id="after_append_before_publish_of_events"),
        pytest.param(Operation.PUBLISH, Point.AFTER, Topic.ACTIONS, id="after_publish_of_actions"),
        pytest.param(Operation.PUBLISH, Point.AFTER, Topic.EVENTS, id="after_publish_of_events"),
    ],
)
@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_death_at_any_step_of_a_batch(operation: Operation, point: Point, topic: Topic, batch: int) -> None:
    """Wherever a batch ends, the next owner finds or makes the same state and says the same things."""
    rig = Rig()
    await rig.put(*WORK)
    first = await rig.take()
    rig.die_at(operation, point, topic)
    with pytest.raises(CrashError):
        await rig.feed(first, batch)

    second = await rig.take()
    await rig.feed(second, batch)

    await require_the_same_as_undisturbed(rig)
    await rig.close()


async def test_death_before_the_state_append_leaves_no_trace() -> None:
    """What was not appended has not left either: nothing on actions or events, and the record is applied afresh."""
    rig = Rig()
    await rig.put(*WORK)
    first = await rig.take()
    rig.die_at(Operation.APPEND, Point.BEFORE, Topic.STATE)
    with pytest.raises(CrashError):
        await rig.feed(first)

    assert rig.states() == []
    assert rig.actions() == []
    assert rig.events() == []

    await rig.feed(await rig.take())

    await require_the_same_as_undisturbed(rig)
    await rig.close()


@pytest.mark.parametrize("written", [True, False], ids=["in_the_log", "not_in_the_log"])
async def test_append_sent_and_ack_lost(written: bool) -> None:
    """A doubtful append is the end of this owner; replay decides what is true."""
    rig = Rig()
    await rig.put(*WORK)
    first = await rig.take()
    rig.log.faults.add(Fault(Operation.APPEND, Topic.STATE, written=written))

    with pytest.raises(AppendFailedError):
        await rig.feed(first)
    with pytest.raises(AppendFailedError):
        await first.handle(rig.log.records(Topic.INBOX, 1))
    await rig.lose(first)
    assert rig.actions() == []

    second = await rig.take()
    assert second.covered() == (len(WORK) if written else None)
    await rig.feed(second)

    await require_the_same_as_undisturbed(rig)
    await rig.close()


async def test_after_append_before_publish_the_same_ids_leave() -> None:
    """Pending actions and the outbox are published by the next owner, byte for byte what would have left."""
    rig = Rig()
    await rig.put(*WORK)
    first = await rig.take()
    rig.die_at(Operation.PUBLISH, Point.BEFORE, Topic.EVENTS)
    with pytest.raises(CrashError):
        await rig.feed(first)
    assert rig.events() == []

    await rig.take()

    state, event_ids = await undisturbed()
    assert rig.event_ids() == event_ids
    assert rig.actions()[-2:] == ACTIONS
    assert rig.owners[-1].state_of(CALL) == state
    await rig.close()


async def test_after_publish_before_the_workers_report_the_action_leaves_again() -> None:
    """An action without a report is published at every take-over; with one, it is not."""
    rig = Rig()
    await rig.put(*WORK)
    await rig.feed(await rig.take())
    assert rig.actions() == ACTIONS

    second = await rig.take()
    assert rig.actions() == ACTIONS * 2

    await rig.put(report(CALL, ACTIONS[0]))
    await rig.feed(second)
    await rig.take()
    assert rig.actions() == [*ACTIONS * 2, ACTIONS[1]]
    await rig.close()


async def test_a_zombie_that_wakes_up_is_refused_and_publishes_nothing() -> None:
    """Its append is fenced; publishing needs the append."""
    rig = Rig()
    zombie = await rig.take()
    await rig.put(*WORK)
    await rig.feed(await rig.take())
    before = len(rig.states()), rig.actions(), rig.event_ids()

    with pytest.raises(FencedError):
        await zombie.handle(rig.log.records(Topic.INBOX, 1))
    await rig.lose(zombie)

    assert (len(rig.states()), rig.actions(), rig.event_ids()) == before
    await rig.close()


async def test_a_zombie_publishing_what_it_appended_before_the_claim_says_the_same() -> None:
    """Actions of an append made before the claim may leave twice, from two owners: under one id."""
    rig = Rig()
    await rig.put(*WORK)
    zombie = await rig.take()
    successor = None

    async def claim_meanwhile(on: Operation, at: Point, topic: Topic, _partition: int) -> None:
        nonlocal successor
        if (on, at, topic) == (Operation.APPEND, Point.AFTER, Topic.STATE):
            rig.log.faults.hook = None
            successor = await rig.take()

    rig.log.faults.hook = claim_meanwhile
    with pytest.raises(FencedError):  # at the next record, the one by which the successor has the call looked at
        await rig.feed(zombie)

    assert successor is not None
    assert rig.actions() == ACTIONS * 2
    event_ids = (await undisturbed())[1]
    assert rig.event_ids() == event_ids * 2
    await rig.close()


async def test_a_process_that_stood_still_appends_nothing_more() -> None:
    """After half the session time-out without a beat the partition may be somebody else's: it is taken anew."""
    rig = Rig()
    await rig.put(*WORK)
    frozen = await rig.take()
    rig.clock.monotonic_s += 6.0

    with pytest.raises(AppendFailedError, match="stood still"):
        await rig.feed(frozen)
    await rig.lose(frozen)
    assert (rig.states(), rig.actions(), rig.events()) == ([], [], [])

    await rig.feed(await rig.take())
    await require_the_same_as_undisturbed(rig)
    await rig.close()


async def test_broker_loss_while_appending_means_taking_again() -> None:
    """While the log is away every append is doubtful; once it is back the partition is taken and nothing is missing."""
    rig = Rig()
    await rig.put(*WORK)
    first = await rig.take()
    rig.log.unavailable = "the broker is away"
    with pytest.raises(AppendFailedError):
        await rig.feed(first)
    await rig.lose(first)

    rig.log.unavailable = None
    await rig.feed(await rig.take())

    await require_the_same_as_undisturbed(rig)
    await rig.close()


async def test_broker_loss_while_publishing_means_trying_again() -> None:
    """What is durable in the state is published with back-off until it is acknowledged, in order and without a gap."""
    rig = Rig()
    await rig.put(*WORK)
    owner = await rig.take()
    rig.log.faults.add(
        Fault(Operation.PUBLISH, Topic.ACTIONS, times=3),
        Fault(Operation.PUBLISH, Topic.EVENTS, times=2, written=True),
    )

    await rig.feed(owner)

    await require_the_same_as_undisturbed(rig)
    assert rig.actions() == ACTIONS
    await rig.close()


async def test_events_leave_in_the_order_of_versions() -> None:
    """Per call, what leaves first was caused first."""
    rig = Rig()
    await rig.put(*WORK)
    await rig.feed(await rig.take(), batch=2)

    causes = [event["data"]["cause"] for event in rig.events() if "cause" in event["data"]]

    assert causes == [record.id for record in WORK]
    await rig.close()
