"""Warm transfers and consults: every row of the table, told as calls (state-machines.md sections 6 and 8)."""

from typing import Any

import pytest

from calling import AGENT, OTHER, Story, connected
from schemas.actions import AnnounceAll, CreateParticipant, HangUp, RemoveParticipant, UpdateParticipant
from schemas.policy import Policy
from schemas.state import CallState, LegState, Role, TransferState


def preparing(mode: str = "warm", policy: Policy | None = None, **options: Any) -> Story:
    """The transfer has been asked for; nothing is confirmed yet."""
    return connected(policy).command("call.transfer", mode=mode, targets=[OTHER], **options)


def dialling(mode: str = "warm", policy: Policy | None = None, **options: Any) -> Story:
    """The customer is on hold, the target is being dialled."""
    story = preparing(mode, policy, **options).shows("customer-1", "modify", EndConferenceOnExit=False)
    return story.shows("customer-1", "hold", Hold=True).twilio_does(CreateParticipant).progress("target-1", "ringing")


def consulting(mode: str = "warm", policy: Policy | None = None, **options: Any) -> Story:
    """Initiator and target talk, the customer is held."""
    return dialling(mode, policy, **options).joins("target-1")


def swapped() -> Story:
    """Initiator and customer talk, the target is held."""
    story = consulting().command("transfer.swap")
    return story.shows("target-1", "hold", Hold=True).shows("customer-1", "unhold", Hold=False)


def three_way() -> Story:
    """All three talk."""
    return consulting().command("transfer.merge").shows("customer-1", "unhold", Hold=False)


def state(story: Story) -> TransferState:
    """Where the transfer is."""
    assert story.state.transfer is not None
    return story.state.transfer.state


def answered(story: Story, name: str) -> tuple[str, str | None]:
    """The result of the latest command of a name."""
    result = [result for result in story.results() if f".{name}." in result.command_type][-1]
    return result.outcome.value, result.reason


def test_flags_then_hold_then_dial_each_confirmed() -> None:
    """N2 and the customer's ears: nobody is dialled before the customer is seen on hold."""
    story = preparing()
    first, second = story.asked(UpdateParticipant)[-2:]
    assert (first.end_on_exit, second.hold) == (False, True)

    story.shows("customer-1", "modify", EndConferenceOnExit=False)
    assert state(story) is TransferState.PREPARING
    story.shows("customer-1", "hold", Hold=True)

    assert state(story) is TransferState.DIALING


def test_complete_puts_customer_and_target_together() -> None:
    """Unhold, then the initiator goes; success when all of it is seen."""
    story = consulting().command("transfer.complete")
    assert state(story) is TransferState.COMPLETING
    assert story.asked(RemoveParticipant)[-1].leg == "agent-1"

    story.shows("customer-1", "unhold", Hold=False).leaves("agent-1", "participant_updated_via_api")

    assert state(story) is TransferState.COMPLETED
    assert answered(story, "call.transfer") == ("applied", None)
    assert answered(story, "transfer.complete") == ("applied", None)
    assert story.leg("target-1").role is Role.AGENT
    assert story.now() is CallState.IN_CONFERENCE


def test_the_initiator_hangs_up_during_the_consult() -> None:
    """That is an implicit complete."""
    story = consulting().leaves("agent-1").shows("customer-1", "unhold", Hold=False)

    assert answered(story, "call.transfer") == ("applied", None)


def test_the_initiator_hangs_up_before_the_target_answers() -> None:
    """The customer keeps the hold audio, the transfer goes on as a cold one."""
    story = dialling().leaves("agent-1")
    assert state(story) is TransferState.AWAITING_TARGET

    story.joins("target-1").shows("customer-1", "unhold", Hold=False)

    assert answered(story, "call.transfer") == ("applied", None)


def test_blond_the_initiator_completes_while_it_rings() -> None:
    """Complete before the answer releases the initiator and waits for the target."""
    story = dialling().command("transfer.complete")
    assert state(story) is TransferState.AWAITING_TARGET

    story.leaves("agent-1", "participant_updated_via_api").joins("target-1").shows("customer-1", "unhold", Hold=False)

    assert answered(story, "transfer.complete") == ("applied", None)


def test_swap_and_back() -> None:
    """Who talks is unheld, who waits is held; each swap is answered when that is seen."""
    story = consulting().command("transfer.swap")
    assert [(a.leg, a.hold) for a in story.asked(UpdateParticipant)[-2:]] == [("target-1", True), ("customer-1", False)]
    assert state(story) is TransferState.SWAPPED

    story.shows("target-1", "hold", Hold=True).shows("customer-1", "unhold", Hold=False)
    assert answered(story, "transfer.swap") == ("applied", None)
    story.command("transfer.swap").shows("customer-1", "hold", Hold=True).shows("target-1", "unhold", Hold=False)

    assert state(story) is TransferState.CONSULTING
    assert answered(story, "transfer.swap") == ("applied", None)


def test_swap_while_it_rings_and_the_target_is_held_on_arrival() -> None:
    """The initiator talks to the customer meanwhile; the target that comes in waits."""
    story = dialling().command("transfer.swap").shows("customer-1", "unhold", Hold=False)
    assert state(story) is TransferState.SWAPPED

    story.joins("target-1")

    assert story.asked(UpdateParticipant)[-1].leg == "target-1"
    assert "transfer.target_arrived" in story.events()


def test_swap_back_while_it_still_rings() -> None:
    """The customer is held again and the ringing goes on."""
    story = dialling().command("transfer.swap").shows("customer-1", "unhold", Hold=False).command("transfer.swap")

    assert state(story) is TransferState.DIALING
    assert story.asked(UpdateParticipant)[-1].hold is True


def test_complete_from_swapped() -> None:
    """The target is unheld and the initiator goes."""
    story = swapped().command("transfer.complete").shows("target-1", "unhold", Hold=False).leaves("agent-1")

    assert answered(story, "call.transfer") == ("applied", None)


def test_merge_lets_all_three_talk_then_complete() -> None:
    """Three-way, then the initiator goes."""
    story = three_way()
    assert state(story) is TransferState.THREE_WAY
    assert answered(story, "transfer.merge") == ("applied", None)

    story.command("transfer.complete").leaves("agent-1")

    assert state(story) is TransferState.COMPLETED


def test_the_initiator_leaves_a_three_way() -> None:
    """Customer and target go on: completed."""
    assert answered(three_way().leaves("agent-1"), "call.transfer") == ("applied", None)


@pytest.mark.parametrize("begin", [swapped, three_way])
def test_the_target_leaves_while_the_customer_is_with_the_initiator(begin: Any) -> None:
    """Nothing to undo for the customer."""
    story = begin().leaves("target-1")

    assert state(story) is TransferState.CANCELLED
    assert story.now() is CallState.IN_CONFERENCE


def test_cancel_from_a_consult_gives_the_customer_back() -> None:
    """Target out, customer unheld, both seen; then it is as before."""
    story = consulting().command("transfer.cancel")
    story.leaves("target-1", "participant_updated_via_api").shows("customer-1", "unhold", Hold=False)

    assert state(story) is TransferState.CANCELLED
    assert answered(story, "transfer.cancel") == ("applied", None)
    assert answered(story, "call.transfer") == ("failed", "cancelled")


def test_the_target_hangs_up_in_the_consult() -> None:
    """The customer comes back to the initiator, and the transfer has failed."""
    story = consulting().leaves("target-1").shows("customer-1", "unhold", Hold=False)

    assert answered(story, "call.transfer") == ("failed", "target_left")
    assert story.now() is CallState.IN_CONFERENCE


def test_the_target_cannot_be_reached_and_the_customer_comes_back() -> None:
    """Return is the default while the initiator is there."""
    story = dialling().progress("target-1", "busy").shows("customer-1", "unhold", Hold=False)

    assert answered(story, "call.transfer") == ("failed", "busy")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("alert", TransferState.CONSULTING), ("merge", TransferState.THREE_WAY), ("cancel", TransferState.CANCELLING)],
)
def test_a_consult_has_a_limit_that_never_completes_it(limit: str, expected: TransferState) -> None:
    """Alert, merge or cancel, as the policy says; never a silent completion."""
    story = consulting(policy=Policy(consult_limit=limit), consult_limit_s=30).after(30)

    assert state(story) is expected


def test_the_policy_limits_a_consult_that_names_no_limit_of_its_own() -> None:
    """`consult_limit_s`; the command's own comes first."""
    policy = Policy(consult_limit="cancel", consult_limit_s=30)

    assert state(consulting(policy=policy).after(30)) is TransferState.CANCELLING
    assert state(consulting(policy=policy, consult_limit_s=60).after(30)) is TransferState.CONSULTING


def test_what_a_transfer_does_not_take_any_more_is_not_offered() -> None:
    """A refused command says what is allowed where the transfer is, not what it took before."""
    story = consulting().command("transfer.complete").command("transfer.swap")

    assert story.outcome() == ("rejected", "too_late")
    assert not [name for name in story.results()[-1].allowed if name.startswith("transfer.")]


def test_agents_who_talk_on_hear_that_the_customer_has_gone() -> None:
    """They are told in the room, and not only by events."""
    story = consulting().leaves("customer-1")

    [said] = story.asked(AnnounceAll)
    assert said.announce.say == "The caller has hung up."


@pytest.mark.parametrize(("customer_left", "expected"), [("end", CallState.ENDED), ("keep_agents", CallState.WRAP_UP)])
def test_without_a_time_to_finish_the_agents_are_treated_as_after_any_call(
    customer_left: str, expected: CallState
) -> None:
    """`abandoned_consult_s = 0`: `customer_left` says what then."""
    policy = Policy(abandoned_consult_s=0, customer_left=customer_left)

    assert consulting(policy=policy).leaves("customer-1").now() is expected


def test_the_customer_hangs_up_in_the_consult() -> None:
    """Held or not, the leave is seen, since the end flags were cleared first; the agents may finish, with a limit."""
    story = consulting().leaves("customer-1")
    assert state(story) is TransferState.ABANDONED
    assert story.now() is CallState.WRAP_UP
    assert story.leg("agent-1").state is LegState.JOINED

    story.after(30)

    assert story.now() is CallState.ENDED
    assert {action.leg for action in story.asked(RemoveParticipant)} == {"agent-1", "target-1"}


def test_the_customer_hangs_up_while_it_rings() -> None:
    """N3: the target stops ringing at once."""
    story = dialling().leaves("customer-1")

    assert story.asked(HangUp)[-1].leg == "target-1"
    assert answered(story, "call.transfer") == ("failed", "abandoned")


def test_consult_only_talks_and_returns() -> None:
    """Complete and merge are refused, cancel and swap are not."""
    story = consulting("consult").command("transfer.complete")
    assert story.outcome() == ("rejected", "consult_only")
    assert not {"transfer.complete", "transfer.merge"} & set(story.results()[-1].allowed)
    story.command("transfer.merge")
    assert story.outcome() == ("rejected", "consult_only")

    story.command("transfer.swap").shows("target-1", "hold", Hold=True).shows("customer-1", "unhold", Hold=False)

    assert story.outcome() == ("applied", None)


@pytest.mark.parametrize("command", ["transfer.swap", "transfer.merge"])
def test_a_cold_transfer_has_nobody_to_swap_or_merge(command: str) -> None:
    """The initiator does not talk to the target."""
    story = connected().command("call.transfer", mode="cold", targets=[OTHER]).command(command)

    assert story.outcome() == ("rejected", "not_consulting")


def test_an_ai_agent_as_the_target_becomes_the_ai_of_the_call() -> None:
    """Human to AI: the role is what it is, the leg keeps its id."""
    app = f"app:AP{'0' * 32}?topic=billing"
    story = connected().command("call.transfer", mode="cold", targets=[app], context={"summary": "wants a refund"})
    story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateParticipant).joins("target-1")

    story.leaves("agent-1")

    assert story.leg("target-1").role is Role.AI
    assert answered(story, "call.transfer") == ("applied", None)


def test_the_initiator_is_the_leg_named() -> None:
    """With two agents in the room the command says who hands over."""
    story = connected().command("call.connect", to=OTHER).twilio_does(CreateParticipant).joins("agent-2")
    story.command("call.transfer", mode="warm", targets=[AGENT])
    assert story.outcome() == ("rejected", "ambiguous_initiator")

    story.command("call.transfer", mode="warm", targets=[AGENT], initiator="agent-2")

    assert story.state.transfer is not None
    assert story.state.transfer.initiator == "agent-2"
