"""Switches asked for in quick succession: what Twilio shows of the first request is no word about the second."""

from calling import connected
from schemas.actions import CreateParticipant, UpdateParticipant

TARGET = "phone:+15550100002"


def test_the_answer_to_an_older_request_is_no_drift() -> None:
    """A cancelled transfer wants end-on-exit back; the late event of its first request does not undo that wish."""
    story = connected().command("call.transfer", mode="cold", targets=[TARGET]).command("transfer.cancel")
    assert story.leg("customer-1").desired.end_on_exit
    story.shows("customer-1", "modify", EndConferenceOnExit=False)
    assert story.leg("customer-1").desired.end_on_exit
    assert "leg.drift" not in story.events()


def test_no_target_is_dialled_while_a_request_may_yet_end_the_room() -> None:
    """A second transfer waits until the first one's undoing is answered, then dials behind its own request (N2)."""
    story = connected().command("call.transfer", mode="cold", targets=[TARGET]).command("transfer.cancel")
    story.conference("participant-modify", "customer-1", EndConferenceOnExit="false")
    story.command("call.transfer", mode="cold", targets=[TARGET])
    while any(isinstance(item.action, UpdateParticipant) for item in story.state.pending):
        assert story.asked(CreateParticipant)[-1].leg == "agent-1"
        story.twilio_does(UpdateParticipant)
    last = [type(action) for action in story.asked()][-2:]
    assert last == [UpdateParticipant, CreateParticipant]
    assert story.asked(UpdateParticipant)[-1].end_on_exit is False
