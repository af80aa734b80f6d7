"""What `make bench PARTS=flows` measures is what it says: whole calls, with nothing in them that went wrong."""

import pytest

from benchmarks.flows.stories import FLOWS, MAIN
from schemas.state import CallState

UNEXPECTED = {"malformed", "unknown_leg", "unknown_status", "unknown_event", "not_expected"}


@pytest.mark.parametrize("name", FLOWS)
def test_a_measured_flow_is_a_whole_call(name: str) -> None:
    """It begins with a webhook, ends with everybody gone, and every command in it is answered."""
    story = FLOWS[name]()

    assert story.now() is CallState.ENDED
    assert not story.state.open
    assert not UNEXPECTED & set(story.ignored())
    assert MAIN in FLOWS
