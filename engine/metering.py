"""The engine's figures, counted per batch: label children are bound once, the hot path adds integers."""

from functools import lru_cache

from prometheus_client import Counter

from cordboard import metrics
from engine.batch import Batch, Tally
from schemas.topics import Topic


@lru_cache(maxsize=512)
def _child(counter: Counter, *labels: str) -> Counter:
    return counter.labels(*labels)


class Meter:
    """Figures of one partition while it is ours."""

    def __init__(self, partition: int) -> None:
        self._label = str(partition)
        self._live = self._pending = self._timers = 0
        self._gauges = (
            metrics.CALLS_LIVE.labels(self._label),
            metrics.ACTIONS_PENDING.labels(self._label),
            metrics.TIMERS_ARMED.labels(self._label),
        )

    def begin(self, *, live: int, pending: int, timers: int, took_s: float) -> None:
        """What a take-over found."""
        self._live, self._pending, self._timers = live, pending, timers
        self._show()
        metrics.TAKEOVER_SECONDS.labels(Topic.STATE.value).observe(took_s)

    def count(self, batch: Batch, took_s: float) -> None:
        """A batch is done."""
        tally: Tally = batch.tally
        for kind, times in tally.kinds.items():
            _child(metrics.RECORDS_APPLIED, str(kind.__struct_config__.tag)).inc(times)
        for reason, times in tally.ignored.items():
            _child(metrics.RECORDS_IGNORED, reason).inc(times)
        for (name, outcome), times in tally.answers.items():
            _child(metrics.COMMANDS_ANSWERED, name, outcome).inc(times)
        for letter in batch.letters:
            _child(metrics.DEAD_LETTERS, dict(letter.headers)["reason"].decode()).inc()
        self._live += tally.live
        self._pending += tally.pending
        self._timers += tally.timers
        self._show()
        metrics.STEP_SECONDS.observe(took_s)

    def end(self) -> None:
        """The partition is no longer ours: its gauges would only mislead."""
        for gauge in (metrics.CALLS_LIVE, metrics.ACTIONS_PENDING, metrics.TIMERS_ARMED):
            try:
                gauge.remove(self._label)
            except KeyError:
                continue

    def _show(self) -> None:
        for gauge, value in zip(self._gauges, (self._live, self._pending, self._timers), strict=True):
            gauge.set(value)
