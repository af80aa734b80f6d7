"""What libraries say through the standard library's logging, in our own logs: one format on stderr, nothing lost.

A library that repeats itself (aiokafka does while it looks for a topic, twenty times a second) is told once in ten
seconds, with how often it spoke.
"""

import logging
import time
from collections.abc import Callable

import structlog

from cordboard.logs import masked

_QUIET_S = 10.0
_REMEMBERED = 1000

_log = structlog.get_logger("library")


class ForeignLogs(logging.Handler):
    """Hands records to structlog, with numbers masked as in our own. `monotonic` is in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        """What was said: when it may be told again, and how often it was not."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        text = masked(record.getMessage())
        now, key = self._monotonic(), (record.name, text or "")
        again_at, untold = self._said.get(key, (now, 0))
        if now < again_at:
            self._said[key] = again_at, untold + 1
            return
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[key] = now + _QUIET_S, 0
        trace = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        _log.log(record.levelno, "library.said", library=record.name, text=text, times=untold + 1, exc_info=trace)


def take_foreign_logs(level: int = logging.WARNING) -> None:
    """Let libraries speak through our logs from now on, from `level` up."""
    root = logging.getLogger()
    root.handlers = [ForeignLogs()]
    root.setLevel(level)
