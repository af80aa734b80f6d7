"""The local Twilio as an aiohttp application, and the way to run one inside a process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web

from emulator import control, line, time_control
from emulator.behaviour import Behaviours
from emulator.callbacks import Callbacks
from emulator.clock import Clock
from emulator.config import EmulatorConfig
from emulator.exchange import Exchanger
from emulator.queues import Queues
from emulator.rest import routes
from emulator.rest.answer import WORLD
from emulator.rest.edge import front_door
from emulator.taskrouter import workspaces
from emulator.virtual import DEFAULT_GRACE_S, VirtualClock, VirtualLoop
from emulator.world import World

log = structlog.get_logger("emulator")
SHUTDOWN_S = 0.5


def create_app(config: EmulatorConfig, clock: Clock | None = None) -> web.Application:
    """Return the application: the REST API, the control routes, and a fresh world behind them."""
    app = web.Application(middlewares=[front_door])
    world = World(config, clock)
    world.exchanger = Exchanger(world)
    world.callbacks = Callbacks(world)
    world.queues = Queues(world)
    Behaviours(world)
    world.dial_leg, world.redirect_call = line.dial, line.redirect
    app[WORLD] = world
    routes.add(app)
    control.add(app)
    time_control.add(app)
    app.cleanup_ctx.append(_life)
    app.on_shutdown.append(_end_streams)
    return app


async def _life(app: web.Application) -> AsyncIterator[None]:
    world = app[WORLD]
    await world.exchanger.open()
    try:
        if world.config.taskrouter is not None:
            workspaces.seed(world, world.config.taskrouter)
        yield
    finally:
        await world.close()
        await world.exchanger.close()


async def _end_streams(app: web.Application) -> None:
    app[WORLD].events.close()


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running local Twilio: where it listens, and its world for tests in the same process."""

    host: str
    port: int
    world: World

    @property
    def url(self) -> str:
        """The base URL that stands for ``https://api.twilio.com``."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - looked up, not bound to
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@asynccontextmanager
async def serve(config: EmulatorConfig, clock: Clock | None = None) -> AsyncIterator[Emulator]:
    """Run a local Twilio for the length of the ``async with`` block; port 0 takes a free port.

    Raises:
        OSError: the port is taken.

    """
    app = create_app(config, clock)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.host, config.port)
        await site.start()
        port = int(runner.addresses[0][1])
        log.info("emulator.listening", host=config.host, port=port, account_sid=config.account_sid)
        yield Emulator(config.host, port, app[WORLD])
    finally:
        await runner.cleanup()


def run_virtual(
    config: EmulatorConfig, work: Callable[[Emulator], Awaitable[int]], *, grace_s: float = DEFAULT_GRACE_S
) -> int:
    """Run a local Twilio in virtual time, on a loop of its own, until ``work`` is done; return what that returns.

    Raises:
        OSError: the port is taken.

    """

    async def run() -> int:
        async with serve(config, VirtualClock(grace_s=grace_s)) as emulator:
            return await work(emulator)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())
