"""Positions in the stream, and which events a client wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.envelopes import TypeFilter, heading_of
from observe.stream import Gap, InvalidPositionError, gap_frame, position_id, positions_after
from schemas.events import EVENTS, type_of
from schemas.results import RESULT_TYPE


@given(st.dictionaries(st.integers(0, 999), st.integers(0, 2**62), min_size=1, max_size=64))
def test_an_id_says_the_whole_position(positions: dict[int, int]) -> None:
    """What was written as an id is read back as the same position."""
    assert positions_after(position_id(positions), frozenset(positions)) == positions


@pytest.mark.parametrize("text", ["", "x", "0", "0:", ":1", "0:-1,1:2", "0:1", "0:1,1:2,2:3", "0:1,1:2,1", "0:1:2,1:2"])
def test_an_id_of_another_stream_is_refused(text: str) -> None:
    """An id that does not name exactly the partitions that are read is none of this stream."""
    with pytest.raises(InvalidPositionError):
        positions_after(text, frozenset({0, 1}))


@pytest.mark.parametrize(
    ("wanted", "event_type", "takes"),
    [
        ([], type_of("call.held"), True),
        (["call.held"], type_of("call.held"), True),
        ([type_of("call.held")], type_of("call.held"), True),
        (["call.held"], type_of("call.resumed"), False),
        (["transfer.*"], type_of("transfer.started"), True),
        (["transfer.*"], type_of("call.transferring"), False),
        (["result"], RESULT_TYPE, True),
        ([RESULT_TYPE], RESULT_TYPE, True),
        (["result"], type_of("call.held"), False),
        (["*"], "com.example.other", True),
        (["cordboard.*"], RESULT_TYPE, True),
        (["call.held", "leg.*"], type_of("leg.joined"), True),
    ],
)
def test_types_are_wanted_in_full_short_or_by_their_beginning(
    wanted: list[str],
    event_type: str,
    takes: bool,
) -> None:
    """A filter takes full types, short names and prefixes."""
    assert TypeFilter(wanted).takes(event_type) is takes


def test_every_event_of_the_catalogue_can_be_asked_for_by_its_name() -> None:
    """No short name is understood as another one's."""
    for name in EVENTS:
        only = TypeFilter([name])
        assert [other for other in EVENTS if only.takes(type_of(other))] == [name]


def test_bytes_that_are_no_event_have_no_heading() -> None:
    """Foreign bytes on the topic are left out, not an error."""
    assert [heading_of(value) for value in (None, b"", b"\xff", b"[]", b'{"id": 1}')] == [None] * 5


def test_a_gap_is_an_event_of_its_own() -> None:
    """A client that comes too late is told what is missing."""
    assert gap_frame(Gap(1, 5, 9)) == b'event: gap\ndata: {"partition":1,"from_offset":5,"to_offset":9}\n\n'
