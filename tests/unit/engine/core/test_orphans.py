"""A customer whose agent has gone: nobody is sent away, and nobody called twice, while somebody is on the way."""

import pytest

from calling import OTHER, Story, connected
from schemas.actions import CreateParticipant, RedirectCall
from schemas.policy import Policy
from schemas.state import CallState

PATIENT = Policy(orphan_grace_s=5)


def alone() -> Story:
    """The agent has hung up."""
    return connected(PATIENT).leaves("agent-1")


def recalled() -> Story:
    """The grace is over and the agent's phone rings again; meanwhile a service has sent for somebody else."""
    story = alone().after(5).twilio_does(CreateParticipant).progress("agent-2", "ringing")
    return story.command("call.connect", to=OTHER).twilio_does(CreateParticipant)


def test_a_customer_who_is_alone_is_not_taken_off_the_hold_audio() -> None:
    """There would be silence: refused, and said why; with somebody there it is taken."""
    story = alone().shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)
    story.command("call.resume")
    assert story.outcome() == ("rejected", "nobody_there")
    assert "there are customer-1 (joined)" in (story.results()[-1].detail or "")

    story.command("call.add", to=OTHER).twilio_does(CreateParticipant).joins("third-1").command("call.resume")

    assert [opened.name for opened in story.state.open] == ["call.resume"]


@pytest.mark.parametrize(("fails", "rings"), [("agent-3", "agent-2"), ("agent-2", "agent-3")])
def test_one_who_fails_does_not_end_the_ringing_of_the_other(fails: str, rings: str) -> None:
    """The goodbye comes when the last of them has failed."""
    story = recalled().progress(fails, "busy")
    assert not story.asked(RedirectCall)

    story.progress(rings, "no-answer")

    assert story.asked(RedirectCall)


def test_whoever_rings_may_still_save_the_call() -> None:
    """The customer is there for them."""
    story = recalled().progress("agent-3", "busy").joins("agent-2")

    assert story.now() is CallState.IN_CONFERENCE
    assert not story.asked(RedirectCall)


def test_the_agent_is_not_recalled_while_a_service_has_somebody_rung() -> None:
    """The grace is for services too; it runs again until theirs has come or failed."""
    story = alone().command("call.connect", to=OTHER).twilio_does(CreateParticipant).progress("agent-2", "ringing")
    dialled = len(story.asked(CreateParticipant))
    story.after(6)
    assert len(story.asked(CreateParticipant)) == dialled

    story.progress("agent-2", "busy").after(5)

    assert len(story.asked(CreateParticipant)) == dialled + 1
    assert story.now() is CallState.ORPHANED
