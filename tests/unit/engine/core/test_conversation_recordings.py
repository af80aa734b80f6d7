"""The recording that the noun `<Conversation>` makes by itself, told like any recording of the call."""

import pytest

from conversing import RECORDING, Talk, conversation
from schemas.state import RecordingState
from schemas.webhooks import Source


class TestItsRecording:
    """The noun records by itself."""

    def recorded(self, talk: Talk, status: str, **more: str) -> Talk:
        """A recording callback of the conversation."""
        return talk.webhook(
            Source.RECORDING, leg="customer-1", action="conversation", RecordingSid=RECORDING, RecordingStatus=status,
            **more,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("status", "state"),
        [("completed", RecordingState.DONE), ("absent", RecordingState.ABSENT), ("failed", RecordingState.FAILED)],
    )
    def test_it_is_told_like_any_recording(self, status: str, state: RecordingState) -> None:
        """Started by its callback, over by its last one, which may come after the end of the call."""
        talk = self.recorded(Talk(conversation(record="record-from-answer-dual")).called(), "in-progress")
        assert talk.state.recording.state is RecordingState.ON

        talk.ends("session-success", "completed", RecordingSid=RECORDING)
        self.recorded(talk, status, RecordingDuration="5")

        assert (talk.state.recording.state, talk.state.recording.sid) == (state, RECORDING)
        assert f"recording.{status}" in talk.events()

    def test_its_end_is_told_although_its_begin_was_lost(self) -> None:
        """The action names it."""
        talk = Talk(conversation(record=True)).called().ends("session-success", "completed", RecordingSid=RECORDING)

        self.recorded(talk, "completed", RecordingDuration="5")

        assert talk.state.recording.state is RecordingState.DONE

    def test_nobody_there_nothing_recorded(self) -> None:
        """What was expected has not begun."""
        talk = Talk(conversation(record="record-from-answer")).called()
        assert talk.state.recording.state == "starting"

        talk.ends("dialed-call-incomplete", "busy", led_to="announce_end")

        assert talk.state.recording.state == "off"

    @pytest.mark.parametrize("record", [False, "do-not-record"])
    def test_without_record_nothing_is_expected(self, record: object) -> None:
        """Off."""
        assert Talk(conversation(record=record)).called().state.recording.state is RecordingState.OFF
