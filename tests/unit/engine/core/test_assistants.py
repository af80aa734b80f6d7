"""AI agents are legs like others; what they need to know travels in the address."""

from typing import Any
from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace

from calling import CALL_SID, OTHER, Story, connected
from engine.core.assistants import MOST_CHARACTERS
from schemas.actions import CreateParticipant
from schemas.policy import Policy
from schemas.state import CallState, Role

APP = f"app:AP{'0' * 32}"


def parameters(story: Story) -> dict[str, str]:
    """What the application that was dialled last is told."""
    address = str(story.asked(CreateParticipant)[-1].to)
    return dict(parse_qsl(address.partition("?")[2], keep_blank_values=True))


def test_our_call_and_leg_go_along() -> None:
    """The CallSid that the application sees need not be the participant's."""
    story = connected().command("call.add", to=f"{APP}?topic=billing")

    assert parameters(story) == {"call": CALL_SID, "leg": "ai-1", "topic": "billing"}


def test_a_summary_goes_along_on_a_hand_off() -> None:
    """Human to AI: the context of the transfer is encoded, whatever it says."""
    summary = "wants a refund & is ? unhappy #1 ü"
    story = connected().command("call.transfer", mode="cold", targets=[APP], context={"summary": summary})
    story.shows("customer-1", "modify", EndConferenceOnExit=False)

    assert parameters(story)["summary"] == summary


def test_a_context_that_does_not_fit_is_refused_and_nothing_is_asked() -> None:
    """Never cut: an assistant that knows half is worse than one that knows nothing."""
    story = connected()
    before = len(story.asked())

    story.command("call.transfer", mode="cold", targets=[APP], context={"summary": "x" * MOST_CHARACTERS})

    assert story.outcome() == ("rejected", "context_too_large")
    assert len(story.asked()) == before


def test_a_call_that_is_dialled_with_too_much_context_is_not_begun() -> None:
    """`call.dial` by an assistant: the same limit, and nobody is dialled."""
    story = Story(call_id="dial-1")

    story.command("call.dial", agent=APP, to=OTHER, context={"summary": "x" * MOST_CHARACTERS})

    assert story.outcome() == ("rejected", "context_too_large")
    assert (story.call, story.asked()) == (None, [])


def test_a_supervisor_that_is_an_application_has_the_same_limit() -> None:
    """Every address that is made of a context is measured."""
    story = connected()
    story.call = replace(story.state, context={"summary": "x" * MOST_CHARACTERS})

    story.command("call.supervise", mode="monitor", supervisor=APP)

    assert story.outcome() == ("rejected", "context_too_large")
    assert f"at most {MOST_CHARACTERS} characters" in (story.results()[-1].detail or "")


def test_where_nobody_commands_it_an_address_that_is_too_long_is_a_leg_that_fails() -> None:
    """A route, a recall, an overflow: nothing is asked of Twilio, and the next in line has its turn."""
    story = Story(Policy(route=(APP, OTHER))).inbound()
    story.call = replace(story.state, context={"summary": "x" * MOST_CHARACTERS})

    story.joins("customer-1")

    assert (story.leg("ai-1").reason, story.leg("ai-1").detail) == ("failed", "context_too_large")
    assert [create.to for create in story.asked(CreateParticipant)] == [OTHER]


def test_an_assistant_that_calls_out_is_an_ai_agent() -> None:
    """`call.dial` with an `app:` agent: its leg has the role that every other way gives it."""
    story = Story(call_id="dial-1").command("call.dial", agent=APP, to=OTHER, context={"topic": "renewal"})

    assert story.leg("ai-1").role is Role.AI
    assert parameters(story) == {"call": "dial-1", "leg": "ai-1", "topic": "renewal"}


@pytest.mark.parametrize("data", [{"to": OTHER}, {"to": "phone:+15550100077"}])
def test_people_are_told_nothing_by_their_address(data: dict[str, Any]) -> None:
    """Only applications take parameters."""
    story = connected().command("call.add", **data)

    assert "?" not in str(story.asked(CreateParticipant)[-1].to)


def test_human_to_ai_and_back() -> None:
    """A call handed to an assistant is handed back like any other."""
    story = connected().command("call.transfer", mode="cold", targets=[APP])
    story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateParticipant).joins("target-1")
    story.leaves("agent-1").shows("customer-1", "modify", EndConferenceOnExit=True)
    assert story.leg("target-1").role is Role.AI

    story.command("call.transfer", mode="cold", targets=[OTHER]).shows(
        "customer-1", "modify", EndConferenceOnExit=False
    )
    story.twilio_does(CreateParticipant).joins("target-2").leaves("target-1")

    assert story.outcome() == ("applied", None)
    assert story.now() is CallState.IN_CONFERENCE
    assert story.leg("target-2").role is Role.AGENT
