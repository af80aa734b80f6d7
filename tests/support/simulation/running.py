"""Running a plan from the first call to silence, in a loop and a context of its own."""

import asyncio
import contextlib
import gc
from contextvars import copy_context
from hashlib import blake2b

from schemas.state import Call, CallState
from schemas.task_states import TaskState
from schemas.topics import Topic
from simulation.agreement import Agreed, calls_of
from simulation.loop import SimLoop
from simulation.plan import Plan
from simulation.seams import FORGET_AFTER_S, scaled, seams
from simulation.world import WORLD, World

_HEAL_S = 30.0
_REAP_S = 1300.0
_SETTLE_S = 90.0
_STEP_S = 10.0
_IN_HAND_MS = 2_000
_LOOKS = 10
_LOOK_AGAIN_S = 7.3


class Run:
    """What a run has left behind, to be judged."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lag_after_healing: dict[str, int] = {}
        self.agreed = Agreed(world)
        self.ended_ms = 0
        self.stuck = ""
        """Why the run did not come to its end, if it did not."""

    def digest(self) -> str:
        """What has happened, in a word: two runs of one plan have the same."""
        hashed = blake2b(digest_size=16)
        for line in self.world.lines:
            hashed.update(line.encode())
        for topic in Topic:
            for partition in range(self.world.plan.partitions):
                for record in self.world.log.records(topic, partition):
                    hashed.update(b"%d %d %r" % (record.offset, record.timestamp_ms, record.value))
        return hashed.hexdigest()


def carry_out(plan: Plan) -> Run:
    """Carry a plan out."""
    return copy_context().run(_carry_out, plan)


def _carry_out(plan: Plan) -> Run:
    collecting = gc.isenabled()
    gc.disable()
    loop = SimLoop()
    world = World(plan, loop)
    WORLD.set(world)
    run = Run(world)
    try:
        with seams(world.logged), scaled(plan):
            try:
                loop.run_until_complete(_live(run))
            except Exception as error:  # noqa: BLE001 - a run that breaks is a finding
                run.stuck = f"{type(error).__name__}: {error}"
            _close(world)
    finally:
        if collecting:
            gc.enable()
    return run


async def _live(run: Run) -> None:
    world = run.world
    await world.run()
    _stop_faults(world)
    await asyncio.sleep(_HEAL_S)
    run.lag_after_healing = lag_of(world)
    await _quiet(world, _REAP_S if _may_have_lost(world) else _SETTLE_S)
    run.agreed = Agreed(world)
    for _ in range(_LOOKS):
        if not any(run.agreed.disagreements()):
            break
        await asyncio.sleep(_LOOK_AGAIN_S)  # something may be under way just now
        run.agreed = Agreed(world)
    world.trace("everybody goes home")
    for line in list(world.phones.lines.values()):
        world.phones.hang_up(line)
    await _quiet(world, _REAP_S, until_ended=True)
    await asyncio.sleep(FORGET_AFTER_S + _STEP_S if world.plan.forgets else _STEP_S)
    run.ended_ms = world.loop.clock_ms()


def _stop_faults(world: World) -> None:
    world.trace("no more faults")
    world.script.armed = False
    world.log.away.clear()
    for node in world.nodes:
        process = node.process
        if process is not None and process.paused:
            world.wake(process)
        node.start()


def _may_have_lost(world: World) -> bool:
    return any(callback.lost for callback in world.network.callbacks)


async def _quiet(world: World, seconds: float, *, until_ended: bool = False) -> None:
    """Let time pass; shorter when there is nothing left that it could bring."""
    loop = world.loop
    end = loop.time() + seconds
    while loop.time() < end:
        await asyncio.sleep(_STEP_S)
        if until_ended and all(map(_is_over, calls_of(world))):
            return


def _is_over(call: Call) -> bool:
    """Nothing more is to be done about it; its workers have written it up."""
    written_up = not any(task.state is TaskState.WRAPPING for task in call.tasks)
    return call.state is CallState.ENDED and not call.pending and written_up


def lag_of(world: World) -> dict[str, int]:
    """Inbox records, by partition, that nobody has dealt with although they have been there for a while."""
    behind: dict[str, int] = {}
    old_ms = world.loop.clock_ms() - _IN_HAND_MS
    for partition in range(world.plan.partitions):
        owner = world.live(partition)
        covered = (owner.covered() if owner is not None else None) or 0
        left = [r for r in world.log.records(Topic.INBOX, partition)[covered:] if r.timestamp_ms < old_ms]
        if left:
            behind[f"inbox[{partition}]"] = len(left)
    for node in world.nodes:
        spooled = [r for r in node.platter.records.values() if r.at_ms < old_ms]
        if spooled:
            behind[f"the spool of {node.name}"] = len(spooled)
    return behind


def _close(world: World) -> None:
    """End every task, so that nothing of this run is left for the next one."""
    loop = world.loop
    for node in world.nodes:
        if node.process is not None:
            node.process.kill()
    with contextlib.suppress(Exception):
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(_gone(tasks))
    loop.close()


async def _gone(tasks: "set[asyncio.Task[object]]") -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=5.0)
