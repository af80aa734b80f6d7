"""What a command is: the same rules over HTTP and from a topic."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import CloudEvent, InvalidCloudEventError
from schemas.codec import decode_inbox, encode
from schemas.ids import dialled_call_id, is_call_id
from schemas.intake import MAX_ATTRIBUTE, command_of, command_record_id, decode_command, text_headers
from schemas.records import Command

HOLD = {
    "specversion": "1.0",
    "id": "1",
    "source": "/crm",
    "type": "cordboard.command.call.hold.v1",
    "subject": "CA1",
    "data": {"leg": "agent-1"},
}


def structured(**changes: object) -> CloudEvent:
    """The hold command in structured mode."""
    return decode_command({}, msgspec.json.encode({**HOLD, **changes}))


def taken(event: CloudEvent) -> Command:
    """As the record of it, taken at 1,000 ms with a minute's grace."""
    return command_of(event, at_ms=1000, deadline_s=60.0)


def test_both_modes_say_the_same() -> None:
    """A record in binary mode (`ce_` headers) is the same command as in structured mode."""
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in HOLD.items() if name != "data")
    binary = decode_command(text_headers((*headers, ("content-type", b"application/json"))), b'{"leg":"agent-1"}')
    assert taken(binary) == taken(structured())


def test_readable_command() -> None:
    """Everything that the engine needs stands in the record."""
    assert taken(structured(traceparent="00-1-2-01")) == Command(
        id=command_record_id("/crm", "1"),
        call_id="CA1",
        at=1000,
        command_id="1",
        command_source="/crm",
        command_type="cordboard.command.call.hold.v1",
        data=msgspec.Raw(b'{"leg":"agent-1"}'),
        deadline=61_000,
        name="call.hold",
        trace="00-1-2-01",
    )


def test_identity_is_source_and_id() -> None:
    """Deliveries of one source and id share the record id, whatever else they say; others do not."""
    first = taken(structured()).id
    assert taken(structured(type="cordboard.command.call.end.v1", subject="CA2")).id == first
    assert taken(structured(id="2")).id != first
    assert taken(structured(source="/crm2")).id != first


@pytest.mark.parametrize(
    "changes",
    [{"type": "cordboard.command.call.fly.v1"}, {"data": {"leg": 5}}, {"subject": ""}, {"deadline": "soon"}],
)
def test_invalid_commands_can_still_be_answered(changes: dict[str, object]) -> None:
    """A command that cannot be read becomes a record with the reason and a call id, so that it gets its rejection."""
    command = taken(structured(**changes))
    assert command.invalid
    assert is_call_id(command.call_id)
    assert decode_inbox(encode(command)) == command


def test_without_subject_it_gets_a_call_id_of_its_own() -> None:
    """A rejection needs a subject: without one the command's own derived id stands in."""
    event = {name: value for name, value in HOLD.items() if name != "subject"}
    command = taken(decode_command({}, msgspec.json.encode(event)))
    assert (command.call_id, command.name) == (dialled_call_id("/crm", "1"), "call.hold")
    assert "subject is missing" in (command.invalid or "")


def test_dial_begins_a_call_of_its_own() -> None:
    """`call.dial` names no call; one that it names all the same is not touched."""
    data = {"agent": "client:anna", "to": "phone:+15550177"}
    command = taken(structured(type="cordboard.command.call.dial.v1", data=data))
    assert (command.call_id, command.invalid) == (dialled_call_id("/crm", "1"), None)


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "traceparent"])
def test_endless_attributes_are_refused(name: str) -> None:
    """Attributes are kept and repeated in results, so they are bounded."""
    assert getattr(structured(**{name: "x" * MAX_ATTRIBUTE}), name) == "x" * MAX_ATTRIBUTE
    with pytest.raises(InvalidCloudEventError, match=f"{name} has 513 characters"):
        structured(**{name: "x" * (MAX_ATTRIBUTE + 1)})


def test_headers_that_are_not_text_are_refused() -> None:
    """Half a character in a header is no id: it could not be written again."""
    headers = {"ce-specversion": "1.0", "ce-id": "\udc80", "ce-source": "/crm", "ce-type": "t"}
    with pytest.raises(InvalidCloudEventError, match="id is not Unicode text"):
        decode_command(headers, b"{}")


def test_nesting_is_bounded() -> None:
    """JSON nested beyond measure is no command, and no crash."""
    with pytest.raises(InvalidCloudEventError, match="recursion depth"):
        decode_command({}, b'{"specversion":"1.0","id":"1","source":"a","type":"b","data":' + b"[" * 50_000)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*HOLD, "deadline", "traceparent", "time"]), json_values), st.booleans())
def test_any_event_is_a_command_or_refused(changes: dict[str, object], keep: bool) -> None:
    """Any JSON object is no CloudEvent, or a command that can be written, read again and answered."""
    body = msgspec.json.encode({**HOLD, **changes} if keep else changes)
    command = attempted(body)
    assert command is None or decode_inbox(encode(command)) == command


@given(st.binary(max_size=60), st.dictionaries(st.sampled_from(["ce_id", "ce_type", "ce_specversion"]), st.binary()))
def test_any_bytes_are_a_command_or_refused(body: bytes, headers: dict[str, bytes]) -> None:
    """Any bytes on the topic raise nothing but what makes them a dead letter."""
    command = attempted(body, text_headers(tuple(headers.items())))
    assert command is None or decode_inbox(encode(command)) == command


def attempted(body: bytes, headers: dict[str, str] | None = None) -> Command | None:
    """The command, or None for what is no CloudEvent."""
    try:
        return taken(decode_command(headers or {}, body))
    except InvalidCloudEventError:
        return None
