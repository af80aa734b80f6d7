"""Running background work so that nothing dies unseen: a failure anywhere ends the process, with its reason.

What runs and in which order it goes is `bootstrap.py`'s business; this is how one piece of it is run and let go.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from cordboard.errors import CordboardError

DRAIN_S = 3.0
HARD_EXIT_S = 15.0

_log = structlog.get_logger(__name__)


class ServiceFailedError(CordboardError):
    """Something in the background ended although nobody had asked it to."""


class Supervisor:
    """Waits for the first reason to leave: a signal, or the failure of something in the background."""

    def __init__(self) -> None:
        self.failed_late: list[str] = []
        """What failed after there was a reason to leave: the process then does not say that all went well."""
        self._leave: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def leaving(self) -> bool:
        """Whether there is a reason to leave."""
        return self._leave.done()

    def leave(self, reason: str) -> None:
        """Leave in order. The first reason counts."""
        if not self._leave.done():
            self._leave.set_result(reason)

    def fail(self, name: str, error: BaseException | None) -> None:
        """Leave because something failed."""
        if self._leave.done():
            self.failed_late.append(name)
            _log.error("service.failed_while_leaving", part=name, error=repr(error))
            return
        what = f"{name} ended unasked" if error is None else f"{name} failed: {type(error).__name__}: {error}"
        _log.error("service.failed", part=name, exc_info=error)
        failure = ServiceFailedError(what)
        failure.__cause__ = error
        self._leave.set_exception(failure)

    async def wait(self) -> str:
        """The reason to leave. Raises `ServiceFailedError`."""
        return await asyncio.shield(self._leave)

    @asynccontextmanager
    async def background(
        self, name: str, run: Callable[[asyncio.Event], Awaitable[None]], *, drain_s: float = DRAIN_S
    ) -> AsyncIterator[None]:
        """Run `run(stop)` for as long as the context lasts; then ask it to stop, and cancel it after `drain_s`."""
        stop = asyncio.Event()
        task = asyncio.ensure_future(run(stop))
        task.add_done_callback(lambda done: None if stop.is_set() or done.cancelled() else self._ended(name, done))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait({task}, timeout=drain_s)
            if not task.done():
                _log.warning("service.drain_overdue", part=name, limit_s=drain_s)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled() and task.exception() is not None:
                self.fail(name, task.exception())

    def _ended(self, name: str, task: "asyncio.Future[None]") -> None:
        self.fail(name, task.exception())


@asynccontextmanager
async def leaving_on_signals(supervisor: Supervisor) -> AsyncIterator[None]:
    """SIGTERM and SIGINT drain; a second one, or 15 s, end the process where it stands."""
    loop = asyncio.get_running_loop()
    timer = threading.Timer(HARD_EXIT_S, _exit_hard, args=("draining took too long",))
    timer.daemon = True

    def on_signal(number: signal.Signals) -> None:
        if timer.is_alive():
            _exit_hard(f"{number.name} again")
        _log.info("service.draining", signal=number.name)
        timer.start()
        supervisor.leave(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        timer.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _exit_hard(reason: str) -> None:
    """Without clean-up: the log is made to survive this, and somebody wants the process gone."""
    sys.stderr.write(f"cordboard: {reason}, exiting at once\n")
    sys.stderr.flush()
    os._exit(1)
