"""Nodes: what runs in a process, how it comes, dies, stands still and comes back."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from actions.config import ActionsConfig
from actions.services import ActionServices
from actions.worker import action_partition_factory
from cordboard.accounts import Account, Accounts
from cordboard.log.owned import Owned
from cordboard.log.ownership import Owner, OwnerLimits
from engine.core.config import CoreConfig
from engine.core.step import Switchboard
from engine.limits import EngineLimits
from engine.partition import EnginePartition, engine_partition_factory
from engine.resuming import LookAt
from engine.router import Router
from ingress.config import IngressConfig
from ingress.recorder import Recorder
from ingress.spool import Spool, SpoolLimits
from schemas.policy import Policies, Policy
from schemas.topics import Topic
from simulation.centre import WORKFLOW, WORKSPACE
from simulation.disk import Platter, SimDisk
from simulation.network import PUBLIC_URL, UnsignedIngress
from simulation.phones import ACCOUNT
from simulation.process import Process, ProcessLog

if TYPE_CHECKING:
    from simulation.world import World

NUMBER = "+15550999999"
ALL = ("edge", "engine", "actions")
_OWNER = OwnerLimits(poll_s=60.0, commit_every_s=6.0)
_DRAIN_S = 10.0
_NEVER_S = 1e9


class Node:
    """One machine's worth of Cordboard: `roles` of `ALL`."""

    def __init__(self, world: "World", name: str, roles: tuple[str, ...]) -> None:
        self.name = name
        self.roles = roles
        self.process: Process | None = None
        self.ingress: UnsignedIngress | None = None
        self.platter = Platter()
        self._world = world
        self._born = 0
        self._stop = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start a process, if there is none."""
        if self.process is not None and not self.process.dead:
            return
        self._born += 1
        process = Process(self._world.loop, f"{self.name}.{self._born}")
        self.process = process
        self._stop = asyncio.Event()
        self._world.trace(f"{process.name} starts")
        self._main = process.spawn(self._run(process, self._stop), process.name)
        self._main.add_done_callback(lambda task: self._ended(process, task))

    def kill(self, back_after_s: float) -> None:
        """End it at once, and start it after some seconds."""
        process = self.process
        if process is None or process.dead:
            return
        self._world.trace(f"{process.name} is killed")
        self.ingress = None
        process.kill()
        self._world.later(self._world.session_s, lambda: self._world.evict(process))
        self._world.later(back_after_s, self.start)

    async def drain(self, back_after_s: float) -> None:
        """SIGTERM, and a start after some seconds; who does not end in time is killed."""
        process, main = self.process, self._main
        if process is None or main is None or process.dead:
            return
        self._world.trace(f"{process.name} drains")
        freezes, asleep = process.freezes, process.paused
        self._stop.set()
        process.stop()
        await asyncio.wait({main}, timeout=_DRAIN_S)
        if _died(process):
            return
        if not main.done():
            if not (asleep or process.paused) and process.freezes == freezes:
                self._world.overdue.append(f"{process.name} did not end within {_DRAIN_S:g} s of SIGTERM")
            self.kill(back_after_s)
            return
        process.dead = True
        self.ingress = None
        self._world.later(back_after_s, self.start)

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        """A process that ends by itself is a fault of ours, and is started again, as any supervisor would."""
        if process.dead or self._stop.is_set():
            return
        error = None if task.cancelled() else task.exception()
        self._world.overdue.append(f"{process.name} ended by itself: {error!r}")
        self.kill(1.0)

    async def _run(self, process: Process, stop: asyncio.Event) -> None:
        world, log = self._world, ProcessLog(self._world.log, process, self._world.loop, self._world.assigned)
        async with AsyncExitStack() as stack:
            works = []
            if "edge" in self.roles:
                policies = Policies(Policy(**world.plan.policy))
                config = IngressConfig(public_url=PUBLIC_URL, accounts=Accounts((_account(),)), policies=policies)
                spool = Spool(SimDisk(world, process, self.platter), SpoolLimits(world.plan.spool), world.loop.clock_ms)
                recorder = Recorder(log, config.ack_timeout_s, spool)
                works.append(recorder.run(stop))
                self.ingress = UnsignedIngress(config, recorder, world.loop.clock_ms)
                works.append(Router(log, world.loop.clock_ms, 60.0).run(stop))
            if "engine" in self.roles:
                works.append(self._owner(log, Topic.INBOX, Topic.STATE, self._engine(log), process).run(stop))
            if "actions" in self.roles:
                services = await stack.enter_async_context(ActionServices(_actions_config(world.session_s)))
                factory = action_partition_factory(services, log, world.loop.clock_ms, world.loop.time)
                works.append(self._owner(log, Topic.ACTIONS, Topic.LEDGER, factory, process).run(stop))
            await asyncio.gather(*works)

    def _owner(self, log: ProcessLog, source: Topic, fenced: Topic, factory: object, process: Process) -> Owner:
        assert callable(factory)
        return Owner(
            log, group=source.value, source=source, fenced=fenced, factory=factory, name=process.name, limits=_OWNER
        )

    def _engine(self, log: ProcessLog) -> object:
        world, plan = self._world, self._world.plan
        policy = Policy(**plan.policy)
        core = CoreConfig(Policies(policy), account_sid=ACCOUNT, number=NUMBER, queues=True)
        limits = EngineLimits(tick_s=60.0, session_timeout_s=_NEVER_S if plan.fences_alone else 10.0)
        look_at = LookAt.CALLS_IN_FLIGHT if plan.split else LookAt.EVERY_CALL
        make = engine_partition_factory(
            Switchboard(core).step, log, world.loop.clock_ms, limits=limits, look_at=look_at, monotonic=world.loop.time
        )

        def noted(partition: int) -> Owned:
            owned = make(partition)
            assert isinstance(owned, EnginePartition)
            world.owners.setdefault(partition, []).append(owned)
            return owned

        return noted


def _died(process: Process) -> bool:
    """Whether it has been killed meanwhile."""
    return process.dead


def _account() -> Account:
    return Account(
        sid=ACCOUNT, auth_tokens=("0" * 32,), number=NUMBER, calls_per_second=0.0, taskrouter_workspace=WORKSPACE,
        taskrouter_workflow=WORKFLOW,
    )  # fmt: skip


def _actions_config(session_s: float) -> ActionsConfig:
    return ActionsConfig(PUBLIC_URL, (_account(),), session_timeout_s=session_s)
