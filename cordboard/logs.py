"""Structured logs: dotted event names, values as keys, JSON on a pipe and colours on a terminal, always to stderr.

No phone number, token or audio URL in clear: bind ids, never addresses. `masked` makes an address safe to log.
"""

import logging
import re
import sys
import traceback
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import ExcInfo

from cordboard.metrics import LOG_LINES_LOST

_DIGITS = re.compile(r"\+?\d{5,}")


def masked(address: str | None) -> str | None:
    """An address with all but the last two digits of every number hidden: `+*********34`."""
    if address is None:
        return None
    return _DIGITS.sub(lambda m: "*" * (len(m.group()) - 2) + m.group()[-2:], address)


class _MaskedTraces(ExceptionDictTransformer):
    """Traces as structlog's, without local variables (forms, tokens) and with the numbers in error texts masked."""

    def __init__(self) -> None:
        super().__init__(show_locals=False)

    def __call__(self, exc_info: ExcInfo) -> list[dict[str, Any]]:
        """The exception and its causes."""
        traces = super().__call__(exc_info)
        return [{**trace, "exc_value": masked(trace["exc_value"])} for trace in traces]


_TRACES = structlog.processors.ExceptionRenderer(_MaskedTraces())


def _write_trace(target: TextIO, exc_info: ExcInfo) -> None:
    """As `_MaskedTraces`, for a terminal."""
    target.write("\n" + (masked("".join(traceback.format_exception(*exc_info))) or ""))


class _Stderr:
    """Writes lines to stderr as it is at that moment; a line that cannot be written is counted, and costs no call."""

    def msg(self, line: str) -> None:
        """Write one line, whole."""
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # the reader of a pipe has gone, the disk is full; closed
            LOG_LINES_LOST.inc()

    debug = info = warning = error = critical = exception = msg


def configure_logs(*, json: bool | None = None, level: int = logging.INFO) -> None:
    """Set up structlog for the process. `json=None`: JSON unless stderr is a terminal."""
    as_json = not sys.stderr.isatty() if json is None else json
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=_write_trace)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _TRACES if as_json else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=True,
    )
