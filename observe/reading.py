"""Everything that reads, put together: the three models, each following its topic, behind the routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

from aiohttp import web

from cordboard.clock import Clock
from cordboard.log.port import Log
from cordboard.ops import Mount, Readiness
from observe.calls import Calls
from observe.dead_letters import DeadLetters
from observe.routes import Reading
from observe.timeline import Timelines


class Background(Protocol):
    """Who runs what goes on by itself, and minds when it fails."""

    def background(
        self, name: str, run: Callable[[asyncio.Event], Awaitable[None]]
    ) -> AbstractAsyncContextManager[None]:
        """Run `run(stop)` for as long as the context lasts."""
        ...


@asynccontextmanager
async def reading(log: Log, clock: Clock, readiness: Readiness, supervisor: Background) -> AsyncIterator[Mount]:
    """Follow the log for as long as the context lasts; gives what adds the routes to the ops port."""
    calls, timelines, letters = Calls(log, clock), Timelines(log), DeadLetters(log)
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        models: dict[str, Calls | Timelines | DeadLetters] = {
            "calls": calls,
            "timelines": timelines,
            "dead_letters": letters,
        }
        for name, model in models.items():
            readiness.add(name, model.tail.check)

        async def follow(stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as following:
                for name, model in models.items():
                    following.create_task(model.tail.run(stop), name=f"observe.{name}")

        await stack.enter_async_context(supervisor.background("observe", follow))
        routes = Reading(log, calls, timelines, letters, stop=stopping)

        def mount(app: web.Application) -> None:
            async def end_streams(_app: web.Application) -> None:
                stopping.set()

            app.on_shutdown.append(end_streams)
            routes.mount(app)

        yield mount
