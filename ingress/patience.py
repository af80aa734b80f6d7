"""Time limits for very many short waits that all have the same one: one timer for all instead of one for each.

A timer of uvloop costs more than what it guards here; a wait that ends in time costs an append to a queue.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

_SWEEPS = 8
"""How often within the limit it is looked who has waited too long: a wait may last an eighth longer."""


_AnyWait = TypeVar("_AnyWait", "_Wait", "Watch")


class Patience:
    """Makes waits of at most `limit_s` seconds: `with patience.wait(): await …` raises `TimeoutError` after that."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._waits: deque[_Wait | Watch] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> "_Wait":
        """A wait of the current task, from now on."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("only a task can wait")
        return self._added(loop, _Wait(task, loop.time() + self._limit_s))

    def watch(self, late: Callable[[], None]) -> "Watch":
        """For what no task waits for: `late` is called after the limit, unless `over` was set before."""
        loop = asyncio.get_running_loop()
        return self._added(loop, Watch(late, loop.time() + self._limit_s))

    def _added(self, loop: asyncio.AbstractEventLoop, wait: _AnyWait) -> _AnyWait:
        self._waits.append(wait)
        if self._timer is None:
            self._timer = loop.call_later(self._limit_s / _SWEEPS, self._sweep, loop)
        return wait

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._waits and (self._waits[0].over or self._waits[0].deadline <= now):
            self._waits.popleft().expire()
        self._timer = loop.call_later(self._limit_s / _SWEEPS, self._sweep, loop) if self._waits else None


class Watch:
    """Something that should come within the limit."""

    __slots__ = ("_late", "deadline", "over")

    def __init__(self, late: Callable[[], None], deadline: float) -> None:
        self._late = late
        self.deadline = deadline
        self.over = False

    def expire(self) -> None:
        """Called when the time is up; does nothing when it is over."""
        if not self.over:
            self.over = True
            self._late()


class _Wait:
    """One wait. As `asyncio.timeout` does, it tells its own cancellation from everybody else's by counting them."""

    __slots__ = ("_cancelled", "_others", "_task", "deadline", "over")

    def __init__(self, task: "asyncio.Task[object]", deadline: float) -> None:
        self._task = task
        self._others = task.cancelling()
        self._cancelled = False
        self.deadline = deadline
        self.over = False

    def expire(self) -> None:
        """Called when the time is up; does nothing to a wait that is over."""
        if not self.over:
            self._cancelled = True
            self._task.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.over = True
        if self._cancelled and self._task.uncancel() <= self._others and kind is asyncio.CancelledError:
            raise TimeoutError from error
