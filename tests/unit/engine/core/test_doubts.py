"""When it is not known what happened: look, never guess, never dial twice (state-machines.md section 8, N10)."""

from typing import Any

from calling import OTHER, ROOM_SID, Story, connected
from schemas.actions import CreateParticipant, HangUp, RemoveParticipant
from schemas.policy import Policy
from schemas.records import ActionOutcome, ParticipantSeen, Resumed
from schemas.state import TransferState

EXTERNAL = "phone:+15550100077"


def transferring(*targets: str, **options: Any) -> Story:  # noqa: ANN401 - data of a command
    """A connected call whose cold transfer has been asked for; the customer's end-on-exit is still being cleared."""
    return connected().command("call.transfer", mode="cold", targets=list(targets or (OTHER,)), **options)


def dialling(*targets: str, **options: Any) -> Story:  # noqa: ANN401 - data of a command
    """The flags are clear: the target is being dialled."""
    return transferring(*targets, **options).shows("customer-1", "modify", EndConferenceOnExit=False)


def handing_over(**options: Any) -> Story:  # noqa: ANN401 - data of a command
    """The target has joined, the initiator is still there."""
    return dialling(**options).twilio_does(CreateParticipant).progress("target-1", "ringing").joins("target-1")


def transfer_state(story: Story) -> TransferState:
    """Where the transfer is."""
    assert story.state.transfer is not None
    return story.state.transfer.state


def test_an_answer_whose_callbacks_were_lost_is_found_before_anybody_is_hung_up() -> None:
    """The ring timer never guesses: the look shows the target in the room, and the transfer goes on."""
    story = dialling(ring_timeout_s=10).twilio_does(CreateParticipant).progress("target-1", "ringing").after(18)
    present = [(name, story.sid_of(name)) for name in ("customer-1", "agent-1", "target-1")]

    story.looks(conference_sid=ROOM_SID, participants=tuple(ParticipantSeen(sid, name) for name, sid in present))

    assert transfer_state(story) is TransferState.COMPLETING
    assert not story.asked(HangUp)


def test_after_an_outage_the_call_is_looked_up() -> None:
    """An owner that takes over where callbacks may have been lost asks Twilio, and takes what it shows as facts."""
    story = dialling().twilio_does(CreateParticipant).progress("target-1", "ringing")
    present = [(name, story.sid_of(name)) for name in ("customer-1", "agent-1", "target-1")]

    story.give(Resumed("resumed", story.call_id, story.at))
    story.looks(conference_sid=ROOM_SID, participants=tuple(ParticipantSeen(sid, name) for name, sid in present))

    assert transfer_state(story) is TransferState.COMPLETING


def test_a_doubtful_create_is_looked_up_and_never_repeated() -> None:
    """N10: an unknown outcome is looked up; a second doubt ends the attempt, and nobody is dialled twice."""
    story = dialling().reports(CreateParticipant, ActionOutcome.UNKNOWN).looks().after(11)

    assert story.leg("target-1").reason == "create_unknown"
    assert [create.leg for create in story.asked(CreateParticipant)] == ["agent-1", "target-1"]


def test_a_target_that_answered_after_we_gave_up_is_taken_out() -> None:
    """A late joiner after its attempt has failed would be a stranger in the room."""
    story = dialling().reports(CreateParticipant, ActionOutcome.UNKNOWN).looks().after(11)

    story.joins("target-1")

    assert story.asked(RemoveParticipant)[-1].leg == "target-1"


def test_a_machine_picks_up() -> None:
    """With detection on, a machine is no answer."""
    from schemas.webhooks import Source  # noqa: PLC0415

    story = connected(Policy(machine="hang_up")).command("call.transfer", mode="cold", targets=[EXTERNAL])
    story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateParticipant)
    story.progress("target-1", "in-progress")
    story.webhook(Source.AMD, leg="target-1", CallSid=story.sid_of("target-1"), AnsweredBy="machine_start")
    story.progress("target-1", "completed")

    assert story.outcome() == ("failed", "machine")
