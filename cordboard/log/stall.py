"""Has the event loop stood still? Then the group may have given the partition away without our hearing of it.

The fence in the log would refuse an append all the same; for appends this is the second line (reliability.md 2.3,
self-fencing). What leaves for Twilio no log can refuse: there it is the first.
"""

import asyncio
from collections.abc import Callable
from typing import Self

from cordboard.errors import AppendFailedError

_BEATS = 4
"""A limit has so many: a stand of three quarters of it may look like a whole one, and none of a whole one like less."""


class StallGuard:
    """Notices gaps between beats of the event loop that are longer than `limit_s`. `monotonic` is in seconds."""

    def __init__(self, limit_s: float, monotonic: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._monotonic = monotonic
        self._last = monotonic()
        self._worst = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """See `start`."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """See `stop`."""
        self.stop()

    def start(self) -> None:
        """Beat from now on, in the running loop."""
        self._last = self._monotonic()
        self._schedule()

    def stop(self) -> None:
        """Beat no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def stood_still(self) -> bool:
        """Whether the loop has stood still since `start`: what we know may be out of date."""
        self._look()
        return self._worst > self._limit_s

    def require_awake(self) -> None:
        """Raise `AppendFailedError` if the loop has stood still since `start`."""
        if self.stood_still:
            raise AppendFailedError(
                f"the event loop stood still for {self._worst:.1f} s (limit {self._limit_s:.1f} s): "
                "the partition may have another owner by now; taking it anew"
            )

    def _look(self) -> None:
        now = self._monotonic()
        self._worst = max(self._worst, now - self._last)
        self._last = now

    def _beat(self) -> None:
        self._look()
        self._schedule()

    def _schedule(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._limit_s / _BEATS, self._beat)
