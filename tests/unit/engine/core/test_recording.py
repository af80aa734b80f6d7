"""The recording: every row of the table, told as calls (state-machines.md section 7)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from calling import CALL_SID, OTHER, Story, connected
from engine.core.effects import Emit
from schemas.actions import CreateParticipant, RecordingStatus, StartRecording, UpdateRecording
from schemas.events import RecordingEvent
from schemas.policy import Policy
from schemas.records import ActionOutcome, Webhook
from schemas.state import CallState, RecordingState
from schemas.webhooks import Source

SID, OTHER_SID = "RE" + "0" * 31 + "1", "RE" + "0" * 31 + "2"
R = RecordingState


def starting(policy: Policy | None = None, **data: Any) -> Story:  # noqa: ANN401 - command data
    """A recording has been asked for, and Twilio has taken the request."""
    story = connected(policy).command("recording.start", **data)
    return story.twilio_does(StartRecording, recording_sid=SID, recording_status="in-progress")


def told_by_twilio(story: Story, status: str, sid: str = SID, **form: str) -> Story:
    """A recording callback."""
    return story.webhook(Source.RECORDING, leg="customer-1", RecordingSid=sid, RecordingStatus=status,
                         CallSid=CALL_SID, **form)  # fmt: skip


def recording(policy: Policy | None = None, **data: Any) -> Story:  # noqa: ANN401 - command data
    """It records."""
    story = told_by_twilio(starting(policy, **data), "in-progress")
    assert state_of(story) is R.ON
    return story


def paused(policy: Policy | None = None, start_s: int | None = None, pause_s: int | None = None) -> Story:
    """It is paused."""
    story = recording(policy, **({} if start_s is None else {"max_pause_s": start_s}))
    limit: dict[str, Any] = {} if pause_s is None else {"max_pause_s": pause_s}
    story.command("recording.pause", **limit)
    return shows(story, "paused")


def shows(story: Story, status: str) -> Story:
    """The answer to a change shows what the recording is now."""
    return story.twilio_does(UpdateRecording, recording_sid=SID, recording_status=status)


def state_of(story: Story) -> RecordingState:
    """Where the recording is."""
    return story.state.recording.state


def told(story: Story, name: str) -> RecordingEvent:
    """The data of the latest event of that name."""
    latest = [effect.data for effect in story.effects if isinstance(effect, Emit) and effect.name == name][-1]
    assert isinstance(latest, RecordingEvent)
    return latest


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


def test_a_pause_is_told_by_the_answer_alone() -> None:
    """Twilio calls nobody back for a pause of a call's recording: the status in its answer is the fact."""
    story = recording().command("recording.pause")
    update = story.pending(UpdateRecording)
    assert (update.status, update.recording_sid, update.call_sid) == (RecordingStatus.PAUSED, SID, CALL_SID)
    assert (state_of(story), bool(story.state.open)) == (R.ON, True)

    shows(story, "paused")

    assert state_of(story) is R.PAUSED
    assert story.outcome() == ("applied", None)
    assert "recording.paused" in story.events()


def test_a_pause_is_resumed_by_command() -> None:
    """The event tells how long nothing was recorded."""
    story = paused().after(7).command("recording.resume")
    assert story.pending(UpdateRecording).status is RecordingStatus.IN_PROGRESS

    shows(story, "in-progress")

    assert state_of(story) is R.ON
    assert story.outcome() == ("applied", None)
    assert told(story, "recording.resumed").duration_s == 7.0
    assert "max_pause" not in story.state.timers


@pytest.mark.parametrize(
    ("policy_s", "start_s", "pause_s", "limit_s"),
    [(120, None, None, 120), (30, None, None, 30), (120, 50, None, 50), (120, 50, 10, 10), (120, None, 200, 200)],
)
def test_a_pause_ends_by_itself(policy_s: int, start_s: int | None, pause_s: int | None, limit_s: int) -> None:
    """The limit is the pause's, else the start's, else the policy's."""
    story = paused(Policy(max_pause_s=policy_s), start_s, pause_s).after(limit_s - 1)
    asked = len(story.asked(UpdateRecording))

    story.after(1)

    assert len(story.asked(UpdateRecording)) == asked + 1
    assert story.pending(UpdateRecording).status is RecordingStatus.IN_PROGRESS
    assert state_of(shows(story, "in-progress")) is R.ON


def test_an_automatic_resume_that_fails_is_tried_again() -> None:
    """A recording does not stay paused because one request failed."""
    story = paused(pause_s=10).after(10).reports(UpdateRecording, ActionOutcome.UNKNOWN).after(10)

    assert story.pending(UpdateRecording).status is RecordingStatus.IN_PROGRESS
    assert state_of(shows(story, "in-progress")) is R.ON


@pytest.mark.parametrize(
    ("outcome", "reason", "answer"),
    [
        (ActionOutcome.FAILED, "wrong_state", ("failed", "wrong_state")),
        (ActionOutcome.UNKNOWN, "timeout", ("unknown", "unknown")),
        (ActionOutcome.EXPIRED, "deadline", ("expired", "expired")),
    ],
)
def test_a_pause_that_is_not_taken_changes_nothing(
    outcome: ActionOutcome, reason: str, answer: tuple[str, str]
) -> None:
    """It goes on recording, and can be paused again."""
    story = recording().command("recording.pause").reports(UpdateRecording, outcome, reason=reason)
    assert state_of(story) is R.ON
    assert story.outcome() == answer

    assert state_of(shows(story.command("recording.pause"), "paused")) is R.PAUSED


def test_a_pause_in_doubt_is_resumed_like_any() -> None:
    """It may have taken effect: nothing is lost for longer than the limit, and a recording that goes on goes on."""
    story = recording().command("recording.pause", max_pause_s=20).reports(UpdateRecording, ActionOutcome.UNKNOWN)
    assert state_of(story) is R.ON

    story.after(20)

    assert story.pending(UpdateRecording).status is RecordingStatus.IN_PROGRESS
    assert state_of(shows(story, "in-progress")) is R.ON
    assert "max_pause" not in story.state.timers


def test_an_answer_that_shows_something_else_is_believed() -> None:
    """Asked to pause, Twilio shows it stopped: then it is stopped."""
    story = shows(recording().command("recording.pause"), "stopped")

    assert state_of(story) is R.STOPPING
    assert story.outcome()[0] == "failed"


def test_a_stop_is_answered_when_nothing_more_is_recorded() -> None:
    """The file is finished later."""
    story = recording().command("recording.stop")
    assert story.pending(UpdateRecording).status is RecordingStatus.STOPPED
    assert state_of(story) is R.STOPPING

    shows(story, "stopped")
    assert story.outcome() == ("applied", None)
    assert "recording.stopped" in story.events()

    told_by_twilio(story, "completed", RecordingDuration="61")
    assert state_of(story) is R.DONE
    assert told(story, "recording.completed").duration_s == 61


def test_the_end_of_the_file_may_overtake_the_answer() -> None:
    """The callback `completed` proves that it has stopped."""
    story = told_by_twilio(recording().command("recording.stop"), "completed", RecordingDuration="3")
    assert state_of(story) is R.DONE
    assert story.outcome() == ("applied", None)

    shows(story, "stopped")

    assert state_of(story) is R.DONE


@pytest.mark.parametrize("before", ["on", "paused"])
def test_a_stop_that_is_refused_leaves_it_as_it_was(before: str) -> None:
    """A paused recording stays paused, and is resumed in time."""
    story = (paused() if before == "paused" else recording()).command("recording.stop")

    story.reports(UpdateRecording, ActionOutcome.FAILED, reason="forbidden")

    assert state_of(story).value == before
    assert story.outcome() == ("failed", "forbidden")
    assert before == "on" or "max_pause" in story.state.timers


def test_a_pause_limit_that_falls_due_during_a_stop_resumes_nothing() -> None:
    """What is being stopped is not resumed first."""
    story = paused(pause_s=5).command("recording.stop").after(6)

    assert [action.status for action in story.asked(UpdateRecording)][-1] is RecordingStatus.STOPPED


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


@pytest.mark.parametrize(
    ("name", "reason"),
    [("recording.pause", "not_recording"), ("recording.resume", "not_paused"), ("recording.stop", "not_recording")],
)
def test_what_is_off_cannot_be_steered(name: str, reason: str) -> None:
    """Off, or still being started."""
    assert connected().command(name).outcome() == ("rejected", reason)
    assert starting().command(name).outcome() == ("rejected", reason)


@pytest.mark.parametrize(
    ("story", "name", "answer"),
    [
        (recording, "recording.start", ("applied", None)),
        (recording, "recording.resume", ("rejected", "not_paused")),
        (paused, "recording.start", ("rejected", "recording_paused")),
        (paused, "recording.pause", ("applied", None)),
    ],
)
def test_what_is_so_already(story: Callable[[], Story], name: str, answer: tuple[str, str | None]) -> None:
    """A state already as wanted is no change; nothing is asked of Twilio."""
    told_story = story()
    asked = len(told_story.asked())

    told_story.command(name)

    assert told_story.outcome() == answer
    assert len(told_story.asked()) == asked


def test_the_same_wish_twice_is_one_request_and_two_answers() -> None:
    """Two services pause at once."""
    story = recording().command("recording.pause").command("recording.pause")
    assert len(story.asked(UpdateRecording)) == 1

    shows(story, "paused")

    assert [result.outcome.value for result in story.results()[-2:]] == ["applied", "applied"]


def test_a_recording_lasts_through_a_transfer() -> None:
    """Nothing of it is touched when the agent changes."""
    story = recording().command("call.transfer", mode="cold", targets=[OTHER])
    story.shows("customer-1", "modify", EndConferenceOnExit=False)
    story.twilio_does(CreateParticipant).joins("target-1").leaves("agent-1")

    assert state_of(story) is R.ON
    assert not story.asked(UpdateRecording)


def test_a_recording_can_be_paused_while_a_transfer_is_under_way() -> None:
    """A card number does not wait."""
    story = recording().command("call.transfer", mode="cold", targets=[OTHER])
    assert story.now() is CallState.TRANSFERRING

    assert state_of(shows(story.command("recording.pause"), "paused")) is R.PAUSED


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
