"""The parts of the engine's shell, each for itself: timers, stop rule, stall guard, envelopes, batches, calls."""

import asyncio
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.errors import AppendFailedError
from cordboard.log.stall import StallGuard
from cordboard.stop_rule import StopPolicy, StopRule
from engine.batch import Batch, StateEnvelope
from engine.calls import Calls
from engine.core.effects import Emit, Reply
from engine.envelopes import Voice, time_of
from engine.limits import EngineLimits
from engine.parking import Parked, Parking
from engine.timers import DueTimer, Timers
from engine_shell import ManualClock, command, counting_step
from schemas.codec import decode_state, encode, event, result
from schemas.events import CallEvent
from schemas.results import Outcome, Result
from schemas.state import Call, StateRecord
from schemas.times import rfc3339

NOW = 1_800_000_000_000


def begun(call_id: str = "c1") -> Call:
    """A call that has just begun."""
    call = counting_step(None, command("begin", call_id, 1)).call
    assert call is not None
    return call


# Timers


class SetTimers:
    """The calls' timers, as the state has them, and the heap that is told of every change."""

    def __init__(self) -> None:
        self.state: dict[str, dict[str, int]] = {}
        self.timers = Timers(self.of, refire_ms=1000)

    def of(self, call_id: str) -> Mapping[str, int]:
        """What the state says."""
        return self.state.get(call_id, {})

    def set(self, call_id: str, **timers: int) -> bool:
        """The call has these timers now."""
        self.state[call_id] = timers
        return self.timers.change({call_id: timers})


def test_the_earliest_timer_of_a_call_decides_when_to_look() -> None:
    """A change that brings the next look forward says so; one that does not, does not."""
    calls = SetTimers()

    assert calls.set("a", ring=500)
    assert not calls.set("b", ring=900)
    assert calls.set("b", ring=900, wait=100)
    assert calls.timers.next_at() == 100
    assert calls.timers.take_due(99, 10) == []
    assert calls.timers.take_due(100, 10) == [DueTimer("b", "wait", 100)]


def test_a_look_that_finds_nothing_due_is_planned_anew() -> None:
    """A timer moved to later fires then, and not when it was set for first."""
    calls = SetTimers()
    calls.set("a", ring=500)
    calls.set("a", ring=800)

    assert calls.timers.take_due(500, 10) == []
    assert calls.timers.take_due(799, 10) == []
    assert calls.timers.take_due(800, 10) == [DueTimer("a", "ring", 800)]


def test_timers_set_anew_many_times_leave_no_heap_behind() -> None:
    """The heap is bounded by the calls, not by how often timers were set."""
    calls = SetTimers()
    for number in range(10_000):
        calls.set("a", reap=10_000_000, ring=1_000_000 - number)

    assert len(calls.timers) < 100


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(0, 40)),
            st.integers(0, 3),
        )
    )
)
def test_every_timer_fires_when_it_is_due_and_never_before(history: list[tuple[str, dict[str, int], int]]) -> None:
    """Whatever is set, moved and cancelled: what is due fires, once, and nothing else does.

    One that was moved away and back to the same instant has fired under that id already, and may or may not again.
    """
    calls = SetTimers()
    now = 0
    fired: set[DueTimer] = set()
    for call_id, timers, passed in history:
        calls.set(call_id, **timers)
        now += passed
        due = {DueTimer(c, name, at) for c, set_ in calls.state.items() for name, at in set_.items() if at <= now}

        taken = calls.timers.take_due(now, 1000)
        assert due - fired <= set(taken) <= due
        assert len(taken) == len(set(taken))
        assert calls.timers.take_due(now, 1000) == []
        fired |= due


# Stop rule


def test_fifty_in_a_row_are_refused_and_a_good_one_resets_the_count() -> None:
    """The fiftieth is taken, the next one is not."""
    rule = StopRule()
    for number in range(50):
        assert rule.refusal(number * 10_000) is None, "far apart: no window holds many"
        rule.failed(number * 10_000)

    assert "50 dead letters in a row" in (rule.refusal(500_000) or "")
    rule.passed(1, 500_000)
    assert rule.refusal(500_000) is None


def test_more_than_one_percent_of_a_minute_is_refused_until_the_minute_has_passed() -> None:
    """Good records between do not hide a steady stream of bad ones; what is older than a minute does not count."""
    rule = StopRule(StopPolicy(at_least=20))
    for _ in range(19):
        rule.passed(50, NOW)
        rule.failed(NOW)
    assert rule.refusal(NOW) is None
    rule.passed(1, NOW)
    rule.failed(NOW)

    assert "20 of 971 records in 60 s" in (rule.refusal(NOW) or "")
    rule.passed(1, NOW + 59_999)
    assert rule.refusal(NOW + 59_999) is not None
    assert rule.refusal(NOW + 60_000) is None


# Stall guard


async def test_a_loop_that_stood_still_may_not_append() -> None:
    """Half the session time-out without a beat: the partition may have another owner by now."""
    clock = ManualClock()
    guard = StallGuard(5.0, clock.monotonic)
    guard.start()
    clock.monotonic_s += 5.0
    guard.require_awake()

    clock.monotonic_s += 5.1
    with pytest.raises(AppendFailedError, match=r"stood still for 5\.1 s"):
        guard.require_awake()
    clock.monotonic_s += 0.1
    with pytest.raises(AppendFailedError):
        guard.require_awake()
    guard.stop()


async def test_a_stall_between_two_appends_is_noticed_by_the_beat() -> None:
    """The beat sees the gap even if the loop runs well again when the next append comes."""
    clock = ManualClock()
    guard = StallGuard(0.02, clock.monotonic)
    guard.start()
    clock.monotonic_s += 1.0
    async with asyncio.timeout(10):
        while guard._worst < 1.0:
            await asyncio.sleep(0.001)

    with pytest.raises(AppendFailedError):
        guard.require_awake()
    guard.stop()


# Envelopes


def test_events_are_those_of_the_public_codec() -> None:
    """Byte for byte what `schemas.codec` makes, plus the trace of the record."""
    record = command("begin", "c1", 1)
    untraced = msgspec.structs.replace(record, trace=None)
    data = CallEvent(cause=record.id, to="waiting")
    answer = Result(command_id="1", command_source="/t", command_type="t", outcome=Outcome.APPLIED)

    assert Voice(untraced).event(Emit("call.waiting", data), "c1.1.e0") == event(
        "call.waiting", event_id="c1.1.e0", subject="c1", at_ms=record.at, data=data
    )
    assert Voice(untraced).result(Reply("r", answer)) == result(
        event_id="r", subject="c1", at_ms=record.at, data=answer
    )
    assert msgspec.json.decode(Voice(record).result(Reply("r", answer)))["traceparent"] == record.trace


@given(st.integers(0, 4_102_444_800_000))
def test_the_remembered_time_is_the_time(at_ms: int) -> None:
    """Whatever the millisecond."""
    assert time_of(at_ms) == rfc3339(at_ms)


# Batches


def test_what_was_said_without_a_call_is_written_before_later_offsets_are_covered() -> None:
    """A torn append never covers an offset whose events it does not hold."""
    batch = Batch(1, owner=7, published=3, limits=EngineLimits())
    batch.say_without_call([b'{"n":1}'])
    batch.last_offset = 4
    batch.write_call(5, b"c1", encode(begun()), [])
    batch.last_offset = 5
    batch.say_without_call([b'{"n":2}'])
    batch.last_offset = 6
    batch.close()

    records = [decode_state(entry.value or b"") for entry in batch.state]
    assert [(entry.key, r.in_off, len(r.outbox)) for entry, r in zip(batch.state, records, strict=True)] == [
        (b"~pos", 4, 1),
        (b"c1", 5, 0),
        (b"~pos", 6, 2),
    ]


def test_the_envelope_is_the_state_record_of_the_schema() -> None:
    """Written without decoding the call, read by everybody as `StateRecord`, and the other way round."""
    call = begun()
    envelope = StateEnvelope(5, 6, 4, msgspec.Raw(encode(call)), (msgspec.Raw(b'{"a":1}'),))

    record = decode_state(encode(envelope))

    assert (record.in_off, record.owner, record.published, record.call) == (5, 6, 4, call)
    assert encode(record) == encode(envelope)
    assert set(StateEnvelope.__struct_fields__) == set(StateRecord.__struct_fields__)


# Calls and parking


def test_calls_are_kept_encoded_and_a_few_decoded() -> None:
    """What falls out of the short list is decoded again, and is the same call."""
    calls = Calls(recent=2)
    for number in range(5):
        call = begun(f"c{number}")
        calls.put(call.call_id, call, encode(call))

    assert calls.get("c4") is calls.get("c4")
    assert calls.get("c0") is not calls.get("c0")
    assert calls.get("c0") == begun("c0")
    assert calls.get("c9") is None
    calls.drop("c4")
    assert (calls.get("c4"), len(calls)) == (None, 4)


def test_timers_of_a_call_are_read_without_decoding_all_of_it() -> None:
    """The same answer for a call in the short list, for one that is not, and for one that is not there."""
    calls = Calls(recent=1)
    for number in range(2):
        call = msgspec.structs.replace(begun(f"c{number}"), timers={"ring": 5 + number})
        calls.put(call.call_id, call, encode(call))

    assert [calls.timers_of(f"c{number}") for number in range(3)] == [{"ring": 5}, {"ring": 6}, {}]


def test_parked_records_of_a_call_are_due_when_it_begins() -> None:
    """Only its own; those of other calls wait on."""
    parking = Parking(refire_ms=1000)
    parking.change([Parked("r1", "c1", b"1", NOW + 10), Parked("r2", "c2", b"2", NOW + 10)])

    assert not parking.hurry(["c3"], NOW)
    assert parking.hurry(["c1"], NOW)
    assert [p.record_id for p in parking.take_due(NOW, 10)] == ["r1"]
    assert [p.record_id for p in parking.take_due(NOW + 10, 10)] == ["r2"]
    parking.change(["r1", "r2"])
    assert parking.take_due(NOW + 5000, 10) == []
    assert len(parking) == 0
