"""Identities: what is one, what is none, and that each names one thing alone."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema_strategies import call_ids
from schemas import ids

_HEX = st.text("0123456789abcdef", min_size=32, max_size=32)
_ROLES = st.sampled_from(["customer", "agent", "target", "supervisor", "ai", "third"])
_NO_CALL_ID = ["", " ", "a b", "a.b", "a/b", "é", "CA1\n", "\nCA1", "a" * 65, "room-x?", "~pos", "%41"]
_NO_LEG_ID = [
    "",
    "agent",
    "agent-",
    "agent-0",
    "agent-01",
    "agent-1\n",
    "Agent-1",
    "boss-1",
    "agent-1000000",
    "agent--1",
]
_NO_CALL_SID = ["", "CA", "CA" + "0" * 31, "CA" + "0" * 33, "CF" + "0" * 32, "CA" + "g" * 32, "CA" + "0" * 32 + "\n"]


@given(call_ids)
def test_a_call_id_is_itself(text: str) -> None:
    """Whatever has the form of a call id is taken as it is, by the parser and by the decoders alike."""
    assert ids.parse_call_id(text) == text
    assert ids.is_call_id(text)
    assert msgspec.json.decode(msgspec.json.encode(text), type=ids.CallId) == text


@given(_ROLES, st.integers(1, 999_999))
def test_a_leg_id_is_a_role_and_a_number(role: str, number: int) -> None:
    """A leg id is the role it was made for and its number within the call."""
    text = f"{role}-{number}"

    assert ids.parse_leg_id(text) == text
    assert ids.is_leg_id(text)


@given(_HEX)
def test_a_call_sid_is_itself(text: str) -> None:
    """`CA` and 32 hexadecimal digits are a CallSid, and a CallSid is a call id."""
    assert ids.parse_call_sid(f"CA{text}") == f"CA{text}"
    assert ids.is_call_sid(f"CA{text}")
    assert ids.is_call_id(f"CA{text}")


@pytest.mark.parametrize(
    ("parse", "test", "kind", "texts"),
    [
        (ids.parse_call_id, ids.is_call_id, ids.CallId, _NO_CALL_ID),
        (ids.parse_leg_id, ids.is_leg_id, ids.LegId, _NO_LEG_ID),
        (ids.parse_call_sid, ids.is_call_sid, ids.CallSid, _NO_CALL_SID),
    ],
)
def test_bad_ids_are_refused_everywhere(
    parse: Callable[[str], str], test: Callable[[str], bool], kind: type[str], texts: list[str]
) -> None:
    """What is no id is refused by the parser, the question and the decoder; the parser says what was expected."""
    for text in texts:
        with pytest.raises(ids.InvalidIdError, match="expected"):
            parse(text)
        assert not test(text)
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(text), type=kind)


@given(st.text(max_size=80))
def test_parser_and_decoder_agree(text: str) -> None:
    """No text is an id in one place and none in another."""
    try:
        msgspec.convert(text, ids.CallId)
    except msgspec.ValidationError:
        assert not ids.is_call_id(text)
    else:
        assert ids.is_call_id(text)


def test_a_refusal_does_not_repeat_endless_text() -> None:
    """An error shows at most the first 80 characters of what it refuses."""
    with pytest.raises(ids.InvalidIdError) as refused:
        ids.parse_call_id("x" * 100_000)

    assert len(str(refused.value)) < 200


@given(call_ids, st.integers(1, 9))
def test_a_room_names_its_call(call_id: str, generation: int) -> None:
    """A call is found again by the friendly name of its conference, the first and those that it was rescued into."""
    assert ids.call_of_room(ids.room_of(call_id, generation)) == call_id
    assert (ids.room_of(call_id, generation) == ids.room_of(call_id)) is (generation == 1)


@pytest.mark.parametrize(
    "name", ["", "room-", "room1-x", "room22-x", "room2x", "Room-x", "lobby", "room-a b", "room-" + "a" * 65, "CA1"]
)
def test_a_foreign_room_names_no_call(name: str) -> None:
    """A conference that is not ours belongs to no call."""
    assert ids.call_of_room(name) is None


@given(st.tuples(st.text(max_size=20), st.text(max_size=20)), st.tuples(st.text(max_size=20), st.text(max_size=20)))
def test_commands_are_told_apart_by_source_and_id(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Two commands are the same if and only if source and id are: in their key, their result and the call they dial."""
    for derive in (ids.command_key, ids.result_id, ids.dialled_call_id):
        assert (derive(*one) == derive(*other)) == (one == other)


@pytest.mark.parametrize(("one", "other"), [(("a|b", "c"), ("a", "b|c")), (("a%7Cb", "c"), ("a|b", "c"))])
def test_a_separator_in_a_source_makes_no_twin(one: tuple[str, str], other: tuple[str, str]) -> None:
    """A source that contains the separator, or its escape, is not taken for another source."""
    assert ids.command_key(*one) != ids.command_key(*other)
    assert ids.result_id(*one) != ids.result_id(*other)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_dialled_call_has_a_call_id(source: str, command_id: str) -> None:
    """Whatever a producer calls itself and its command, the call that it begins has a proper id."""
    assert ids.is_call_id(ids.dialled_call_id(source, command_id))


_DERIVED = st.tuples(call_ids, st.integers(0, 999), st.integers(0, 99))


@given(_DERIVED, _DERIVED)
def test_derived_ids_are_distinct(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    """Two actions, or two events, of different steps or places have different ids; no action has an event's id."""
    assert (ids.action_id(*one) == ids.action_id(*other)) == (one == other)
    assert (ids.event_id(*one) == ids.event_id(*other)) == (one == other)
    assert ids.action_id(*one) != ids.event_id(*other)


@given(call_ids, st.integers(0, 2**53), st.integers(0, 2**53))
def test_a_rearmed_timer_is_another_record(call_id: str, due_ms: int, later_ms: int) -> None:
    """A timer that fires twice for one instant is one record; set for another instant it is another."""
    first = ids.timer_record_id(call_id, "orphan_grace", due_ms)

    assert (first == ids.timer_record_id(call_id, "orphan_grace", later_ms)) == (due_ms == later_ms)


def test_outcomes_of_one_action_are_told_apart() -> None:
    """`unknown` and a later `done` of the same action are two records."""
    assert len({ids.report_record_id("a.1.0", outcome) for outcome in ("done", "failed", "unknown", "expired")}) == 4
