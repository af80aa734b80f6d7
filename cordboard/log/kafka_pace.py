"""How soon a broker answers a member's fetches: at once, or after a moment where fetches bring nothing that is new.

A member that is given what its own process writes (decision 025) still fetches, for what others write. At 200 calls a
second each fetch was answered within 2 ms with records that were here already: four requests to Kafka in ten.
"""

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer

from cordboard.log.kafka_client import hold_fetches

_QUIET_S = 2.0
"""For so long nothing may have come from others."""
_RECENT_S = 1.0
"""So long ago at most something must have come from this process."""


class FetchPace:
    """Judges by what came last to a consumer that has been started. `clock` gives seconds."""

    def __init__(self, consumer: AIOKafkaConsumer, clock: Callable[[], float]) -> None:
        self._consumer = consumer
        self._clock = clock
        self._holds = False
        self._own_at = self._others_at = float("-inf")

    def own(self) -> None:
        """Records were taken that this process has written."""
        self._own_at = self._clock()
        self._keep(self._own_at)

    def fetched(self, *, by_others: bool) -> None:
        """A fetch has ended. `by_others`: it has brought records that this process has not written."""
        now = self._clock()
        if by_others:
            self._others_at = now
        self._keep(now)

    def _keep(self, now: float) -> None:
        holds = now - self._others_at >= _QUIET_S and now - self._own_at < _RECENT_S
        if holds is not self._holds:
            self._holds = holds
            hold_fetches(self._consumer, hold=holds)
