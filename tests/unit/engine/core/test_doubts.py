"""When it is not known what happened: look, never guess, never dial twice (state-machines.md section 8, N10)."""

from typing import Any

from calling import CALL_SID, OTHER, ROOM_SID, Story, connected, sid
from schemas.actions import CreateParticipant, HangUp, RemoveParticipant, UpdateParticipant
from schemas.policy import Policy
from schemas.records import ActionOutcome, ParticipantSeen, Resumed
from schemas.state import LegState, TransferState
from schemas.webhooks import Source

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


def test_an_answer_whose_callbacks_were_lost_is_found_before_anybody_is_hung_up() -> None:
    """The ring timer never guesses: the look shows the target in the room, and the transfer goes on."""
    story = dialling(ring_timeout_s=10).twilio_does(CreateParticipant).progress("target-1", "ringing").after(18)
    present = [(name, story.sid_of(name)) for name in ("customer-1", "agent-1", "target-1")]

    story.looks(conference_sid=ROOM_SID, participants=tuple(ParticipantSeen(sid, name) for name, sid in present))

    assert transfer_state(story) is TransferState.COMPLETING
    assert not story.asked(HangUp)


def _both(story: Story) -> tuple[ParticipantSeen, ...]:
    return tuple(ParticipantSeen(story.sid_of(leg), leg) for leg in ("customer-1", "agent-1"))


def test_a_look_does_not_undo_what_was_heard_since() -> None:
    """A look is a picture of a moment; a callback that came after it was asked for is newer."""
    story = connected().command("call.hold").twilio_does(UpdateParticipant).after(6)
    before = _both(story)
    story.shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)

    story.looks(conference_sid=ROOM_SID, participants=before)

    assert story.leg("customer-1").observed.hold is True


def test_a_call_that_the_look_did_not_ask_for_is_not_lost() -> None:
    """Its SID came after the look was asked for: that the look does not show it says nothing, and it goes on."""
    story = connected().command("call.add", to=OTHER).give(Resumed("r", CALL_SID, 1_000_000))
    before = _both(story)
    story.after(0.1).twilio_does(CreateParticipant)

    story.looks(conference_sid=ROOM_SID, participants=before)

    assert story.leg("third-1").state is LegState.DIALING


def test_a_leg_that_joined_while_the_look_was_under_way_is_not_lost() -> None:
    """The list was made before it came in."""
    story = (
        connected().command("call.add", to=OTHER).twilio_does(CreateParticipant).give(Resumed("r", CALL_SID, 1_000_000))
    )
    before = _both(story)
    story.joins("third-1")

    story.looks(conference_sid=ROOM_SID, participants=before)

    assert story.leg("third-1").state is LegState.JOINED


def test_a_leave_of_a_former_conference_is_stale() -> None:
    """The leg has joined another one since: a rescue keeps the CallSid."""
    story = connected().leaves("agent-1").webhook(
        Source.CONFERENCE, ConferenceSid="CF" + "9" * 32, StatusCallbackEvent="participant-join", SequenceNumber="1",
        CallSid=sid(2), FriendlyName=f"room-{CALL_SID}",
    )  # fmt: skip
    assert story.leg("agent-1").state is LegState.JOINED

    story.leaves("agent-1")

    assert story.ignored()[-1] == "stale"


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

    assert story.leg("target-1").detail == "create_unknown"
    assert [create.leg for create in story.asked(CreateParticipant)] == ["agent-1", "target-1"]


def test_a_target_that_answered_after_we_gave_up_is_taken_out() -> None:
    """A late joiner after its attempt has failed would be a stranger in the room."""
    story = dialling().reports(CreateParticipant, ActionOutcome.UNKNOWN).looks().after(11)

    story.joins("target-1")

    assert story.asked(RemoveParticipant)[-1].leg == "target-1"


def test_a_machine_picks_up() -> None:
    """With detection on, a machine is no answer."""
    from schemas.webhooks import Source  # noqa: PLC0415 here alone

    story = connected(Policy(machine="hang_up")).command("call.transfer", mode="cold", targets=[EXTERNAL])
    story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateParticipant)
    story.progress("target-1", "in-progress")
    story.webhook(Source.AMD, leg="target-1", CallSid=story.sid_of("target-1"), AnsweredBy="machine_start")
    story.progress("target-1", "completed")

    assert story.outcome() == ("failed", "machine")
