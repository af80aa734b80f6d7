"""Recordings in the language of `calling`: asked for, called back, paused."""

from typing import Any

from calling import CALL_SID, Story, connected
from engine.core.effects import Emit
from schemas.actions import StartRecording, UpdateRecording
from schemas.events import RecordingEvent
from schemas.policy import Policy
from schemas.state import RecordingState
from schemas.webhooks import Source

SID, OTHER_SID = "RE" + "0" * 31 + "1", "RE" + "0" * 31 + "2"
R = RecordingState


def starting(policy: Policy | None = None, **data: Any) -> Story:
    """A recording has been asked for, and Twilio has taken the request."""
    story = connected(policy).command("recording.start", **data)
    return story.twilio_does(StartRecording, recording_sid=SID, recording_status="in-progress")


def told_by_twilio(story: Story, status: str, sid: str = SID, **form: str) -> Story:
    """A recording callback."""
    return story.webhook(Source.RECORDING, leg="customer-1", RecordingSid=sid, RecordingStatus=status,
                         CallSid=CALL_SID, **form)  # fmt: skip


def recording(policy: Policy | None = None, **data: Any) -> Story:
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
