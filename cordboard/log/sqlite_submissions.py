"""Between the coroutines that write to the journal and its thread: one hand-over a loop turn, bounds, deadlines."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.room import Room
from cordboard.log.sqlite_writer import Job, Writer, WriteRecords

_DEADLINE_S = 5.0
_MAX_WAITING_ENTRIES = 20_000
_CHECK_EVERY_S = 0.5


class Submissions:
    """Jobs on their way to the disk, in order. At most 20,000 entries wait; more make their writers wait."""

    def __init__(self, path: Path, writer: Writer, stored: Callable[[WriteRecords], None]) -> None:
        self._path = path
        self._writer = writer
        self._stored = stored
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: list[Job] = []
        self._in_flight: deque[Job] = deque()
        self._room = Room(_MAX_WAITING_ENTRIES, f"journal {path}")
        self._failure: LogError | None = None
        self._check: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, in this loop."""
        self._loop = loop
        self._writer.start(loop, self._finished)

    async def run(self, job: Job) -> None:
        """Wait until `job` is on the disk. Raises what kept it from there, `LogUnavailableError` after 5 s."""
        await self._room.take(len(job.entries), _DEADLINE_S)
        if self._loop is None or self._stopped:
            self._room.leave(len(job.entries))
            raise LogUnavailableError(f"journal {self._path}: closed")
        self._in_flight.append(job)
        self._turn.append(job)
        if len(self._turn) == 1:
            self._loop.call_soon(self._hand_over)
        if self._check is None:
            self._check = self._loop.call_later(_CHECK_EVERY_S, self._fail_overdue)
        await job.future

    def seems_well(self) -> bool:
        """Whether the last write succeeded and none has been waiting for long."""
        oldest = self._in_flight[0].submitted_at if self._in_flight else None
        late = oldest is not None and self._loop is not None and self._loop.time() - oldest > 1.0
        return self._failure is None and not late

    async def stop(self, timeout_s: float) -> bool:
        """Write what was submitted, then end the thread; False when that took too long."""
        self._stopped = True
        self._hand_over()
        loop = asyncio.get_running_loop()
        ended = await loop.run_in_executor(None, self._writer.stop, timeout_s)
        await asyncio.sleep(0)  # the thread's last message is already in the loop's queue
        if ended and self._check is not None:
            self._check.cancel()
        return ended

    def _hand_over(self) -> None:
        turn, self._turn = self._turn, []
        if turn:
            self._writer.submit(turn)

    def _finished(self, group: Sequence[Job], error: LogError | None) -> None:
        self._failure = error
        for job in group:
            self._in_flight.popleft()
            self._room.leave(len(job.entries))
            failed = error or job.refused
            if failed is None and isinstance(job, WriteRecords):
                self._stored(job)
            if job.future.done():
                continue  # overdue, or its writer has been cancelled
            if failed is None:
                job.future.set_result(None)
            else:
                job.future.set_exception(type(failed)(*failed.args))

    def _fail_overdue(self) -> None:
        """Every half second while anything waits. What is failed here may still be written later."""
        self._check = None
        if self._loop is None or not self._in_flight:
            return
        limit = self._loop.time() - _DEADLINE_S
        for job in self._in_flight:
            if job.submitted_at <= limit and not job.future.done():
                job.future.set_exception(self._overdue())
        self._check = self._loop.call_later(_CHECK_EVERY_S, self._fail_overdue)

    def _overdue(self) -> LogUnavailableError:
        return LogUnavailableError(
            f"journal {self._path}: the disk has not answered for {_DEADLINE_S} s. Check the system's log"
        )
