"""What runs in the background of a test, and what of it failed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Parts:
    """Runs parts as the supervisor of a process does, and keeps their failures for the test to see."""

    def __init__(self) -> None:
        self.failed: list[BaseException] = []

    @asynccontextmanager
    async def background(self, name: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
        """Run `run(stop)` for as long as the context lasts."""
        stop = asyncio.Event()
        task = asyncio.ensure_future(run(stop))
        task.add_done_callback(self._note)
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await asyncio.wait({task})
            assert task.done(), name

    def _note(self, task: "asyncio.Future[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.failed.append(error)
