"""Everything that travels on internal topics: written strictly, read tolerantly, the same after the journey."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema_strategies import any_json, built, call_ids, times_ms
from schemas import codec
from schemas.actions import CREATING, Action, action_type
from schemas.cloudevents import SOURCE, decode_structured
from schemas.events import EVENTS
from schemas.events import type_of as event_type
from schemas.records import Command, Inbox, TimerDue, Webhook
from schemas.results import RESULT_TYPE, Result
from schemas.state import CallState, Flags, Leg, LegState, Role, StateRecord
from schemas.times import rfc3339
from schemas.webhooks import Source

_KINDS: list[tuple[st.SearchStrategy[Any], Callable[[bytes], msgspec.Struct]]] = [
    (built(Inbox), codec.decode_inbox),
    (built(Action), codec.decode_action),
    (built(StateRecord), codec.decode_state),
]
_NAMES = ["inbox", "action", "state"]


@pytest.mark.parametrize(("records", "decode"), _KINDS, ids=_NAMES)
@given(data=st.data())
def test_nothing_changes_on_the_way(
    records: st.SearchStrategy[Any],
    decode: Callable[[bytes], msgspec.Struct],
    data: st.DataObject,
) -> None:
    """What is written is read as it was, and written again as the same bytes: replay depends on it."""
    record = data.draw(records)
    written = codec.encode(record)

    assert decode(written) == record
    assert codec.encode(decode(written)) == written


@pytest.mark.parametrize(("records", "decode"), _KINDS, ids=_NAMES)
@given(data=st.data(), extra=any_json)
def test_a_newer_writer_is_understood(
    records: st.SearchStrategy[Any],
    decode: Callable[[bytes], msgspec.Struct],
    data: st.DataObject,
    extra: object,
) -> None:
    """A field that we do not know is left aside, so that old and new processes share a topic during an upgrade."""
    record = data.draw(records)
    newer = b'{"x-new":' + codec.encode(extra) + b"," + codec.encode(record).removeprefix(b"{")

    assert decode(newer) == record


def test_a_newer_policy_in_the_state_is_understood() -> None:
    """The same holds for what lies inside a state: a policy key of a later version stops nobody."""
    fields = {
        "in_off": 1,
        "owner": 2,
        "call": {
            "call_id": "CA1", "state": "waiting", "direction": "inbound", "account_sid": "AC1", "created_at": 1,
            "room": {"name": "room-CA1", "new": 1}, "policy": {"new_key": True, "wrap_up_s": 5},
            "legs": [{"leg": "customer-1", "role": "customer", "state": "joined", "new": []}],
        },
    }  # fmt: skip

    call = codec.decode_state(json.dumps(fields).encode()).call

    assert call is not None
    assert call.policy.wrap_up_s == 5
    assert call.legs == (Leg(leg="customer-1", role=Role.CUSTOMER, state=LegState.JOINED),)


@pytest.mark.parametrize("decode", [decode for _, decode in _KINDS], ids=_NAMES)
@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"null", b"{", b"\x00", b'{"kind": "rumour", "type": "rumour"}'])
def test_what_is_no_record_is_refused(decode: Callable[[bytes], msgspec.Struct], value: bytes) -> None:
    """Other bytes raise the one error that readers of a topic expect."""
    with pytest.raises(msgspec.MsgspecError):
        decode(value)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b'{"kind": "timer", "id": "t", "call_id": "CA1", "at": "soon", "name": "x", "due": 1}', r"\$\.at"),
        (b'{"kind": "timer", "id": "t", "call_id": "CA1", "at": 1, "name": "x"}', "due"),
        (b'{"kind": "webhook", "id": "w", "call_id": "CA1", "at": 1, "source": "fax", "params": {}}', r"\$\.source"),
        (b'{"kind": "report", "id": "r", "call_id": "c", "at": 1, "action": "a", "action_type": "t", "outcome": "ok"}',
         r"\$\.outcome"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(value: bytes, field: str) -> None:
    """A record that does not fit says where."""
    with pytest.raises(msgspec.ValidationError, match=field):
        codec.decode_inbox(value)


def test_defaults_are_not_written() -> None:
    """Records stay small: what is as it always is, is not there."""
    timer = TimerDue(id="t", call_id="CA1", at=1, name="orphan_grace", due=1)
    leg = Leg(leg="agent-1", role=Role.AGENT, state=LegState.JOINED, observed=Flags(hold=True))

    assert json.loads(codec.encode(timer)) == {
        "kind": "timer", "id": "t", "call_id": "CA1", "at": 1, "name": "orphan_grace", "due": 1
    }  # fmt: skip
    assert json.loads(codec.encode(leg)) == {
        "leg": "agent-1", "role": "agent", "state": "joined", "observed": {"hold": True}
    }  # fmt: skip


@given(any_json)
def test_what_came_is_kept_as_it_came(value: object) -> None:
    """A webhook's form and a command's data lie in the record as bytes, read when they are needed."""
    raw = msgspec.Raw(json.dumps(value).encode())
    webhook = Webhook(id="w", call_id="CA1", at=1, source=Source.STATUS, params=raw)
    command = Command(
        id="c", call_id="CA1", at=1, command_id="1", command_source="/x", command_type="t", data=raw, deadline=2
    )

    for record, name in ((webhook, "params"), (command, "data")):
        assert bytes(getattr(codec.decode_inbox(codec.encode(record)), name)) == bytes(raw)


@given(built(Action))
def test_an_action_says_its_type(action: Action) -> None:
    """The word for an action's type is the one that stands in its message."""
    assert json.loads(codec.encode(action))["type"] == action_type(action)
    assert isinstance(action, CREATING) == (action_type(action) in {"create_participant", "create_call"})


@given(st.sampled_from(sorted(EVENTS)).flatmap(lambda name: st.tuples(st.just(name), built(EVENTS[name]))), times_ms)
def test_an_event_is_a_cloud_event(named: tuple[str, Any], at_ms: int) -> None:
    """An event is a structured CloudEvent of ours, about its call, at the time of its cause."""
    name, data = named
    event = decode_structured(codec.event(name, event_id="CA1.7.e0", subject="CA1", at_ms=at_ms, data=data))

    assert (event.id, event.source, event.type, event.subject) == ("CA1.7.e0", SOURCE, event_type(name), "CA1")
    assert event.time == rfc3339(at_ms)
    assert msgspec.json.decode(bytes(event.data), type=EVENTS[name]) == data


@given(built(Result), call_ids)
def test_a_result_says_everything_even_nothing(result: Result, call_id: str) -> None:
    """A result carries every promised field, also where it is null, so that readers need no defaults."""
    event = decode_structured(codec.result(event_id="r1", subject=call_id, at_ms=0, data=result))

    assert event.type == RESULT_TYPE == "cordboard.result.v1"
    assert set(json.loads(bytes(event.data))) == {
        "command_id", "command_source", "command_type", "outcome", "reason", "state", "allowed", "replayed", "detail"
    }  # fmt: skip
    assert msgspec.json.decode(bytes(event.data), type=Result) == result


def test_call_states_are_the_contract() -> None:
    """A call is in one of the eight states that were promised, in their words."""
    assert [state.value for state in CallState] == [
        "ringing", "waiting", "in_conference", "held", "transferring", "orphaned", "wrap_up", "ended"
    ]  # fmt: skip
