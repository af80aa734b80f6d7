"""The clock that the rooms are given, so that tests can own time."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Now, in milliseconds since the epoch."""


def system_clock() -> int:
    """The wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
