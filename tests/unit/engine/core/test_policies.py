"""What a call does where nobody commands it: each key of the policy file, told as a call (contracts.md section 6)."""

import pytest

from calling import AGENT, OTHER, Story, connected
from schemas.actions import CreateCall, CreateParticipant, RedirectCall, RemoveParticipant, UpdateParticipant
from schemas.policy import Policy
from schemas.state import CallState, Role
from schemas.webhooks import Source


def waiting(policy: Policy) -> Story:
    """A caller alone in the room."""
    return Story(policy).inbound().joins("customer-1")


def held(policy: Policy) -> Story:
    """A connected call with the customer on hold."""
    story = connected(policy).command("call.hold").shows("customer-1", "modify", EndConferenceOnExit=False)
    return story.shows("customer-1", "hold", Hold=True)


def test_max_wait_voicemail() -> None:
    """The caller may leave a message."""
    story = waiting(Policy(max_wait="voicemail", max_wait_s=30)).after(30)

    assert story.asked(RedirectCall)[-1].voicemail is True
    assert "call.abandoned" not in story.leaves("customer-1", "participant_updated_via_api").events()


def test_a_message_that_was_left_is_told_after_the_end() -> None:
    """The call has ended with the voicemail; what became of it is told all the same."""
    story = waiting(Policy(max_wait="voicemail", max_wait_s=30)).after(30)
    story.leaves("customer-1", "participant_updated_via_api")

    story.webhook(Source.VOICEMAIL, leg="customer-1", CallSid=story.sid_of("customer-1"), RecordingDuration="7")

    assert story.now() is CallState.ENDED
    assert story.events()[-1] == "voicemail.recorded"


def test_max_wait_overflows_to_a_target_then_says_goodbye() -> None:
    """One more target; when it does not help either, the call ends with words."""
    story = waiting(Policy(max_wait=OTHER, max_wait_s=30)).after(30)
    assert story.asked(CreateParticipant)[-1].to == OTHER

    story.twilio_does(CreateParticipant).progress("agent-1", "no-answer").after(60)

    assert story.asked(RedirectCall)[-1].voicemail is False


def test_the_overflow_hears_the_whisper_too() -> None:
    """Whoever is rung for the caller by the policy."""
    story = waiting(Policy(max_wait=OTHER, max_wait_s=30, whisper="A call for you")).after(30)

    assert story.asked(CreateCall)[-1].to == OTHER


def test_max_wait_0_waits_for_ever() -> None:
    """0 switches the limit off."""
    assert "max_wait" not in waiting(Policy(max_wait_s=0)).state.timers


def test_an_ai_agent_on_the_route_serves_the_caller() -> None:
    """Its leg is an AI agent's, and the call is connected with it."""
    story = waiting(Policy(route=(f"app:AP{'0' * 32}?topic=billing",))).twilio_does(CreateParticipant).joins("ai-1")

    assert story.now() is CallState.IN_CONFERENCE
    assert story.leg("ai-1").role is Role.AI


@pytest.mark.parametrize(("text", "field"), [("A call for you", "say"), ("https://example.test/w.mp3", "play")])
def test_the_policys_whisper_is_heard_by_the_agent(text: str, field: str) -> None:
    """Before the room, by the agent alone; a URL is played, a text is said."""
    story = waiting(Policy(whisper=text)).command("call.connect", to=AGENT)

    assert getattr(story.asked(CreateCall)[-1].whisper, field) == text


def test_hold_reminders_come_again_and_again() -> None:
    """The held customer hears that it is not forgotten; each one is counted."""
    story = held(Policy(hold_reminder_s=20)).after(45)

    reminders = [effect for effect in story.effects if getattr(effect, "name", "") == "hold.reminder"]
    assert [effect.data.count for effect in reminders] == [1, 2]  # type: ignore[union-attr]
    assert len([update for update in story.asked(UpdateParticipant) if update.announce is not None]) == 2


def test_no_reminder_after_the_hold() -> None:
    """Resumed, nothing reminds any more."""
    story = held(Policy(hold_reminder_s=20)).command("call.resume").shows("customer-1", "unhold", Hold=False)

    assert not {"hold_reminder", "hold_max"} & set(story.state.timers)


@pytest.mark.parametrize(("what", "seen"), [("alert", 0), ("resume", 1)])
def test_hold_max_alerts_or_resumes(what: str, seen: int) -> None:
    """Always told; given back only where the policy says so."""
    story = held(Policy(hold_max_s=60, hold_max=what)).after(60)

    assert "hold.limit" in story.events()
    assert len([update for update in story.asked(UpdateParticipant) if update.hold is False]) == seen


def test_hold_max_requeues() -> None:
    """The agent leaves and the route starts again; the customer keeps hearing audio until somebody is there."""
    story = held(Policy(hold_max_s=60, hold_max="requeue", route=(AGENT,))).after(60)
    assert story.now() is CallState.WAITING
    assert story.asked(RemoveParticipant)[-1].leg == "agent-1"
    assert story.asked(CreateParticipant)[-1].leg != "agent-1"

    story.leaves("agent-1").joins(story.asked(CreateParticipant)[-1].leg)

    assert story.now() is CallState.IN_CONFERENCE
    assert story.asked(UpdateParticipant)[-1].hold is False


def test_hold_max_voicemail() -> None:
    """The customer may leave a message instead."""
    story = held(Policy(hold_max_s=60, hold_max="voicemail")).after(60)

    assert story.asked(RedirectCall)[-1].voicemail is True


@pytest.mark.parametrize("step", ["announce_end", "voicemail"])
def test_orphan_steps_that_end_the_call(step: str) -> None:
    """After the grace the policy's steps are tried in order."""
    story = connected(Policy(orphan=(step,), orphan_grace_s=5)).leaves("agent-1").after(5)

    assert story.asked(RedirectCall)[-1].voicemail is (step == "voicemail")


def test_an_orphan_is_requeued() -> None:
    """Back to the queue, on hold audio, with the route begun again."""
    story = waiting(Policy(orphan=("requeue",), orphan_grace_s=5, route=(OTHER,))).twilio_does(CreateParticipant)
    story.joins("agent-1").leaves("agent-1").after(5)

    assert story.now() is CallState.WAITING
    assert story.asked(CreateParticipant)[-1].to == OTHER


@pytest.mark.parametrize("disposition", ["voicemail", "requeue"])
def test_a_failed_transfer_ends_in_its_disposition(disposition: str) -> None:
    """Voicemail takes a message; requeue begins the route again."""
    story = connected(Policy(route=(AGENT,)))
    story.command("call.transfer", mode="cold", targets=[OTHER], on_failure={"busy": disposition})
    story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateParticipant)

    story.progress("target-1", "busy")

    assert story.outcome() == ("failed", "busy")
    if disposition == "voicemail":
        assert story.asked(RedirectCall)[-1].voicemail is True
    else:
        assert story.now() is CallState.WAITING


def test_keep_agents_lets_them_stay_until_they_leave() -> None:
    """`customer_left = keep_agents`: the room is theirs until the last of them goes."""
    story = connected(Policy(customer_left="keep_agents")).leaves("customer-1")
    assert story.now() is CallState.WRAP_UP

    story.leaves("agent-1")

    assert story.now() is CallState.ENDED


def test_the_policy_of_a_running_call_is_the_one_it_began_with() -> None:
    """A changed file changes calls that begin, not those that run."""
    story = waiting(Policy(max_wait_s=30))

    assert story.state.policy.max_wait_s == 30
