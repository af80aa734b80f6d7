"""Structured logs: dotted event names, values as keys, JSON on a pipe and colours on a terminal, always to stderr.

No phone number, token or audio URL in clear: bind ids, never addresses. `masked` makes an address safe to log.
"""

import logging
import re
import sys

import structlog

_DIGITS = re.compile(r"\+?\d{5,}")


def masked(address: str | None) -> str | None:
    """An address with all but the last two digits of every number hidden: `+*********34`."""
    if address is None:
        return None
    return _DIGITS.sub(lambda m: "*" * (len(m.group()) - 2) + m.group()[-2:], address)


def configure_logs(*, json: bool | None = None, level: int = logging.INFO) -> None:
    """Set up structlog for the process. `json=None`: JSON unless stderr is a terminal."""
    as_json = not sys.stderr.isatty() if json is None else json
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if as_json else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    libraries = logging.getLogger()
    libraries.handlers = [_Libraries()]
    libraries.setLevel(logging.WARNING)


class _Libraries(logging.Handler):
    """What libraries log, as one event: numbers masked, and of an exception its type alone.

    Without it Python prints their warnings as they are, and aiohttp's quote the request that it could not parse.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it as we tell our own."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger("library").log(
            record.levelno, "library.message", library=record.name, text=masked(record.getMessage()), error=error
        )
