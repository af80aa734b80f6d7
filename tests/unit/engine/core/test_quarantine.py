"""A call from which a record is missing: marked, told, looked at anew, and otherwise as it was."""

from msgspec.structs import replace

from calling import CALL_SID, connected
from engine.core.quarantine import quarantine
from schemas.actions import LookUp
from schemas.events import CallEvent
from schemas.quarantine import Quarantine
from schemas.records import Resumed
from schemas.state import CallState

LOST = Resumed("lost-1", CALL_SID, 5_000)


def test_a_lost_fact_is_looked_up_and_the_call_goes_on() -> None:
    """The call keeps its state, bears the mark, says so, and asks Twilio how things are."""
    call = connected().state
    step = quarantine(call, LOST, "poison")
    assert step.call is not None
    assert step.call.quarantined == Quarantine("lost-1", "poison", 5_000)
    assert (step.call.state, step.call.legs, step.call.version) == (call.state, call.legs, call.version + 1)
    assert [type(item.action) for item in step.call.pending] == [LookUp]
    told = [effect.data for effect in step.effects if hasattr(effect, "data")]
    assert told == [CallEvent(cause="lost-1", reason="poison")]


def test_every_further_one_is_counted_and_one_look_is_enough() -> None:
    """The mark names the last one; a look that is under way is not asked for again."""
    first = quarantine(connected().state, LOST, "poison").call
    assert first is not None
    second = quarantine(first, replace(LOST, id="lost-2"), "too_large").call
    assert second is not None
    assert second.quarantined == Quarantine("lost-2", "too_large", 5_000, records=2)
    assert len(second.pending) == 1


def test_a_call_that_has_ended_is_only_marked() -> None:
    """There is nobody to look for."""
    step = quarantine(replace(connected().state, state=CallState.ENDED), LOST, "poison")
    assert step.call is not None
    assert not step.call.pending
    assert step.call.quarantined is not None
