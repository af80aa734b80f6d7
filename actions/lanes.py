"""One lane per key: what belongs to one key is worked on in order, one at a time; different keys at once.

Bounded: `put` waits while too much is queued. It knows nothing of actions.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Queues by key, each with a task for as long as it has something. `work` must take care of its own errors.

    What `work` raises all the same ends every lane and is kept in `failed`.
    """

    def __init__(self, work: Callable[[T], Awaitable[None]], capacity: int) -> None:
        self._work = work
        self._room = asyncio.Semaphore(capacity)
        self._queues: dict[str, deque[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def put(self, key: str, item: T) -> None:
        """Queue `item` behind the others of its key. Waits while the capacity is used up; a closed one drops it."""
        await self._room.acquire()
        if self._closed:
            self._room.release()
            return
        queue = self._queues.get(key)
        if queue is not None:
            queue.append(item)
            return
        self._queues[key] = deque((item,))
        task = asyncio.create_task(self._run(key), name=f"lane-{key}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def busy(self) -> int:
        """Keys that are being worked on."""
        return len(self._queues)

    async def close(self, timeout_s: float) -> bool:
        """Begin nothing more, wait for what is in hand, then cancel it. False when something had to be cancelled."""
        self._closed = True
        pending = set(self._tasks)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=timeout_s)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
        return not pending

    async def _run(self, key: str) -> None:
        queue = self._queues[key]
        try:
            while queue and not self._closed:
                try:
                    await self._work(queue.popleft())
                except Exception:
                    self._closed = True
                    raise
                finally:
                    self._room.release()
        finally:
            for _ in queue:
                self._room.release()
            del self._queues[key]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_result(error)
