"""Holding and resuming: asked, confirmed, made up for and given up."""

from calling import ROOM_SID, Story, connected, sid
from engine.core.effects import Emit
from schemas.actions import (
    UpdateParticipant,
)
from schemas.events import HoldEvent
from schemas.records import ParticipantSeen, Webhook
from schemas.state import CallState


def held() -> Story:
    """A connected call with the customer on hold."""
    story = connected().command("call.hold")
    return story.shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)


class TestHold:
    """Holding and resuming."""

    def test_a_hold_ends_with_the_leg(self) -> None:
        """Whoever hangs up on hold is held no more: told once, with the duration, like any other end of a hold."""
        story = held().after(7).leaves("customer-1")

        [told] = [effect for effect in story.effects if isinstance(effect, Emit) and effect.name == "hold.ended"]
        assert isinstance(told.data, HoldEvent)
        assert (told.data.leg, told.data.duration_s) == ("customer-1", 7.0)

    def test_end_on_exit_is_cleared_before_the_hold(self) -> None:
        """N2: Twilio ignores the change while the participant is held."""
        story = connected().command("call.hold", audio="https://example.test/music.mp3")

        first, second = story.asked(UpdateParticipant)[-2:]
        assert (first.end_on_exit, second.hold) == (False, True)
        assert second.hold_audio == "https://example.test/music.mp3"

    def test_a_hold_is_applied_when_twilio_says_so(self) -> None:
        """Not when the request was sent, nor when it was answered."""
        story = connected().command("call.hold").twilio_does(UpdateParticipant).twilio_does(UpdateParticipant)
        assert story.now() is CallState.IN_CONFERENCE

        story.shows("customer-1", "hold", Hold=True)

        assert story.now() is CallState.HELD
        assert story.outcome() == ("applied", None)

    def test_a_second_hold_changes_nothing(self) -> None:
        """A state already as wanted is applied, and nothing is asked of Twilio."""
        story = held()
        before = len(story.asked())

        story.command("call.hold")

        assert (story.results()[-1].outcome, story.results()[-1].detail) == ("applied", "no_change")
        assert len(story.asked()) == before

    def test_hold_ended_tells_how_long(self) -> None:
        """The duration counts from the confirmed hold."""
        story = held().after(12).command("call.resume").shows("customer-1", "unhold", Hold=False)

        ended = next(effect for effect in story.effects if getattr(effect, "name", "") == "hold.ended")
        assert ended.data.duration_s == 12.0  # type: ignore[union-attr]

    def test_hold_is_independent_of_mute(self) -> None:
        """Two switches, two requests, two states."""
        story = held().command("call.mute", leg="customer").shows("customer-1", "mute", Muted=True)

        flags = story.leg("customer-1").observed
        assert (flags.hold, flags.muted) == (True, True)

    def test_a_lost_callback_is_made_up_for_by_a_look(self) -> None:
        """Not confirmed in time: what the room shows is taken as the fact."""
        story = connected().command("call.hold").twilio_does(UpdateParticipant).after(6)
        seen = (
            ParticipantSeen(sid(1), "customer-1", "connected", hold=True),
            ParticipantSeen(sid(2), "agent-1", "connected"),
        )

        story.looks(conference_sid=ROOM_SID, participants=seen)

        assert story.outcome() == ("applied", None)

    def test_a_hold_that_never_comes_fails(self) -> None:
        """The room shows otherwise twice: the command fails, the call goes on as Twilio has it."""
        story = connected().command("call.hold").twilio_does(UpdateParticipant).after(6)
        seen = (ParticipantSeen(sid(1), "customer-1", "connected"), ParticipantSeen(sid(2), "agent-1", "connected"))
        story.looks(conference_sid=ROOM_SID, participants=seen).after(6)

        assert story.outcome() == ("failed", "not_confirmed")
        assert story.now() is CallState.IN_CONFERENCE

    def test_somebody_elses_hold_is_taken_as_it_is_and_told(self) -> None:
        """Turned from a console, not by us: drift."""
        story = connected().shows("customer-1", "hold", Hold=True)

        assert "leg.drift" in story.events()
        assert story.now() is CallState.HELD

    def test_an_older_event_does_not_undo_a_newer(self) -> None:
        """Sequence decides, not arrival."""
        story = held().command("call.resume")
        late = story.records[-2]
        story.shows("customer-1", "unhold", Hold=False)
        assert isinstance(late, Webhook)

        story.give(Webhook("again", late.call_id, late.at, late.source, late.params))

        assert story.ignored()[-1] == "stale"
        assert story.leg("customer-1").observed.hold is False
