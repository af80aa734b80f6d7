"""When brokers are to hold a member's fetches: while only its own process writes."""

from types import SimpleNamespace
from typing import cast

from aiokafka import AIOKafkaConsumer

from cordboard.log.kafka_pace import FetchPace


class _Member:
    """A consumer as far as pace goes, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.fetcher = SimpleNamespace(_fetch_min_bytes=1, _fetch_max_wait_ms=50)
        self.pace = FetchPace(cast(AIOKafkaConsumer, SimpleNamespace(_fetcher=self.fetcher)), lambda: self.now)

    def is_held(self) -> bool:
        """Whether a broker answers only when it has much, or when the time is over."""
        return bool(self.fetcher._fetch_min_bytes > 1)


def test_fetches_are_answered_at_once_until_something_of_our_own_comes() -> None:
    """A member that others write for fetches as ever; from the first record of its own process on it can wait."""
    member = _Member()
    member.pace.fetched(by_others=True)
    assert not member.is_held()
    member.now += 60
    member.pace.fetched(by_others=False)
    assert not member.is_held()
    member.pace.own()
    assert member.is_held()
    assert member.fetcher._fetch_max_wait_ms < 50


def test_one_record_of_others_ends_the_hold() -> None:
    """Whoever else writes waits for one held fetch at most; afterwards fetches are quick for two seconds."""
    member = _Member()
    member.pace.own()
    member.pace.fetched(by_others=True)
    assert not member.is_held()
    member.now += 1.9
    member.pace.own()
    assert not member.is_held()
    member.now += 0.1
    member.pace.own()
    assert member.is_held()


def test_a_process_that_writes_nothing_more_lets_go() -> None:
    """A second after the last record of our own, fetches are answered at once again."""
    member = _Member()
    member.pace.own()
    member.now += 0.9
    member.pace.fetched(by_others=False)
    assert member.is_held()
    member.now += 0.1
    member.pace.fetched(by_others=False)
    assert not member.is_held()
    assert member.fetcher._fetch_max_wait_ms == 50
