"""An event loop whose time is virtual, in which processes can be frozen and killed.

Time stands still while there is something to do and jumps to the next timer when there is not, so an hour of waiting
costs nothing. Everything that a process does runs in its context (`CURRENT`); a frozen one's callbacks wait, a dead
one's never run again. Nothing here knows what the processes are.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH_S = 1_800_000_000.0
_RESOLUTION_S = 1e-9
_MOST_TURNS = 3_000_000


class Frozen(Protocol):
    """What the loop asks of a process."""

    paused: bool
    dead: bool
    parked: list[asyncio.Handle]


CURRENT: ContextVar["Frozen | None"] = ContextVar("simulated_process", default=None)
"""The process that is running."""


class StuckError(RuntimeError):
    """Nothing is ready and no timer is set: whoever is waited for never comes; or the run does not come to an end."""


class SimTask(asyncio.Task[T]):
    """A task that hashes by its number: sets of tasks have the same order in every run."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], *, number: int, **options: Any) -> None:
        self._number = number  # first: the base class puts the task into sets
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        """Its number."""
        return self._number


class SimFuture(asyncio.Future[T]):
    """A future that hashes by its number."""

    _number = 0

    def __hash__(self) -> int:
        """Its number."""
        return self._number


class SimLoop(asyncio.BaseEventLoop):
    """The loop of one run. Seconds of `time()` are seconds since the epoch, virtual."""

    _ready: Any
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self.now_s = EPOCH_S
        self.turns = 0
        self.tasks: dict[int, tuple[Frozen, asyncio.Task[Any]]] = {}
        """Tasks of processes that are not done, by number."""
        self.failures: list[str] = []
        """What was raised where nobody listens."""
        self._numbers = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.set_exception_handler(self._note_failure)

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        return self.now_s

    def clock_ms(self) -> int:
        """The clock that the parts are given."""
        return int(self.now_s * 1000 + 1e-6)

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None) -> asyncio.Task[Any]:
        """See `asyncio`. The task belongs to the process that is running."""
        self._numbers += 1
        number = self._numbers
        task: SimTask[Any] = SimTask(coro, number=number, loop=self, name=name, context=context)
        process = CURRENT.get() if context is None else context.get(CURRENT)
        if process is not None:
            self.tasks[number] = (process, task)
            task.add_done_callback(lambda _: self.tasks.pop(number, None))
        return task

    def create_future(self) -> asyncio.Future[Any]:
        """See `asyncio`."""
        future: SimFuture[Any] = SimFuture(loop=self)
        self._numbers += 1
        future._number = self._numbers
        return future

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio`."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`. A dead process sets no timers; of two for the same time the first one set comes first."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        process = CURRENT.get() if context is None else context.get(CURRENT)
        if process is not None and process.dead:
            handle.cancel()
            return handle
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, handle))
        return handle

    def pause(self, process: Frozen) -> None:
        """Freeze: nothing of this process runs until `resume`."""
        process.paused = True

    def resume(self, process: Frozen) -> None:
        """Let it go on where it was, with everything that has become ready meanwhile."""
        process.paused = False
        waiting, process.parked = process.parked, []
        self._ready.extend(waiting)

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns > _MOST_TURNS:
            raise StuckError(f"no end after {_MOST_TURNS} turns of the loop")
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready and not self._stopping:
            if not timers:
                raise StuckError("nothing is ready and no timer is set")
            self.now_s = max(self.now_s, timers[0][0])
        until = self.now_s + _RESOLUTION_S
        while timers and timers[0][0] <= until:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            self._run_handle(ready.popleft())

    def _run_handle(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        process = handle._context.get(CURRENT)  # type: ignore[attr-defined]
        if process is not None and process.paused:
            process.parked.append(handle)
            return
        handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays until its time has come."""

    def _process_events(self, event_list: object) -> None:
        """Nothing from outside ever comes."""

    def _write_to_self(self) -> None:
        """Nobody is outside."""

    def _note_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG002 asyncio's signature
        error = context.get("exception")
        if not isinstance(error, KilledError):
            self.failures.append(f"{context.get('message')}: {error!r}")


class KilledError(BaseException):
    """The process died here: no handler of `Exception` may save it."""
