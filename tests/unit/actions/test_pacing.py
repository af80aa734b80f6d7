"""Pacing: new legs per second and requests at once, as values and as the door of an account."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.breaker import WINDOW, Breaker
from actions.gate import RATE_LIMITED, UNAVAILABLE, Gate
from actions.heard import TOO_LATE, Answer, Silence
from actions.pacing import Concurrency, concurrency_of, pace_of
from actions.pause import GivenUpError, Pauses
from cordboard.clock import system_clock

LIMITED = Answer(status=429, code=20429)


def test_new_legs_begin_at_nine_tenths_of_the_rate() -> None:
    """At one call per second a leg begins every 1.11 s; the first one at once."""
    pace = pace_of(1.0)
    begins = []
    for _ in range(3):
        reserved = pace.reserve(1000, 1_000_000)
        assert reserved is not None
        pace, begin = reserved
        begins.append(round(begin))
    assert begins == [1000, 2111, 3222]


def test_no_rate_is_no_pacing() -> None:
    """0 calls per second means that nothing is paced."""
    pace = pace_of(0)
    for _ in range(100):
        reserved = pace.reserve(5, 5)
        assert reserved is not None
        pace, begin = reserved
        assert begin == 5


def test_a_leg_that_would_begin_too_late_takes_no_place() -> None:
    """Whoever expires while waiting does not hold up the next one."""
    reserved = pace_of(1.0).reserve(0, 10_000)
    assert reserved is not None
    pace, _ = reserved
    assert pace.reserve(0, 500) is None
    after = pace.reserve(0, 10_000)
    assert after is not None
    assert round(after[1]) == 1111


@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 20_000)), max_size=50), st.floats(0.1, 50))
def test_reserved_legs_are_never_closer_than_the_interval(wishes: list[tuple[float, float]], rate: float) -> None:
    """However wishes arrive, begins keep their distance and never miss a deadline."""
    pace, now, begins = pace_of(rate), 0.0, []
    for after, patience in wishes:
        now += after
        reserved = pace.reserve(now, now + patience)
        if reserved is not None:
            pace, begin = reserved
            assert now <= begin <= now + patience
            begins.append(begin)
    assert all(later - earlier >= pace.interval_ms - 1e-6 for earlier, later in pairwise(begins))


def test_a_429_halves_once_a_second_and_answers_win_it_back() -> None:
    """Those on their way at the first 429 say nothing new; every `limit` answers give one place back."""
    limit = concurrency_of(100).limited(1000).limited(1200)
    assert limit.limit == 50
    assert limit.limited(2300).limit == 25
    for _ in range(50):
        limit = limit.answered()
    assert 50.9 < limit.limit < 51.1


@given(st.lists(st.one_of(st.none(), st.integers(0, 100_000)), max_size=300))
def test_concurrency_stays_between_one_and_its_ceiling(events: list[int | None]) -> None:
    """Whatever comes, at least one request may go and never more than the ceiling."""
    limit = concurrency_of(8)
    for at_ms in events:
        limit = limit.answered() if at_ms is None else limit.limited(at_ms)
        assert 1.0 <= limit.limit <= 8.0
        assert limit.allows(0)
        assert not limit.allows(8)


async def test_the_door_lets_in_as_many_as_there_is_room_for() -> None:
    """Who does not get in waits for somebody to leave."""
    gate, pauses = Gate(0, 2), Pauses(system_clock)
    deadline = system_clock() + 5000
    assert await gate.enter(pauses, deadline, creating=False) is None
    assert await gate.enter(pauses, deadline, creating=False) is None
    third = asyncio.create_task(gate.enter(pauses, deadline, creating=False))
    await asyncio.sleep(0)
    assert not third.done()
    gate.leave()
    assert await third is None


async def test_waiting_at_the_door_ends_with_the_deadline() -> None:
    """A full house until the deadline: not let in, and the next one is."""
    gate, pauses = Gate(0, 1), Pauses(system_clock)
    assert await gate.enter(pauses, system_clock() + 5000, creating=False) is None
    assert await gate.enter(pauses, system_clock() + 20, creating=False) == RATE_LIMITED
    gate.leave()
    assert await gate.enter(pauses, system_clock() + 20, creating=False) is None


async def test_a_given_up_partition_leaves_the_door() -> None:
    """Waiting ends at once when the partition is given up, and no place is lost by it."""
    gate, ours, theirs = Gate(0, 1), Pauses(system_clock), Pauses(system_clock)
    deadline = system_clock() + 5000
    assert await gate.enter(theirs, deadline, creating=False) is None
    waiting = asyncio.create_task(gate.enter(ours, deadline, creating=False))
    behind = asyncio.create_task(gate.enter(theirs, deadline, creating=False))
    await asyncio.sleep(0)
    ours.end()
    gate.leave()
    with pytest.raises(GivenUpError):
        await waiting
    assert await behind is None


async def test_the_door_narrows_after_a_429_and_learns_nothing_from_silence() -> None:
    """A 429 halves the room; no answer says nothing about it."""
    gate, pauses = Gate(0, 4), Pauses(system_clock)
    gate.heard(Silence(cause="timeout", written=True), 0)
    gate.heard(LIMITED, 0)
    deadline = system_clock() + 20
    assert await gate.enter(pauses, deadline, creating=False) is None
    assert await gate.enter(pauses, deadline, creating=False) is None
    assert await gate.enter(pauses, deadline, creating=False) == RATE_LIMITED


async def test_only_creations_are_paced() -> None:
    """The rate is for new legs: a hang-up does not wait for it, a second leg expires if it cannot begin in time."""
    gate, pauses = Gate(0.5, 10), Pauses(system_clock)
    deadline = system_clock() + 200
    assert await gate.enter(pauses, deadline, creating=True) is None
    assert await gate.enter(pauses, deadline, creating=True) == RATE_LIMITED
    assert await gate.enter(pauses, deadline, creating=False) is None


def test_a_limit_of_one_is_not_halved_away() -> None:
    """One request at a time is the least."""
    assert Concurrency(ceiling=1, limit=1.0).limited(0).limit == 1.0


GOOD = Answer(status=200)
REFUSED = Answer(status=404, code=20404)
BROKEN = Answer(status=503)
SILENT = Silence(cause="timeout", written=True)


def after(breaker: Breaker, *heard: Answer | Silence, now_ms: float = 0) -> Breaker:
    """The breaker after hearing these."""
    for item in heard:
        breaker = breaker.heard(item, now_ms)
    return breaker


def test_the_circuit_opens_when_half_of_twenty_fail() -> None:
    """Nine bad ones of twenty are bad luck, ten are an outage; silence counts like a 5xx, a refusal does not."""
    calm = after(Breaker(), *[GOOD, REFUSED] * 6, *[BROKEN] * 8)
    assert not calm.is_open
    assert after(calm, SILENT, BROKEN).is_open
    assert not after(Breaker(), *[BROKEN] * (WINDOW - 1)).is_open


def test_an_open_circuit_lets_one_through_each_second() -> None:
    """Probes only, and a single answer closes it with a clean sheet."""
    broken = after(Breaker(), *[BROKEN] * WINDOW, now_ms=5000)
    assert broken.ask(5500) == (broken, 6000)
    probing, go = broken.ask(6200)
    assert go == 6200
    assert probing.ask(6300)[1] == 7200
    assert after(probing, SILENT).is_open
    assert after(probing, GOOD) == Breaker()
    assert after(Breaker(), *[Silence(cause=TOO_LATE, written=False)] * WINDOW) == Breaker()


async def test_an_open_circuit_refuses_what_cannot_wait() -> None:
    """While Twilio does not work, an action whose deadline comes before the next probe does not go."""
    gate, pauses = Gate(0, 10), Pauses(system_clock)
    for _ in range(WINDOW):
        gate.heard(SILENT, system_clock())
    assert await gate.enter(pauses, system_clock() + 100, creating=False) == UNAVAILABLE
    gate.heard(GOOD, system_clock())
    assert await gate.enter(pauses, system_clock() + 100, creating=False) is None
