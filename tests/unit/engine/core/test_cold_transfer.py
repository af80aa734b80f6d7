"""Cold transfers: every row of the table, told as calls (state-machines.md sections 6 and 8)."""

from typing import Any

import pytest

from calling import AGENT, NUMBER, OTHER, ROOM_SID, Story, connected
from schemas.actions import CreateParticipant, HangUp, RedirectCall, RejoinRoom, RemoveParticipant, UpdateParticipant
from schemas.records import ActionOutcome, CallSeen, ParticipantSeen
from schemas.state import CallState, LegState, Role, TransferState

EXTERNAL = "phone:+15550100077"


def transferring(*targets: str, **options: Any) -> Story:
    """A connected call whose cold transfer has been asked for; the customer's end-on-exit is still being cleared."""
    return connected().command("call.transfer", mode="cold", targets=list(targets or (OTHER,)), **options)


def dialling(*targets: str, **options: Any) -> Story:
    """The flags are clear: the target is being dialled."""
    return transferring(*targets, **options).shows("customer-1", "modify", EndConferenceOnExit=False)


def handing_over(**options: Any) -> Story:
    """The target has joined, the initiator is still there."""
    return dialling(**options).twilio_does(CreateParticipant).progress("target-1", "ringing").joins("target-1")


def transfer_state(story: Story) -> TransferState:
    """Where the transfer is."""
    assert story.state.transfer is not None
    return story.state.transfer.state


def test_nothing_is_dialled_before_the_end_flags_are_seen_cleared() -> None:
    """N2: were the initiator to leave now, the room could end with the customer in it."""
    story = transferring()

    assert transfer_state(story) is TransferState.PREPARING
    assert len(story.asked(CreateParticipant)) == 1
    assert story.asked(UpdateParticipant)[-1].end_on_exit is False


def test_an_external_number_is_dialled_with_the_calls_own_number() -> None:
    """A cold transfer to an external number shows the number that the customer called."""
    story = dialling(EXTERNAL)

    create = story.asked(CreateParticipant)[-1]
    assert (create.to, create.from_, create.leg) == ("+15550100077", NUMBER, "target-1")


def test_success_is_told_only_when_all_of_it_is_seen() -> None:
    """Target joined is not enough: the initiator must be seen gone."""
    story = handing_over()
    assert transfer_state(story) is TransferState.COMPLETING
    assert story.outcome()[0] != "applied" or len(story.results()) == 1

    story.twilio_does(RemoveParticipant).leaves("agent-1")

    assert transfer_state(story) is TransferState.COMPLETED
    assert story.outcome() == ("applied", None)
    assert story.now() is CallState.IN_CONFERENCE
    assert story.leg("target-1").role is Role.AGENT


def test_a_held_customer_is_unheld_before_success() -> None:
    """A transfer from hold completes when Twilio shows the customer unheld."""
    story = connected().command("call.hold")
    story.shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)
    story.command("call.transfer", mode="cold", targets=[OTHER])
    story.twilio_does(CreateParticipant).joins("target-1").leaves("agent-1")
    assert transfer_state(story) is TransferState.COMPLETING

    story.shows("customer-1", "unhold", Hold=False)

    assert transfer_state(story) is TransferState.COMPLETED


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("failed", "failed"),
        ("canceled", "cancelled"),
        ("completed", "rejected"),
    ],
)
def test_a_target_that_cannot_be_reached_gives_the_customer_back(status: str, reason: str) -> None:
    """With the initiator still there, the talk goes on and the command fails with the reason."""
    story = dialling().twilio_does(CreateParticipant).progress("target-1", "ringing").progress("target-1", status)

    assert transfer_state(story) is TransferState.FAILED
    assert story.outcome() == ("failed", reason)
    assert story.now() is CallState.IN_CONFERENCE
    assert "transfer.attempt_failed" in story.events()


def test_target_busy_is_seen_from_the_conference_alone() -> None:
    """`participant_add_failed` with `busy` says the same as the call status, without a join before it."""
    story = dialling().twilio_does(CreateParticipant).leaves("target-1", "participant_add_failed", "busy")

    assert story.outcome() == ("failed", "busy")


def test_an_invalid_number_fails_the_attempt_without_another_try() -> None:
    """Twilio's refusal of the create is final for that target."""
    story = dialling().reports(CreateParticipant, ActionOutcome.FAILED, reason="invalid_number", code=21211, status=400)

    assert story.outcome() == ("failed", "failed")
    assert story.leg("target-1").detail == "invalid_number"


def test_targets_are_tried_in_order() -> None:
    """The next target is dialled when one cannot be reached; only then has the transfer failed."""
    story = dialling(OTHER, EXTERNAL).twilio_does(CreateParticipant).progress("target-1", "busy")
    assert transfer_state(story) is TransferState.DIALING
    assert story.asked(CreateParticipant)[-1].to == "+15550100077"

    story.twilio_does(CreateParticipant).progress("target-2", "no-answer")

    assert story.outcome() == ("failed", "no_answer")
    assert story.events().count("transfer.attempt_failed") == 2


def test_our_own_ring_timer_ends_a_ringing_that_twilio_does_not() -> None:
    """Nobody rings for ever: a look, then the leg is hung up and the attempt has failed with no_answer."""
    story = dialling(ring_timeout_s=10).twilio_does(CreateParticipant).progress("target-1", "ringing").after(18)
    inside = tuple(ParticipantSeen(story.sid_of(name), name) for name in ("customer-1", "agent-1"))
    ringing = (CallSeen(story.sid_of("target-1"), "ringing"),)
    story.looks(conference_sid=ROOM_SID, participants=inside, calls=ringing).after(6)
    assert story.leg("target-1").state is LegState.LEAVING
    assert story.asked(HangUp)[-1].leg == "target-1"

    story.progress("target-1", "canceled")

    assert story.outcome() == ("failed", "no_answer")


def test_the_customer_hangs_up_while_the_target_rings() -> None:
    """N3: the target stops ringing at once, and the transfer is abandoned."""
    story = dialling().twilio_does(CreateParticipant).progress("target-1", "ringing").leaves("customer-1")

    assert transfer_state(story) is TransferState.ABANDONED
    assert story.asked(HangUp)[-1].leg == "target-1"
    assert story.outcome() == ("failed", "abandoned")
    assert story.now() is CallState.ENDED


def test_the_initiator_hangs_up_while_the_target_rings() -> None:
    """The customer hears hold audio instead of silence, and the transfer goes on without the initiator."""
    story = dialling().twilio_does(CreateParticipant).progress("target-1", "ringing").leaves("agent-1")
    assert transfer_state(story) is TransferState.AWAITING_TARGET
    assert story.asked(UpdateParticipant)[-1].hold is True

    story.shows("customer-1", "hold", Hold=True).joins("target-1").shows("customer-1", "unhold", Hold=False)

    assert story.outcome() == ("applied", None)


def test_released_now_the_initiator_goes_before_the_answer() -> None:
    """`release: now` takes the initiator out as soon as nothing can take the customer along."""
    story = dialling(release="now")
    assert story.leg("agent-1").state is LegState.LEAVING

    story.leaves("agent-1", "participant_updated_via_api")

    assert transfer_state(story) is TransferState.AWAITING_TARGET


def test_released_on_ring_the_initiator_goes_when_it_rings() -> None:
    """`release: on_ring` keeps the initiator until the target's phone rings."""
    story = dialling(release="on_ring").twilio_does(CreateParticipant)
    assert story.leg("agent-1").state is LegState.JOINED

    story.progress("target-1", "ringing")

    assert story.leg("agent-1").state is LegState.LEAVING


def test_nobody_answers_and_the_initiator_has_gone_so_it_is_recalled() -> None:
    """The default is to return, else to recall; the transfer has failed with its reason all the same."""
    story = dialling(release="now").leaves("agent-1").twilio_does(CreateParticipant)
    story.shows("customer-1", "hold", Hold=True).progress("target-1", "busy")
    assert story.asked(CreateParticipant)[-1].to == AGENT

    story.twilio_does(CreateParticipant).joins("agent-2").shows("customer-1", "unhold", Hold=False)

    assert story.outcome() == ("failed", "busy")
    assert story.now() is CallState.IN_CONFERENCE


def test_a_recall_that_fails_too_ends_with_an_announcement() -> None:
    """The last resort is said to the customer, never silence."""
    story = dialling(release="now").leaves("agent-1").twilio_does(CreateParticipant).progress("target-1", "busy")

    story.twilio_does(CreateParticipant).progress("agent-2", "no-answer")

    assert story.outcome() == ("failed", "busy")
    assert story.asked(RedirectCall)[-1].leg == "customer-1"


def test_a_disposition_is_chosen_by_the_reason() -> None:
    """`on_failure` names what to do per reason, `default` for the rest."""
    story = dialling(on_failure={"busy": "announce_end", "default": "return"}).twilio_does(CreateParticipant)

    story.progress("target-1", "busy")

    assert story.asked(RedirectCall)
    assert story.outcome() == ("failed", "busy")


def test_cancel_stops_the_ringing_and_everything_is_as_before() -> None:
    """A cancelled transfer is answered twice over: the cancel applied, the transfer failed as cancelled."""
    story = dialling().twilio_does(CreateParticipant).progress("target-1", "ringing").command("transfer.cancel")
    assert transfer_state(story) is TransferState.CANCELLING

    story.progress("target-1", "canceled")

    assert transfer_state(story) is TransferState.CANCELLED
    assert {
        (result.command_type.split(".", 2)[2], result.outcome, result.reason) for result in story.results()[1:]
    } == {
        ("transfer.cancel.v1", "applied", None),
        ("call.transfer.v1", "failed", "cancelled"),
    }
    assert story.now() is CallState.IN_CONFERENCE


def test_cancel_races_the_answer() -> None:
    """The target comes in while it is being cancelled: it is taken out, and the race is told."""
    story = dialling().twilio_does(CreateParticipant).progress("target-1", "ringing").command("transfer.cancel")

    story.joins("target-1")
    assert "transfer.race" in story.events()
    assert story.asked(RemoveParticipant)[-1].leg == "target-1"
    story.leaves("target-1", "participant_updated_via_api")

    assert transfer_state(story) is TransferState.CANCELLED


def test_cancel_comes_too_late() -> None:
    """Once the target is in, the way is forward."""
    story = handing_over().command("transfer.cancel")

    assert story.outcome() == ("rejected", "too_late")


def test_the_target_leaves_before_the_initiator_has_gone() -> None:
    """The initiator was being taken out already, so it is called back for the customer."""
    story = handing_over().leaves("target-1")

    assert transfer_state(story) is TransferState.FALLBACK
    story.leaves("agent-1")
    assert story.asked(CreateParticipant)[-1].to == AGENT


def test_a_second_transfer_is_rejected_with_the_first_ones_id() -> None:
    """One transfer at a time, and the answer says which is in the way."""
    story = dialling().command("call.transfer", mode="cold", targets=[OTHER])

    result = story.results()[-1]
    assert (result.reason, result.detail) == ("transfer_in_progress", "transfer-1")


def test_flags_that_cannot_be_cleared_undo_the_transfer() -> None:
    """No confirmation in time: nobody was dialled, the call goes on, the reason is told."""
    story = transferring().reports(UpdateParticipant, ActionOutcome.DONE).after(11)

    assert story.outcome() == ("failed", "prepare_failed")
    assert len(story.asked(CreateParticipant)) == 1


def test_the_room_ends_under_a_transfer() -> None:
    """An end that nobody of us caused fails the transfer with hub_ended, and the customer is rescued."""
    story = dialling().twilio_does(CreateParticipant).room_ends("conference-ended-via-api")

    assert story.outcome() == ("failed", "hub_ended")
    assert story.now() is CallState.ORPHANED
    assert story.pending(RejoinRoom).room == f"room2-{story.call_id}"


def test_an_initiator_that_is_already_gone_counts_as_gone() -> None:
    """A 404 on the removal is success: Twilio knows no such participant."""
    story = handing_over().twilio_does(RemoveParticipant, status=404)

    assert story.outcome() == ("applied", None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"mode": "cold", "targets": ["queue:sales"]}, "taskrouter_not_configured"),
        ({"mode": "cold", "targets": [OTHER], "initiator": "agent-9"}, "unknown_leg"),
        ({"mode": "cold", "targets": ["tel:123"]}, "invalid"),
        ({"mode": "lukewarm", "targets": [OTHER]}, "invalid"),
        ({"mode": "cold", "targets": []}, "invalid"),
    ],
)
def test_an_impossible_transfer_is_rejected_without_any_effect(data: dict[str, Any], reason: str) -> None:
    """Refused with the reason; nothing is asked of Twilio."""
    story = connected()
    before = len(story.asked())

    story.command("call.transfer", **data)

    assert story.outcome() == ("rejected", reason)
    assert len(story.asked()) == before
