"""What the catalogue promises is counted: applied, ignored, answered, put aside, live, pending, armed."""

from prometheus_client import REGISTRY

from engine_shell import Rig, calls_in, command, webhook
from schemas.records import TimerDue

PARTITION = 3
CALL, OTHER = calls_in(PARTITION, 2)


def figure(sample: str, labels: dict[str, str]) -> float:
    """A sample of the process's registry; 0 where there is none yet."""
    return REGISTRY.get_sample_value(sample, labels) or 0.0


def gauges() -> list[float | None]:
    """Live calls, pending actions, armed timers."""
    names = ("cordboard_calls_live", "cordboard_actions_pending", "cordboard_timers_armed")
    return [REGISTRY.get_sample_value(name, {"partition": str(PARTITION)}) for name in names]


async def test_a_batch_is_counted() -> None:
    """By kind, reason, name and outcome."""
    watched: list[tuple[str, dict[str, str]]] = [
        ("cordboard_records_applied_total", {"kind": "command"}),
        ("cordboard_records_ignored_total", {"reason": "unknown_call"}),
        ("cordboard_commands_answered_total", {"name": "unknown", "outcome": "applied"}),
        ("cordboard_dead_letters_total", {"reason": "undecodable"}),
    ]
    before = [figure(name, labels) for name, labels in watched]
    rig = Rig(PARTITION)
    owner = await rig.take()
    await rig.put(command("begin", CALL, 1), command("count", CALL, 2), command("act", CALL, 3))
    await rig.put(TimerDue(id="t", call_id=OTHER, at=1, name="x", due=1))
    await rig.put_raw(b"k", b"{")
    await rig.feed(owner)

    assert [figure(name, labels) - was for (name, labels), was in zip(watched, before, strict=True)] == [3, 1, 2, 1]
    await rig.close()


async def test_gauges_follow_the_calls_and_are_the_same_after_a_take_over() -> None:
    """Counted up and down by what steps change, and counted anew from the state; gone when the partition is."""
    rig = Rig(PARTITION)
    due = rig.clock() + 60_000
    await rig.put(
        command("begin", CALL, 1),
        command("act", CALL, 2),
        command("arm", CALL, 3, timer="ring", due=due),
        command("begin", OTHER, 4),
        command("act", OTHER, 5),
        command("forget", OTHER, 6, due=due),
        webhook(calls_in(PARTITION, 3)[2], 7),
    )
    owner = await rig.take()
    await rig.feed(owner)
    assert gauges() == [1, 2, 2]
    await owner.release()
    assert gauges() == [None, None, None]

    again = await rig.take()
    assert gauges() == [1, 2, 2]
    await rig.put(TimerDue(id="t", call_id=OTHER, at=due, name="forget", due=due))
    await rig.feed(again)

    assert gauges() == [1, 1, 1]
    await rig.close()
