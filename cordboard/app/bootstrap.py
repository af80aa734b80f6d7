"""The composition root: which parts a process has, what each of them is given, and the order in which they come and go.

Everything is entered into one exit stack. Leaving it is the drain: what takes in stops first, what it hands over to
comes after it, and the log is closed last (reliability.md 2.8).
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum

import msgspec
import structlog

from actions.config import ActionsConfig
from actions.services import ActionServices
from actions.worker import action_partition_factory
from cordboard import metrics
from cordboard.app.core_of_settings import core_of
from cordboard.app.local_twilio import emulator_config
from cordboard.app.logs_of_settings import open_log_of
from cordboard.app.results import Results
from cordboard.app.spooling import open_recorder
from cordboard.app.supervision import ServiceFailedError, Supervisor, leaving_on_signals
from cordboard.clock import Clock, system_clock
from cordboard.errors import LogUnavailableError
from cordboard.feed import ResultFeed
from cordboard.garbage import collect_seldom
from cordboard.log.ownership import Owned, Owner, OwnerStatus
from cordboard.log.port import Log
from cordboard.ops import Mount, OpsConfig, Readiness, serve_ops
from cordboard.settings import DEFAULT_API_URL, host_port
from cordboard.settings_checks import Loaded
from emulator import serve as serve_emulator
from engine.core.step import Switchboard
from engine.partition import engine_partition_factory
from engine.resuming import LookAt
from engine.router import Router
from ingress.app import serve_ingress
from ingress.commands import CommandIntake, add_command_routes
from ingress.config import IngressConfig
from ingress.recorder import Recorder
from observe.reading import reading
from schemas.topics import Topic

_READY_S = 5.0
_LOOK_S = 0.05
_LOG_COMES_WITHIN_S = 30.0
_LOOK_AGAIN_S = 0.5

_log = structlog.get_logger(__name__)


class Part(StrEnum):
    """What a process can be made of."""

    INGRESS = "ingress"
    ENGINE = "engine"
    ACTIONS = "actions"
    OBSERVE = "observe"


class Addresses(msgspec.Struct, frozen=True):
    """Where a running process listens; None where it does not."""

    ops: str
    ingress: str | None = None
    emulator: str | None = None


class Running(msgspec.Struct, frozen=True):
    """A process that is up."""

    addresses: Addresses
    log: Log
    readiness: Readiness


class _Process:
    """One process being put together. Each method enters one part into the stack."""

    def __init__(self, loaded: Loaded, stack: AsyncExitStack, supervisor: Supervisor, log: Log, clock: Clock) -> None:
        self.loaded = loaded
        self.stack = stack
        self.supervisor = supervisor
        self.log = log
        self.clock = clock
        self.readiness = Readiness()
        self.readiness.add("log", log.check)
        self.mounts: list[Mount] = []

    async def emulator(self, bind: str) -> str:
        """The local Twilio."""
        running = await self.stack.enter_async_context(serve_emulator(emulator_config(self.loaded.settings, bind)))
        return running.url

    async def observe(self) -> None:
        """Everything that reads."""
        mount = await self.stack.enter_async_context(reading(self.log, self.clock, self.readiness, self.supervisor))
        self.mounts.append(mount)

    async def recorder(self, *, alone: bool) -> Recorder:
        """What makes durable whatever comes by HTTP. An ingress `alone` is ready while log or spool takes it."""
        recorder = await open_recorder(self.loaded.settings, self.log, self.clock, self.readiness, self.stack)
        if alone:
            self.readiness.add("log", recorder.check)
            self.readiness.note("log", self.log.check)
        await self.stack.enter_async_context(self.supervisor.background("spool", recorder.run))
        return recorder

    async def commands(self, recorder: Recorder, *, alone: bool) -> None:
        """Commands over HTTP."""
        feed = ResultFeed(self.log)
        results = Results(feed)
        (self.readiness.note if alone else self.readiness.add)("results", results.check)
        await self.stack.enter_async_context(self.supervisor.background("results", results.run))
        deadline_s = float(self.loaded.settings.command_deadline_s)
        intake = CommandIntake(recorder, feed, self.clock, deadline_s=deadline_s)
        self.mounts.append(lambda app: add_command_routes(app, intake))

    async def ops(self) -> str:
        """The ops port, with what was mounted."""
        host, port = host_port(self.loaded.settings.ops_bind)
        config = OpsConfig(host, port, self.loaded.settings.ops_token.get_secret_value())
        return await self.stack.enter_async_context(serve_ops(config, self.readiness, self.mounts))

    async def actions(self) -> None:
        """The action workers."""
        settings = self.loaded.settings
        api_url = None if settings.twilio_api_url == DEFAULT_API_URL else settings.twilio_api_url
        config = ActionsConfig(settings.public_url, tuple(self.loaded.accounts), api_url)
        services = await self.stack.enter_async_context(ActionServices(config))
        factory = action_partition_factory(services, self.log, self.clock)
        await self._owner("actions", Topic.ACTIONS, Topic.LEDGER, factory)

    async def engine(self, look_at: LookAt) -> None:
        """The engine, and the router that feeds it commands."""
        step = Switchboard(core_of(self.loaded)).step
        factory = engine_partition_factory(step, self.log, self.clock, look_at=look_at)
        await self._owner("engine", Topic.INBOX, Topic.STATE, factory)
        router = Router(self.log, self.clock, float(self.loaded.settings.command_deadline_s))
        self._watch("router", router.status)
        await self.stack.enter_async_context(self.supervisor.background("router", router.run))

    async def ingress(self, recorder: Recorder) -> str:
        """Twilio's side."""
        settings = self.loaded.settings
        host, port = host_port(settings.ingress_bind)
        config = IngressConfig(
            public_url=settings.public_url,
            accounts=self.loaded.accounts,
            policies=self.loaded.policies,
            host=host,
            port=port,
            command_deadline_s=float(settings.command_deadline_s),
        )
        bound = await self.stack.enter_async_context(serve_ingress(config, self.log, self.clock, recorder))
        return f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"

    async def _owner(self, name: str, source: Topic, fenced: Topic, factory: Callable[[int], Owned]) -> None:
        owner = Owner(self.log, group=name, source=source, fenced=fenced, factory=factory, name=_own_name(name))
        self._watch(name, owner.status)
        await self.stack.enter_async_context(self.supervisor.background(name, owner.run))

    def _watch(self, name: str, status: Callable[[], OwnerStatus]) -> None:
        everything = None if self.loaded.settings.uses_kafka else self.log.partitions

        async def check() -> str | None:
            return _not_owned(status(), everything)

        self.readiness.add(name, check)
        metrics.PARTITIONS_LIVE.labels(name).set_function(lambda: len(status().live))
        metrics.LAG.labels(name, "all").set_function(lambda: status().lag)
        metrics.CLAIMS.labels(name).set_function(lambda: status().takes)
        self.stack.callback(metrics.PARTITIONS_LIVE.remove, name)
        self.stack.callback(metrics.LAG.remove, name, "all")
        self.stack.callback(metrics.CLAIMS.remove, name)


def _not_owned(status: OwnerStatus, everything: int | None) -> str | None:
    """Why an owner is not ready; `everything` is how many partitions it must have where nobody else can have them."""
    if status.failed:
        return "; ".join(f"partition {partition}: {reason}" for partition, reason in status.failed)
    if not status.joined:
        return "not yet a member of the group"
    waiting = len(set(status.assigned) - set(status.live))
    if waiting:
        return f"{waiting} of {len(status.assigned)} partitions are being restored"
    if everything is not None and len(status.live) < everything:
        return f"{len(status.live)} of {everything} partitions are live"
    return None


@asynccontextmanager
async def running(
    loaded: Loaded, parts: frozenset[Part], supervisor: Supervisor, *, emulator_bind: str | None = None
) -> AsyncIterator[Running]:
    """A process with `parts` for as long as the context lasts. Raises `CordboardError`, `OSError`."""
    settings = loaded.settings
    async with AsyncExitStack() as stack:
        log = open_log_of(settings)
        stack.push_async_callback(log.aclose)
        if parts == frozenset(Part):
            await _ensure_topics(log, supervisor)
        process = _Process(loaded, stack, supervisor, log, system_clock)
        emulator = await process.emulator(emulator_bind) if emulator_bind else None
        if Part.OBSERVE in parts:
            await process.observe()
        alone = parts == frozenset({Part.INGRESS})
        recorder = await process.recorder(alone=alone) if Part.INGRESS in parts else None
        if recorder is not None:
            await process.commands(recorder, alone=alone)
        ops = await process.ops()
        if Part.ACTIONS in parts:
            await process.actions()
        if Part.ENGINE in parts:
            await process.engine(LookAt.EVERY_CALL if Part.INGRESS in parts else LookAt.CALLS_IN_FLIGHT)
        ingress = await process.ingress(recorder) if recorder is not None else None
        try:
            yield Running(Addresses(ops, ingress, emulator), log, process.readiness)
        finally:
            process.readiness.leaving = "draining"


async def serve(
    loaded: Loaded,
    parts: frozenset[Part],
    announce: Callable[[Addresses], None],
    *,
    emulator_bind: str | None = None,
) -> None:
    """Run until a signal comes or something fails. Raises `ServiceFailedError` with what failed."""
    supervisor = Supervisor()
    async with leaving_on_signals(supervisor):
        async with running(loaded, parts, supervisor, emulator_bind=emulator_bind) as process:
            await _until_ready(process.readiness, supervisor)
            collect_seldom()
            announce(process.addresses)
            await supervisor.wait()
        await supervisor.wait()
    if supervisor.failed_late:
        raise ServiceFailedError(f"failed while draining: {', '.join(supervisor.failed_late)}")
    _log.info("service.stopped")


async def _ensure_topics(log: Log, supervisor: Supervisor) -> None:
    """Whoever runs everything in one process should need no second command. Single services leave topics alone.

    A log that is away is waited for, not for ever: it may be starting as we are. Raises `LogError` with what is wrong.
    """
    end = asyncio.get_running_loop().time() + _LOG_COMES_WITHIN_S
    while not supervisor.leaving:
        try:
            checks = await log.ensure_topics()
        except LogUnavailableError as error:
            if asyncio.get_running_loop().time() > end:
                raise
            _log.warning("service.waits_for_log", reason=str(error))
            await asyncio.sleep(_LOOK_AGAIN_S)
            continue
        for check in checks:
            if check.state == "differs":
                _log.warning("service.topic_differs", topic=check.topic.value, detail=check.detail)
        return


async def _until_ready(readiness: Readiness, supervisor: Supervisor) -> None:
    """Whoever reads where we listen may go there at once. On Kafka that can take longer than a reader's patience."""
    end = asyncio.get_running_loop().time() + _READY_S
    now = asyncio.get_running_loop().time
    while await readiness.reasons() and not supervisor.leaving and now() < end:  # noqa: ASYNC110 checks are only asked
        await asyncio.sleep(_LOOK_S)


def _own_name(service: str) -> str:
    return f"{service}@{socket.gethostname()}:{os.getpid()}"
