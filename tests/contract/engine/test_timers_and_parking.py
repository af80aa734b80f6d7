"""What waits in the state comes back as a record: timers when due, callbacks when their call begins or is too late."""

import msgspec

from engine.limits import EngineLimits
from engine_shell import PARKED_FOR_MS, Rig, calls_in, command, eventually, webhook
from schemas.ids import timer_record_id
from schemas.records import TimerDue, Webhook
from schemas.topics import PARKED_KEY_PREFIX, Topic

CALL, OTHER = calls_in(1, 2)


def timers_fired(rig: Rig) -> list[TimerDue]:
    """What the engine put into the inbox."""
    return rig.in_inbox(TimerDue)


async def test_a_due_timer_becomes_a_record_of_its_call() -> None:
    """Not before it is due; then once, under a derived id, and the step that it causes disarms it."""
    rig = Rig()
    due = rig.clock() + 500
    await rig.put(command("begin", CALL, 1), command("arm", CALL, 2, timer="ring", due=due))
    owner = await rig.take()
    await rig.feed(owner)
    rig.clock.now_ms = due - 1
    await rig.put(command("count", CALL, 3))
    await rig.feed(owner)
    assert timers_fired(rig) == []

    rig.clock.now_ms = due
    await eventually(lambda: bool(timers_fired(rig)), "the timer")
    await rig.feed(owner)

    expected = TimerDue(id=timer_record_id(CALL, "ring", due), call_id=CALL, at=due, name="ring", due=due)
    assert timers_fired(rig) == [expected]
    call = rig.call(CALL)
    assert call is not None
    assert call.timers == {}
    await rig.close()


async def test_timers_survive_a_take_over() -> None:
    """What fell due while nobody owned the partition fires at once; what has not, when it is due."""
    rig = Rig()
    soon, later = rig.clock() + 100, rig.clock() + 60_000
    await rig.put(
        command("begin", CALL, 1),
        command("arm", CALL, 2, timer="soon", due=soon),
        command("arm", CALL, 3, timer="later", due=later),
    )
    first = await rig.take()
    await rig.feed(first)
    await first.release()
    rig.clock.now_ms = soon + 5_000

    second = await rig.take()
    await eventually(lambda: bool(timers_fired(rig)), "the timer that is late")
    assert [t.name for t in timers_fired(rig)] == ["soon"]
    await rig.feed(second)
    rig.clock.now_ms = later
    await eventually(lambda: len(timers_fired(rig)) == 2, "the other one")

    assert [t.name for t in timers_fired(rig)] == ["soon", "later"]
    await rig.close()


async def test_a_timer_that_was_set_anew_or_cancelled_does_not_fire() -> None:
    """The state is the truth: entries of the heap that it no longer knows are passed over."""
    rig = Rig()
    first, second = rig.clock() + 100, rig.clock() + 200
    await rig.put(
        command("begin", CALL, 1),
        command("arm", CALL, 2, timer="ring", due=first),
        command("arm", CALL, 3, timer="ring", due=second),
        command("begin", OTHER, 4),
        command("arm", OTHER, 5, timer="ring", due=first),
        TimerDue(id="early", call_id=OTHER, at=1, name="ring", due=first),
    )
    owner = await rig.take()
    await rig.feed(owner)
    count = len(timers_fired(rig))

    rig.clock.now_ms = second
    await eventually(lambda: len(timers_fired(rig)) > count, "the timer as it was set last")
    await rig.feed(owner)

    assert [(t.call_id, t.due) for t in timers_fired(rig)[count:]] == [(CALL, second)]
    await rig.close()


async def test_a_timer_fires_again_only_when_its_record_was_not_applied_for_long() -> None:
    """One ownership fires a timer once, unless the record has been lost on its way for `refire_s`; then the same id."""
    rig = Rig(limits=EngineLimits(tick_s=0.002, refire_s=15.0, session_timeout_s=1e9, position_every_s=1e9))
    due = rig.clock() + 10
    await rig.put(command("begin", CALL, 1), command("arm", CALL, 2, timer="ring", due=due))
    owner = await rig.take()
    await rig.feed(owner)
    rig.clock.now_ms = due
    await eventually(lambda: len(timers_fired(rig)) == 1, "the timer")

    rig.clock.now_ms = due + 14_999
    await rig.put(command("begin", OTHER, 3), command("arm", OTHER, 4, timer="other", due=due))
    await owner.handle(rig.log.records(Topic.INBOX, 1)[3:])
    await eventually(lambda: len(timers_fired(rig)) == 2, "another timer, so that a look has been taken")
    assert [t.name for t in timers_fired(rig)] == ["ring", "other"]

    rig.clock.now_ms = due + 15_000
    await eventually(lambda: len(timers_fired(rig)) == 3, "the first timer again")
    assert timers_fired(rig)[2].id == timers_fired(rig)[0].id
    await rig.close()


async def test_a_released_partition_fires_nothing() -> None:
    """After the release no timer leaves, however due it is."""
    rig = Rig()
    due = rig.clock() + 10
    await rig.put(command("begin", CALL, 1), command("arm", CALL, 2, timer="ring", due=due))
    first = await rig.take()
    await rig.feed(first)
    await first.release()

    rig.clock.now_ms = due
    second = await rig.take()
    await eventually(lambda: bool(timers_fired(rig)), "the timer, from the successor")
    await rig.feed(second)

    assert len(timers_fired(rig)) == 1
    await rig.close()


async def test_an_early_callback_waits_in_the_state_and_comes_back_when_its_call_begins() -> None:
    """It does not wait longer than it must, and leaves the state with the step that applies it."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(webhook(CALL, 7))
    await rig.feed(owner)
    key, parked = rig.states()[-1]
    assert key == PARKED_KEY_PREFIX + b"status.7"
    assert parked is not None
    assert (parked.in_off, parked.call, parked.until) == (0, None, rig.clock() + PARKED_FOR_MS)

    await rig.put(command("begin", CALL, 1))
    await rig.feed(owner)
    await eventually(lambda: len(rig.in_inbox(Webhook)) == 2, "the callback once more")
    await rig.feed(owner)

    assert [w.parked for w in rig.in_inbox(Webhook)] == [False, True]
    assert rig.states()[-1] == (key, None)
    call = rig.call(CALL)
    assert call is not None
    assert call.routed == 1
    assert rig.dead_letters() == ()
    await rig.close()


async def test_a_callback_whose_call_never_comes_is_a_dead_letter() -> None:
    """After its time it comes back, is unplaced, and lies in the dead letters with the bytes as they came first."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(webhook(CALL, 7))
    await rig.feed(owner)

    rig.clock.now_ms += PARKED_FOR_MS
    await eventually(lambda: len(rig.in_inbox(Webhook)) == 2, "the callback once more")
    await rig.feed(owner)

    (letter,) = rig.dead_letters()
    headers = dict(letter.headers)
    assert letter.value == rig.log.records(Topic.INBOX, 1)[0].value
    assert letter.key == CALL.encode()
    assert (headers["reason"], headers["source_topic"]) == (b"unplaced", b"call.inbox")
    assert rig.states()[-1][1] is None
    await rig.close()


async def test_a_waiting_callback_survives_a_take_over() -> None:
    """Who takes the partition finds it in the state and gives it in again when its time has come."""
    rig = Rig()
    first = await rig.take()
    await rig.put(webhook(CALL, 7))
    await rig.feed(first)
    await first.release()
    rig.clock.now_ms += PARKED_FOR_MS

    second = await rig.take()
    await eventually(lambda: len(rig.in_inbox(Webhook)) == 2, "the callback once more")
    await rig.feed(second)
    third = await rig.take()

    assert len(rig.dead_letters()) == 1
    assert third.covered() == 2
    assert rig.in_inbox(Webhook)[1] == msgspec.structs.replace(webhook(CALL, 7), parked=True)
    await rig.close()


async def test_a_repetition_may_wait_again_behind_the_one_that_was_applied() -> None:
    """The order of the inbox decides what waits: leaving, then waiting again, is waiting."""
    rig = Rig()
    owner = await rig.take()
    await rig.put(webhook(CALL, 7), msgspec.structs.replace(webhook(CALL, 7), parked=True), webhook(CALL, 7))
    await rig.feed(owner)
    rig.clock.now_ms += PARKED_FOR_MS

    await eventually(lambda: len(rig.in_inbox(Webhook)) == 4, "the one that waits again")
    await rig.feed(owner)

    assert len(rig.dead_letters()) == 2
    assert rig.states()[-1][1] is None
    await rig.close()
