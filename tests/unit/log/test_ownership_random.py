"""The ownership loop under random trouble: owners come, go, fall asleep and wake up, and the log fails in between.

What must hold whatever happens: every source record is applied exactly once, in order.
"""

import asyncio
import contextlib
import random
from contextlib import AsyncExitStack

import msgspec
import pytest

from cordboard.errors import LogError
from cordboard.log.claims import claim_of
from cordboard.log.faults import Fault, Operation
from cordboard.log.local_groups import LocalMember
from cordboard.log.memory import MemoryLog
from log_harness import Applied, Journal, entry, eventually, owning
from schemas.topics import Topic

PARTITIONS = 3
STEPS = 60


class Trouble:
    """One run: a log, its owners, those of them that sleep, and the dice."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 dice
        self.log = MemoryLog(PARTITIONS, eager=seed % 2 == 0)
        self.group = self.log.group("engine", Topic.INBOX)
        self.running: list[AsyncExitStack] = []
        self.asleep: list[LocalMember] = []
        self.made = 0

    async def step(self) -> None:
        """Something happens."""
        await self.dice.choice(
            [
                self.publish,
                self.publish,
                self.publish,
                self.fail,
                self.start,
                self.stop,
                self.sleep,
                self.wake,
                self.rob,
            ]
        )()
        for _ in range(self.dice.randrange(5)):
            await asyncio.sleep(0)

    async def publish(self) -> None:
        """A few records, to any partitions."""
        for _ in range(self.dice.randrange(1, 20)):
            await self.log.publish(Topic.INBOX, (entry(self.dice.randrange(PARTITIONS), b"x"),))

    async def fail(self) -> None:
        """Some operation will fail soon, with or without having its effect."""
        on = self.dice.choice([Operation.APPEND, Operation.CLAIM, Operation.REPLAY, Operation.COMMIT])
        written = on in {Operation.APPEND, Operation.CLAIM} and self.dice.random() < 0.5
        self.log.faults.add(Fault(on, nth=self.dice.randrange(1, 4), written=written))

    async def start(self) -> None:
        """Another owner."""
        if len(self.running) < 4:
            self.made += 1
            stack = AsyncExitStack()
            await stack.enter_async_context(owning(self.log, Journal(), name=f"engine-{self.made}"))
            self.running.append(stack)

    async def stop(self) -> None:
        """An owner ends in order; a sleeping one too."""
        if self.running:
            await self.running.pop(self.dice.randrange(len(self.running))).aclose()

    async def sleep(self) -> None:
        """A member's heartbeats fail: others get its partitions, and it does not know."""
        if self.group.members:
            member = self.dice.choice(self.group.members)
            await self.group.evict(member)
            self.asleep.append(member)

    async def wake(self) -> None:
        """A sleeping member finds out, if its owner is still there."""
        if self.asleep:
            member = self.asleep.pop(self.dice.randrange(len(self.asleep)))
            if member.held:
                await self.group.rejoin(member)

    async def rob(self) -> None:
        """Somebody outside the group claims a partition."""
        if self.dice.random() < 0.3:
            with contextlib.suppress(LogError):  # the fault of a claim may strike here
                await self.log.claim(Topic.STATE, self.dice.randrange(PARTITIONS), "robber")

    def applied(self, partition: int) -> list[int]:
        """The source offsets that the state says were applied."""
        values = [r.value for r in self.log.records(Topic.STATE, partition) if claim_of(r) is None]
        return [msgspec.json.decode(value or b"", type=Applied).offset for value in values]

    def is_done(self) -> bool:
        """Whether everything that was published has been applied."""
        return all(len(set(self.applied(p))) == len(self.log.records(Topic.INBOX, p)) for p in range(PARTITIONS))


@pytest.mark.parametrize("seed", range(24))
async def test_every_record_is_applied_once_whatever_happens(seed: int) -> None:
    """After any sequence of trouble, once it ends, the state covers every source offset once and in order."""
    trouble = Trouble(seed)
    for _ in range(STEPS):
        await trouble.step()
    while trouble.asleep:
        await trouble.wake()
    trouble.log.faults = type(trouble.log.faults)()
    if not trouble.running:
        await trouble.start()
    await eventually(trouble.is_done, f"everything applied (seed {seed})", 15)
    while trouble.running:
        await trouble.stop()

    for partition in range(PARTITIONS):
        assert trouble.applied(partition) == list(range(len(trouble.log.records(Topic.INBOX, partition))))
