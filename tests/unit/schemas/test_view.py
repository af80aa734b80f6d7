"""A call as the ops port shows it: the names of contracts.md section 3, and what stands behind them."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schema_strategies import built, times_ms
from schemas.actions import HangUp
from schemas.codec import encode
from schemas.commands import TransferMode
from schemas.state import (
    Call,
    CallState,
    Direction,
    Flags,
    Leg,
    LegState,
    PendingAction,
    Role,
    Room,
    Transfer,
    TransferState,
)
from schemas.times import rfc3339
from schemas.view import summary_of, view_of

_AT = 1_795_255_200_000

_CALL = Call(
    call_id="CA1",
    state=CallState.TRANSFERRING,
    direction=Direction.INBOUND,
    account_sid="AC1",
    created_at=_AT,
    room=Room(name="room-CA1", sid="CF1"),
    version=7,
    legs=(
        Leg(
            leg="customer-1",
            role=Role.CUSTOMER,
            state=LegState.JOINED,
            call_sid="CA1",
            target="phone:+15550100",
            observed=Flags(hold=True),
            desired=Flags(hold=True, end_on_exit=True),
        ),
        Leg(leg="agent-1", role=Role.AGENT, state=LegState.LEFT, reason="hung_up"),
        Leg(leg="supervisor-1", role=Role.SUPERVISOR, state=LegState.JOINED, observed=Flags(coaching="agent-1")),
    ),
    transfer=Transfer(
        transfer="CA1.t1",
        mode=TransferMode.WARM,
        state=TransferState.DIALING,
        initiator="agent-1",
        targets=("client:tom",),
        started_at=_AT + 1,
        leg="target-1",
    ),
    timers={"hold_reminder": _AT + 9, "a_limit": _AT + 5},
    pending=(
        PendingAction(HangUp(id="CA1.7.0", call_id="CA1", account_sid="AC1", at=1, deadline=2, call_sid="CA9"), _AT),
    ),
    context={"ticket": "4711"},
)


def _view(call: Call) -> Any:
    return json.loads(encode(view_of(call)))


def test_the_names_are_the_contract() -> None:
    """`GET /v1/calls/{call_id}` has exactly the names that were promised, at every level."""
    view = _view(_CALL)

    assert list(view) == [
        "call_id", "state", "version", "direction", "account_sid", "created_at", "ended_at", "room", "context", "legs",
        "transfer", "supervisions", "recording", "conversation", "timers", "pending_actions", "quarantined",
    ]  # fmt: skip
    assert list(view["room"]) == ["name", "sid"]
    assert list(view["transfer"]) == ["transfer", "mode", "state", "initiator", "target", "started_at", "reason"]
    assert list(view["recording"]) == ["state", "sid"]
    for leg in view["legs"]:
        assert list(leg) == ["leg", "role", "state", "call_sid", "target", "reason", "observed", "desired"]
        for flags in (leg["observed"], leg["desired"]):
            assert list(flags) == ["hold", "muted", "coaching", "end_on_exit"]
    assert [list(timer) for timer in view["timers"]] == [["name", "due"]] * 2
    assert [list(action) for action in view["pending_actions"]] == [["id", "type", "since", "attempts"]]


def test_the_view_says_what_the_state_says() -> None:
    """Every value is the state's own, times in RFC 3339."""
    view = _view(_CALL)

    assert (view["call_id"], view["state"], view["version"], view["direction"]) == ("CA1", "transferring", 7, "inbound")
    assert (view["created_at"], view["ended_at"]) == (rfc3339(_AT), None)
    assert view["room"] == {"name": "room-CA1", "sid": "CF1"}
    assert view["context"] == {"ticket": "4711"}
    assert view["legs"][0]["observed"] == {"hold": True, "muted": False, "coaching": None, "end_on_exit": False}
    assert view["legs"][0]["desired"] == {"hold": True, "muted": False, "coaching": None, "end_on_exit": True}
    assert view["legs"][2]["observed"]["coaching"] == "agent-1"
    assert view["transfer"]["state"] == "dialing"
    assert view["transfer"]["started_at"] == rfc3339(_AT + 1)
    assert view["pending_actions"][0]["type"] == "hang_up"
    assert view["pending_actions"][0]["since"] == rfc3339(_AT)


def test_timers_are_listed_by_name() -> None:
    """The order of timers does not depend on the order in which they were set."""
    assert _view(_CALL)["timers"] == [
        {"name": "a_limit", "due": rfc3339(_AT + 5)},
        {"name": "hold_reminder", "due": rfc3339(_AT + 9)},
    ]


def test_a_summary_counts_the_living() -> None:
    """`GET /v1/calls` shows each call in six words; `legs` counts those that are still there."""
    assert json.loads(encode(summary_of(_CALL))) == {
        "call_id": "CA1",
        "state": "transferring",
        "direction": "inbound",
        "created_at": rfc3339(_AT),
        "ended_at": None,
        "legs": 2,
    }


@settings(max_examples=50)
@given(built(Call), times_ms, st.none() | times_ms)
def test_every_state_can_be_shown(call: Call, created_ms: int, ended_ms: int | None) -> None:
    """No state of a call has a view that cannot be made or written."""
    shown = _timed(call, created_ms, ended_ms)

    assert len(_view(shown)["legs"]) == len(call.legs)
    assert summary_of(shown).call_id == call.call_id


def _timed(call: Call, created_ms: int, ended_ms: int | None) -> Call:
    """`call` with times that a calendar has."""
    return Call(
        call_id=call.call_id,
        state=call.state,
        direction=call.direction,
        account_sid=call.account_sid,
        created_at=created_ms,
        ended_at=ended_ms,
        room=call.room,
        version=call.version,
        legs=call.legs,
        timers=dict.fromkeys(call.timers, created_ms),
        context=call.context,
        pending=tuple(PendingAction(item.action, created_ms) for item in call.pending),
    )
