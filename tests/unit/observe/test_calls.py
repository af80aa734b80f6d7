"""The read model of calls: the newest state of each, bounded, in pages."""

import pytest
from msgspec.structs import replace

from cordboard.log.memory import MemoryLog
from cordboard.log.port import Record
from observe.calls import Calls, InvalidCursorError
from observed import BEGAN_AT, a_call, call_sid
from schemas.codec import encode
from schemas.state import Call, CallState, Leg, LegState, Role, StateRecord
from schemas.topics import CLAIM_KEY, STATE_POSITION_KEY, Topic

NOW = BEGAN_AT + 3_600_000


def model(*, ended_kept: int = 100, ended_kept_ms: int = 10_000_000, now: int = NOW) -> Calls:
    """An empty model."""
    return Calls(MemoryLog(1), lambda: now, ended_kept=ended_kept, ended_kept_ms=ended_kept_ms)


def record(key: bytes, value: bytes | None, offset: int = 0) -> Record:
    """A record of `call.state`."""
    return Record(Topic.STATE, 0, offset, NOW, key, value)


def tell(calls: Calls, *states: Call) -> None:
    """Give the model a state record for each."""
    for call in states:
        calls.apply(record(call.call_id.encode(), encode(StateRecord(in_off=0, owner=0, call=call))))


def listed(calls: Calls, state: CallState | None = None) -> list[str]:
    """The ids of all calls in the order of the list."""
    return [call.call_id for call in calls.page(state, 100, None).calls]


def test_the_newest_state_of_a_call_is_shown() -> None:
    """A later record of a call replaces the earlier one."""
    calls = model()
    tell(calls, a_call(1), a_call(1, CallState.HELD))

    view = calls.get(call_sid(1))

    assert view is not None
    assert view.state == "held"
    assert len(calls) == 1


def test_the_call_sid_of_any_leg_leads_to_its_call() -> None:
    """Which room a CallSid is in can be read, whoever's leg it is; what has been forgotten is not found any more."""
    calls = model()
    leg = Leg("customer-1", Role.CUSTOMER, LegState.JOINED, call_sid=call_sid(77))
    tell(calls, replace(a_call(1), legs=(leg,)))

    assert calls.call_of(call_sid(77)) == calls.call_of(call_sid(1)) == call_sid(1)
    assert calls.call_of(call_sid(78)) == call_sid(78)

    calls.apply(record(call_sid(1).encode(), None))
    assert calls.call_of(call_sid(77)) == call_sid(77)


def test_claims_and_positions_are_no_calls() -> None:
    """What an owner writes about itself is not listed."""
    calls = model()
    calls.apply(record(CLAIM_KEY, b'{"owner":"x"}'))
    calls.apply(record(STATE_POSITION_KEY, encode(StateRecord(in_off=7, owner=0))))

    assert len(calls) == 0


def test_a_tombstone_takes_a_call_away() -> None:
    """A forgotten call is gone, and a tombstone of one that was never seen does no harm."""
    calls = model()
    tell(calls, a_call(1), a_call(2))
    calls.apply(record(call_sid(1).encode(), None))
    calls.apply(record(call_sid(3).encode(), None))

    assert listed(calls) == [call_sid(2)]
    assert calls.get(call_sid(1)) is None


def test_the_list_begins_with_the_newest_and_can_be_of_one_state() -> None:
    """Order is by when a call began, newest first."""
    calls = model()
    tell(calls, a_call(2), a_call(1, CallState.HELD), a_call(3))

    assert listed(calls) == [call_sid(3), call_sid(2), call_sid(1)]
    assert listed(calls, CallState.HELD) == [call_sid(1)]


def test_pages_hold_every_call_once() -> None:
    """Following `next` to its end gives everything, with nothing twice, also when the last page is full."""
    calls = model()
    tell(calls, *(a_call(number) for number in range(6)))

    found: list[str] = []
    after, pages = None, 0
    while True:
        page = calls.page(None, 2, after)
        found += [call.call_id for call in page.calls]
        pages += 1
        if page.next is None:
            break
        after = page.next

    assert found == [call_sid(number) for number in range(5, -1, -1)]
    assert pages == 3


def test_calls_that_begin_or_go_between_pages_do_not_disturb_them() -> None:
    """A cursor is a place in time, not a number: what comes and goes elsewhere changes nothing behind it."""
    calls = model()
    tell(calls, *(a_call(number) for number in range(4)))
    first = calls.page(None, 2, None)
    tell(calls, a_call(9))
    calls.apply(record(call_sid(2).encode(), None))  # the call that the cursor names

    second = calls.page(None, 2, first.next)

    assert [call.call_id for call in second.calls] == [call_sid(1), call_sid(0)]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", ".a", "9" * 5000, "1.a b"])
def test_a_cursor_that_no_page_gave_is_refused(cursor: str) -> None:
    """Made-up cursors are an error, never an empty page."""
    with pytest.raises(InvalidCursorError):
        model().page(None, 2, cursor)


def test_ended_calls_are_bounded_by_number() -> None:
    """The oldest ended calls go first; live ones stay however many there are."""
    calls = model(ended_kept=2)
    tell(calls, *(a_call(number, CallState.ENDED) for number in range(4)), a_call(9))

    assert listed(calls) == [call_sid(9), call_sid(3), call_sid(2)]


def test_ended_calls_are_bounded_by_age() -> None:
    """A call that ended long ago is not read in again when the topic is."""
    calls = model(ended_kept_ms=1_000)
    tell(calls, a_call(1, CallState.ENDED), a_call(2, CallState.ENDED, at=NOW - 1_000))

    assert listed(calls) == [call_sid(2)]


def test_a_record_that_cannot_be_read_is_counted_and_the_rest_goes_on() -> None:
    """One unreadable record hides no other call."""
    calls = model()
    calls.apply(record(b"CA1", b'{"call": {"call_id": 1}}'))
    calls.apply(record(b"CA1", b"\xff"))
    tell(calls, a_call(1))

    assert calls.unreadable == 2
    assert listed(calls) == [call_sid(1)]
