"""Libraries speak through our logs, without numbers in clear and without drowning them."""

import logging

from structlog.testing import capture_logs

from cordboard.app.foreign_logs import ForeignLogs


def said(text: str, *values: object, name: str = "aiokafka.cluster") -> logging.LogRecord:
    """A record of a library."""
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, values, None)


def test_what_a_library_says_is_in_our_logs_with_numbers_masked() -> None:
    """Name, level and text are kept; a phone number is not."""
    with capture_logs() as logs:
        ForeignLogs().emit(said("cannot reach %s", "+15550100"))

    assert logs == [
        {
            "event": "library.said", "log_level": "error", "library": "aiokafka.cluster", "exc_info": None, "times": 1,
            "text": "cannot reach *******00",
        }
    ]  # fmt: skip


def test_a_library_that_repeats_itself_is_told_once_in_ten_seconds() -> None:
    """What was held back is counted and told the next time; another text is not held back."""
    now = [0.0]
    handler = ForeignLogs(lambda: now[0])
    with capture_logs() as logs:
        for _ in range(5):
            handler.emit(said("Topic %s not found", "call.inbox"))
        handler.emit(said("Topic %s not found", "call.state"))
        now[0] = 10.0
        handler.emit(said("Topic %s not found", "call.inbox"))

    assert [(entry["text"], entry["times"]) for entry in logs] == [
        ("Topic call.inbox not found", 1),
        ("Topic call.state not found", 1),
        ("Topic call.inbox not found", 5),
    ]


def test_a_trace_is_kept() -> None:
    """An exception that a library logs is not reduced to its first line."""
    error = OSError("disk full")
    record = logging.LogRecord("aiohttp", logging.ERROR, __file__, 1, "failed", (), (OSError, error, None))
    with capture_logs() as logs:
        ForeignLogs().emit(record)

    assert logs[0]["exc_info"][0] is OSError
