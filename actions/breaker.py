"""When Twilio does not work, stop asking it so often. A pure value that is told the time, like `pacing.py`.

While it is open, actions wait and expire by their own deadlines, and the engine hears of it (reliability.md 3.4).
"""

import msgspec

from actions import codes
from actions.heard import TOO_LATE, Heard, Silence

WINDOW = 20
_PROBE_EVERY_MS = 1000


class Breaker(msgspec.Struct, frozen=True):
    """Opens when half of the last twenty requests had no answer or a 5xx; then one request a second tries.

    `probe_at_ms` is None while it is closed, else when the next one may try.
    """

    recent: tuple[bool, ...] = ()
    probe_at_ms: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether only probes may go."""
        return self.probe_at_ms is not None

    def ask(self, now_ms: float) -> "tuple[Breaker, float]":
        """The breaker after one more wish, and when that may go: now, or when to ask again."""
        if self.probe_at_ms is None:
            return self, now_ms
        if now_ms < self.probe_at_ms:
            return self, self.probe_at_ms
        return msgspec.structs.replace(self, probe_at_ms=now_ms + _PROBE_EVERY_MS), now_ms

    def heard(self, heard: Heard, now_ms: float) -> "Breaker":
        """The breaker after an answer, or none. A single good one closes it; a request never sent says nothing."""
        if isinstance(heard, Silence) and heard.cause == TOO_LATE:
            return self
        bad = isinstance(heard, Silence) or heard.status >= codes.SERVER_ERROR
        if self.is_open:
            return self if bad else Breaker()
        recent = (*self.recent, bad)[-WINDOW:]
        opens = len(recent) == WINDOW and sum(recent) * 2 >= WINDOW
        return Breaker(recent=recent, probe_at_ms=now_ms + _PROBE_EVERY_MS if opens else None)
