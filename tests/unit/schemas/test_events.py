"""The catalogue of events: what was promised is there, and every type has its version."""

import json

import msgspec
import pytest

from schemas.codec import encode
from schemas.events import EVENTS, CallEvent, LegEvent, TransferEvent, name_of, type_of
from schemas.results import Outcome
from schemas.state import LegState

# contracts.md section 4.
_PROMISED = {
    "call.created", "call.waiting", "call.connected", "call.held", "call.resumed", "call.transferring", "call.orphaned",
    "call.recovered", "call.customer_left", "call.abandoned", "call.unanswered", "call.ended", "transfer.started",
    "transfer.dialing", "transfer.consulting", "transfer.swapped", "transfer.three_way", "transfer.awaiting_target",
    "transfer.attempt_failed", "transfer.completed", "transfer.cancelled", "transfer.failed", "transfer.abandoned",
    "hold.reminder", "hold.ended", "fact.ignored",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(_PROMISED))
def test_a_promised_event_is_there(name: str) -> None:
    """Every event that contracts.md names is in the catalogue."""
    assert name in EVENTS


@pytest.mark.parametrize("state", LegState)
def test_every_leg_state_has_its_event(state: LegState) -> None:
    """Legs tell of each state that they reach."""
    assert EVENTS[f"leg.{state.value}"] is LegEvent


@pytest.mark.parametrize("name", EVENTS)
def test_types_carry_a_version(name: str) -> None:
    """An event's CloudEvent type is `cordboard.event.NAME.v1`, and says its name again."""
    assert type_of(name) == f"cordboard.event.{name}.v1"
    assert name_of(type_of(name)) == name


@pytest.mark.parametrize("event_type", ["", "cordboard.result.v1", "cordboard.command.call.hold.v1", "call.held"])
def test_other_types_are_no_events(event_type: str) -> None:
    """A result or a command is no event."""
    assert name_of(event_type) is None


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_names_its_cause(name: str) -> None:
    """Nothing is told without the id of the record behind it."""
    fields = {field.name: field for field in msgspec.structs.fields(EVENTS[name])}

    assert fields["cause"].required


def test_changes_are_called_from_and_to() -> None:
    """On the wire a change has `from` and `to`, whatever Python calls them."""
    for data in (
        CallEvent(cause="c", from_="waiting", to="in_conference"),
        LegEvent(cause="c", leg="agent-1", role="agent", from_="ringing", to="answered"),
        TransferEvent(cause="c", transfer="t1", mode="warm", from_="dialing", to="consulting"),
    ):
        written = json.loads(encode(data))
        assert {"from", "to", "cause"} <= set(written)
        assert "from_" not in written


def test_a_transfer_event_carries_the_transfer() -> None:
    """Transfer events carry the id as `data.transfer`."""
    for name, data in EVENTS.items():
        if name.startswith("transfer."):
            fields = {field.encode_name: field for field in msgspec.structs.fields(data)}
            assert fields["transfer"].required


def test_outcomes_are_the_contract() -> None:
    """A command ends in one of five words."""
    assert [outcome.value for outcome in Outcome] == ["applied", "rejected", "failed", "expired", "unknown"]
