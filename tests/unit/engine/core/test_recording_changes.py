"""The recording: paused, resumed and stopped (state-machines.md section 7)."""

from collections.abc import Callable

import pytest

from calling import CALL_SID, OTHER, Story, connected
from recordings import SID, R, paused, recording, shows, starting, state_of, told, told_by_twilio
from schemas.actions import RecordingStatus, UpdateRecording
from schemas.policy import Policy
from schemas.records import ActionOutcome
from schemas.state import CallState


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


def test_a_recording_can_be_paused_while_a_transfer_is_under_way() -> None:
    """A card number does not wait."""
    story = recording().command("call.transfer", mode="cold", targets=[OTHER])
    assert story.now() is CallState.TRANSFERRING

    assert state_of(shows(story.command("recording.pause"), "paused")) is R.PAUSED
