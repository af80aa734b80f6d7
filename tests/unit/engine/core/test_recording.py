"""The recording: how it begins and ends (state-machines.md section 7)."""

import msgspec
import pytest

from calling import CALL_SID, OTHER, ROOM_SID, Story, connected
from recordings import OTHER_SID, SID, R, paused, recording, shows, starting, state_of, told, told_by_twilio
from schemas.actions import CreateParticipant, LookUp, StartRecording, UpdateRecording
from schemas.policy import Policy
from schemas.records import ActionOutcome, ParticipantSeen, RecordingSeen, Webhook
from schemas.state import CallState, RecordingState
from schemas.webhooks import Source


def test_the_customers_leg_is_recorded() -> None:
    """Its call and no other, so that the recording lasts through transfers."""
    story = connected().command("recording.start")

    action = story.pending(StartRecording)
    assert (action.leg, action.call_sid) == ("customer-1", CALL_SID)
    assert state_of(story) is R.STARTING
    assert story.state.open


def test_an_answer_is_a_sid_and_the_callback_the_fact() -> None:
    """It records when Twilio calls back; then the command is answered."""
    story = starting()
    assert (state_of(story), story.state.recording.sid) == (R.STARTING, SID)
    assert story.state.open

    told_by_twilio(story, "in-progress")

    assert state_of(story) is R.ON
    assert story.outcome() == ("applied", None)
    started = told(story, "recording.started")
    assert (started.recording_sid, started.leg, started.to) == (SID, "customer-1", "on")


def test_a_callback_that_overtakes_the_answer_is_ours_by_its_action() -> None:
    """The URL carries the action, so the SID is learnt from the callback."""
    story = connected().command("recording.start")
    action = story.pending(StartRecording)
    params = msgspec.Raw(msgspec.json.encode({"RecordingSid": SID, "RecordingStatus": "in-progress"}))
    story.give(Webhook("early", story.call_id, story.at, Source.RECORDING, params, leg="customer-1", action=action.id))
    assert (state_of(story), story.state.recording.sid) == (R.ON, SID)

    story.twilio_does(StartRecording, recording_sid=SID)

    assert state_of(story) is R.ON
    assert story.outcome() == ("applied", None)


@pytest.mark.parametrize("status", ["in-progress", "completed", "absent", "failed"])
def test_another_recording_of_the_same_leg_is_not_ours(status: str) -> None:
    """A voicemail, or what somebody started past us, moves nothing."""
    story = told_by_twilio(recording(), status, OTHER_SID)

    assert state_of(story) is R.ON
    assert story.ignored()[-1] == "other_recording"


def test_a_lost_callback_is_made_up_for_by_the_answer() -> None:
    """Twilio has named the recording: after ten seconds that counts."""
    story = starting().after(10)

    assert state_of(story) is R.ON
    assert story.outcome() == ("applied", None)


def test_a_start_of_which_nothing_is_known_is_unknown() -> None:
    """Not proven either way: `unknown`; a late callback tells that it records all the same."""
    story = connected().command("recording.start")
    request = story.pending(StartRecording).id
    story.reports(StartRecording, ActionOutcome.UNKNOWN, reason="timeout").after(10)
    assert state_of(story) is R.FAILED
    assert story.outcome() == ("unknown", "start_unknown")

    params = msgspec.Raw(msgspec.json.encode({"RecordingSid": SID, "RecordingStatus": "in-progress"}))
    story.give(Webhook("late", story.call_id, story.at, Source.RECORDING, params, action=request))

    assert (state_of(story), story.state.recording.sid) == (R.ON, SID)


@pytest.mark.parametrize(
    ("outcome", "reason", "answer"),
    [
        (ActionOutcome.FAILED, "wrong_state", ("failed", "wrong_state")),
        (ActionOutcome.EXPIRED, "deadline", ("expired", "expired")),
    ],
)
def test_a_refused_start_has_failed(outcome: ActionOutcome, reason: str, answer: tuple[str, str]) -> None:
    """The call is not in progress, or it was too late; it can be asked for again."""
    story = connected().command("recording.start").reports(StartRecording, outcome, reason=reason)
    assert state_of(story) is R.FAILED
    assert story.outcome() == answer
    assert told(story, "recording.failed").reason == answer[1]

    assert state_of(story.command("recording.start")) is R.STARTING


@pytest.mark.parametrize(("status", "state"), [("absent", R.ABSENT), ("failed", R.FAILED), ("completed", R.DONE)])
@pytest.mark.parametrize("before", ["starting", "on", "paused"])
def test_twilio_ends_it_in_any_state(before: str, status: str, state: RecordingState) -> None:
    """Silent, too short, not to be encrypted, or at its end: the callback says so."""
    story = starting() if before == "starting" else recording() if before == "on" else paused()

    told_by_twilio(story, status)

    assert state_of(story) is state
    assert f"recording.{'completed' if state is R.DONE else state.value}" in story.events()
    assert not {"recording", "max_pause"} & set(story.state.timers)


def test_a_late_callback_changes_nothing() -> None:
    """`in-progress` after `completed` is possible: recording callbacks have no order."""
    story = told_by_twilio(starting(), "completed")

    told_by_twilio(story, "in-progress")

    assert state_of(story) is R.DONE
    assert story.ignored()[-1] == "late"


def test_a_recording_lasts_through_a_transfer() -> None:
    """Nothing of it is touched when the agent changes."""
    story = recording().command("call.transfer", mode="cold", targets=[OTHER])
    story.shows("customer-1", "modify", EndConferenceOnExit=False)
    story.twilio_does(CreateParticipant).joins("target-1").leaves("agent-1")

    assert state_of(story) is R.ON
    assert not story.asked(UpdateRecording)


def test_the_end_of_the_call_ends_it_and_the_file_is_told_later() -> None:
    """Twilio stops with the leg; `completed` comes to a call that is over."""
    story = recording().leaves("customer-1").leaves("agent-1")
    assert story.now() is CallState.ENDED

    told_by_twilio(story, "completed", RecordingDuration="12")

    assert (state_of(story), told(story, "recording.completed").duration_s) == (R.DONE, 12)


def test_a_start_that_the_end_of_the_call_overtakes_fails() -> None:
    """No command outlives its call."""
    story = connected().command("recording.start").leaves("customer-1").leaves("agent-1")

    assert story.outcome() == ("failed", "call_ended")


class TestTheLastCallbackIsLost:
    """The recording has ended with its leg, and `completed` never came."""

    def test_the_file_is_looked_for(self) -> None:
        """Five minutes after the end, also when the call is over by then; what is seen counts like the callback."""
        story = recording().leaves("customer-1").leaves("agent-1")
        assert (story.now(), state_of(story)) == (CallState.ENDED, R.ON)

        story.after(300)
        look = story.pending(LookUp)
        assert (look.recording_sid, look.recorded_sid) == (SID, CALL_SID)
        story.looks(recording=RecordingSeen(SID, "completed", 12))

        assert state_of(story) is R.DONE
        assert told(story, "recording.completed").duration_s == 12
        assert set(story.state.timers) == {"forget"}

    def test_a_file_in_the_making_is_waited_for(self) -> None:
        """`processing` is no end; the next look is five minutes later."""
        story = recording().leaves("customer-1").leaves("agent-1").after(300)
        story.looks(recording=RecordingSeen(SID, "processing"))
        assert state_of(story) is R.ON

        story.after(300).looks(recording=RecordingSeen(SID, "completed", 12))

        assert state_of(story) is R.DONE

    def test_a_callback_that_is_late_counts_all_the_same(self) -> None:
        """Then nobody need look."""
        story = recording().leaves("customer-1").leaves("agent-1").after(200)
        told_by_twilio(story, "completed", RecordingDuration="12").after(600)

        assert state_of(story) is R.DONE
        assert not [look for look in story.asked(LookUp) if look.recording_sid]

    @pytest.mark.parametrize("status", ["absent", "missing"])
    def test_there_may_be_no_file(self, status: str) -> None:
        """Too short, or deleted."""
        story = recording().leaves("customer-1").leaves("agent-1").after(300)

        story.looks(recording=RecordingSeen(SID, status))

        assert state_of(story) is R.ABSENT

    def test_it_is_not_looked_for_for_ever(self) -> None:
        """After three looks that show no end it is told as failed, with the reason."""
        story = recording().leaves("customer-1").leaves("agent-1")
        for _ in range(3):
            story.after(300).looks(recording=RecordingSeen(SID, "processing"))
        story.after(300)

        assert state_of(story) is R.FAILED
        assert told(story, "recording.failed").reason == "file_unknown"
        assert "recording" not in story.state.timers

    def test_one_that_was_stopped_is_looked_for_too(self) -> None:
        """Stopped by command, the call goes on, and the file is told by nobody."""
        story = shows(recording().command("recording.stop"), "stopped").after(300)

        story.looks(
            conference_sid=ROOM_SID, conference_status="in-progress",
            participants=tuple(ParticipantSeen(story.sid_of(leg), leg) for leg in ("customer-1", "agent-1")),
            recording=RecordingSeen(SID, "completed", 3),
        )  # fmt: skip

        assert state_of(story) is R.DONE
        assert story.now() is CallState.IN_CONFERENCE

    def test_any_look_shows_it(self) -> None:
        """Twilio has ended a recording while the call goes on: the next look of any kind finds out."""
        story = recording().after(600)

        story.looks(
            conference_sid=ROOM_SID, conference_status="in-progress",
            participants=tuple(ParticipantSeen(story.sid_of(leg), leg) for leg in ("customer-1", "agent-1")),
            recording=RecordingSeen(SID, "completed", 9),
        )  # fmt: skip

        assert state_of(story) is R.DONE


class TestPolicy:
    """A number whose calls are recorded without a command."""

    def test_from_start_records_the_customer_from_the_first_moment(self) -> None:
        """The waiting is recorded too, once."""
        story = Story(Policy(recording="from_start")).inbound()
        assert not story.asked(StartRecording)

        story.joins("customer-1")

        assert story.pending(StartRecording).call_sid == CALL_SID
        story.command("call.connect", to="client:anna").twilio_does(CreateParticipant).joins("agent-1")
        assert len(story.asked(StartRecording)) == 1

    def test_from_connected_begins_with_the_talk(self) -> None:
        """Not before an agent is there."""
        story = Story(Policy(recording="from_connected")).inbound().joins("customer-1")
        assert not story.asked(StartRecording)

        story.command("call.connect", to="client:anna").twilio_does(CreateParticipant).joins("agent-1")

        assert story.pending(StartRecording).leg == "customer-1"

    def test_what_was_stopped_is_not_begun_again_by_itself(self) -> None:
        """The policy begins it once; who stops it has a reason."""
        story = connected(Policy(recording="from_connected"))
        story.twilio_does(StartRecording, recording_sid=SID, recording_status="in-progress")
        told_by_twilio(told_by_twilio(story, "in-progress"), "completed")

        story.command("call.hold").shows("customer-1", "hold", Hold=True).shows("customer-1", "unhold", Hold=False)

        assert len(story.asked(StartRecording)) == 1
        assert state_of(story) is R.DONE
