"""Identifiers: Twilio SIDs (two letters and 32 hex digits) and request tokens, from one seedable generator."""

import random
import re
import uuid

SID = re.compile(r"^[A-Z]{2}[0-9a-fA-F]{32}$")


class Sids:
    """Draws SIDs. With a seed the same run draws the same SIDs; no secret depends on it.

    Each kind is drawn from a series of its own: how often a list was asked for does not change which call comes next.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._series: dict[str, random.Random] = {}

    def _draw(self, kind: str) -> random.Random:
        series = self._series.get(kind)
        if series is None:
            seed = None if self._seed is None else f"{self._seed}:{kind}"
            series = self._series[kind] = random.Random(seed)  # noqa: S311 - identifiers of a test double, not secrets
        return series

    def new(self, prefix: str) -> str:
        """Return a fresh SID such as ``CA…`` for prefix ``CA``."""
        return f"{prefix}{self._draw(prefix).getrandbits(128):032x}"

    def token(self) -> str:
        """Return a UUID, as in ``I-Twilio-Idempotency-Token``."""
        return str(uuid.UUID(int=self._draw("token").getrandbits(128), version=4))

    def coin(self) -> bool:
        """Return one of two outcomes, for behaviour that Twilio leaves open."""
        return self._draw("coin").random() < 0.5  # noqa: PLR2004 - an even chance


def is_sid(text: str, prefix: str) -> bool:
    """Tell whether ``text`` is a SID of that kind."""
    return text.startswith(prefix) and SID.match(text) is not None
