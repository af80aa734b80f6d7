"""Faults planted into the process that dies, to see that the check would notice them."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from cordboard.errors import LogError
from cordboard.log.sqlite_writer import Job, Writer, WriteRecords


def _acknowledge_early() -> None:
    """Say that it is written, wait until that has been heard, and only then write."""
    write: Callable[[Writer, Sequence[Job]], LogError | None] = Writer._write

    def early(self: Writer, group: Sequence[Job]) -> LogError | None:
        loop = self._loop
        heard = threading.Event()
        if loop is not None:
            loop.call_soon_threadsafe(_acknowledge, loop, group, heard)
            heard.wait()
        return write(self, group)

    Writer._write = early  # type: ignore[method-assign]


def _acknowledge(loop: asyncio.AbstractEventLoop, group: Sequence[Job], heard: threading.Event) -> None:
    for job in group:
        if isinstance(job, WriteRecords) and job.token is None and not job.claims and not job.future.done():
            job.future.set_result(None)
    loop.call_soon(lambda: loop.call_soon(heard.set))


def _forget_the_wal(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink(missing_ok=True)


_IN_THE_WRITER: dict[str, Callable[[], None]] = {"acknowledges before the commit": _acknowledge_early}
_AT_OPENING: dict[str, Callable[[Path], None]] = {"takes the write-ahead log of the dead for rubbish": _forget_the_wal}
BUGS = (*_IN_THE_WRITER, *_AT_OPENING)


def plant(bug: str) -> None:
    """Plant one of `BUGS` into this process, if it is one of the writer's."""
    if bug in _IN_THE_WRITER:
        _IN_THE_WRITER[bug]()


def before_opening(bug: str, path: Path) -> None:
    """What one of `BUGS` does to a journal before it is opened again."""
    if bug in _AT_OPENING:
        _AT_OPENING[bug](path)
