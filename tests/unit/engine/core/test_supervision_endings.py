"""Supervisors whom Twilio refuses, who are not reached, or who go: in doubt, mute (state-machines.md section 7)."""

import pytest

from calling import AGENT, ROOM_SID, connected
from schemas.actions import CreateParticipant, HangUp, RemoveParticipant
from schemas.records import ActionOutcome, ParticipantSeen
from schemas.state import CallState, LegState
from supervising import (
    MODES,
    SUPERVISOR,
    answers,
    dialled,
    joins_muted,
    shown,
    state_of,
    supervised,
    switched,
    told,
)


@pytest.mark.parametrize(
    ("status", "reason"), [("busy", "busy"), ("no-answer", "no_answer"), ("completed", "rejected")]
)
def test_a_supervisor_who_cannot_be_reached_fails_the_command(status: str, reason: str) -> None:
    """The talk goes on as if nothing had been asked."""
    story = dialled().twilio_does(CreateParticipant).progress(SUPERVISOR, "ringing").progress(SUPERVISOR, status)

    assert state_of(story) == "failed"
    assert story.outcome() == ("failed", reason)
    assert told(story, "supervision.failed").reason == reason
    assert story.now() is CallState.IN_CONFERENCE


def test_a_supervisor_who_does_not_answer_is_hung_up_in_time() -> None:
    """Nobody rings for ever."""
    story = dialled().twilio_does(CreateParticipant).progress(SUPERVISOR, "ringing").after(34)
    assert story.leg(SUPERVISOR).state is LegState.LEAVING
    assert story.asked(HangUp)[-1].leg == SUPERVISOR

    story.progress(SUPERVISOR, "canceled")

    assert story.outcome() == ("failed", "no_answer")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (ActionOutcome.FAILED, "not_in_conference"),
        (ActionOutcome.UNKNOWN, "timeout"),
        (ActionOutcome.EXPIRED, "deadline"),
    ],
)
def test_a_refused_switch_falls_back_to_mute(outcome: ActionOutcome, reason: str) -> None:
    """Fail-safe: mute, look, and the command fails; monitoring is told only when the mute was answered."""
    story = joins_muted(dialled("coach"))

    answers(story, outcome, reason)

    assert story.outcome() == ("failed", reason)
    assert (switched(story).muted, switched(story).coach) == (True, "")
    assert state_of(story) == "switching", "it may have been unmuted for all that we know"
    answers(story)
    assert state_of(story) == "monitoring"
    assert told(story, "supervision.failed").reason == reason


def test_a_switch_that_is_not_shown_in_time_falls_back_to_mute() -> None:
    """The deadline is ten seconds."""
    story = supervised("monitor").command("supervision.switch", supervisor=SUPERVISOR, mode="barge")
    answers(story).after(10)

    assert story.outcome() == ("failed", "not_confirmed")
    assert switched(story).muted is True
    answers(story)
    assert state_of(story) == "monitoring"


def test_what_a_look_shows_counts_as_reached() -> None:
    """Lost callbacks: the look after five seconds shows the mode."""
    story = supervised("monitor").command("supervision.switch", supervisor=SUPERVISOR, mode="coach")
    answers(story).after(6)
    inside = tuple(ParticipantSeen(story.sid_of(name), name) for name in ("customer-1", "agent-1"))
    coach = ParticipantSeen(story.sid_of(SUPERVISOR), SUPERVISOR, coaching=story.sid_of("agent-1"))

    story.looks(conference_sid=ROOM_SID, participants=(*inside, coach))

    assert state_of(story) == "coaching"
    assert story.outcome() == ("applied", None)


def test_who_cannot_be_muted_is_taken_out() -> None:
    """After two attempts to mute that Twilio does not show, the leg goes."""
    story = supervised("barge").command("supervision.switch", supervisor=SUPERVISOR, mode="monitor")

    story.after(31)

    assert state_of(story) == "leaving"
    assert story.asked(RemoveParticipant)[-1].leg == SUPERVISOR
    assert story.outcome() == ("failed", "not_confirmed")


def test_a_monitor_who_becomes_audible_is_muted() -> None:
    """Somebody has unmuted the leg past us: any doubt mutes."""
    story = supervised("monitor").shows(SUPERVISOR, "unmute", Muted=False)

    assert state_of(story) == "switching"
    assert switched(story).muted is True
    assert told(story, "supervision.failed").reason == "drift"
    shown(story, "monitor")
    assert state_of(story) == "monitoring"


class TestLeaving:
    """However a supervisor goes."""

    @pytest.mark.parametrize("mode", MODES)
    def test_leave_takes_the_leg_out(self, mode: str) -> None:
        """Answered when it is seen gone; the talk goes on."""
        story = supervised(mode).command("supervision.leave", supervisor=SUPERVISOR)
        assert (state_of(story), story.asked(RemoveParticipant)[-1].leg) == ("leaving", SUPERVISOR)

        story.leaves(SUPERVISOR, "participant_updated_via_api")

        assert state_of(story) == "left"
        assert story.outcome() == ("applied", None)
        assert story.now() is CallState.IN_CONFERENCE
        assert "supervision.ended" in story.events()

    def test_leave_stops_the_ringing(self) -> None:
        """And fails the command that asked for it."""
        story = dialled().twilio_does(CreateParticipant).command("supervision.leave", supervisor=SUPERVISOR)
        assert story.asked(HangUp)[-1].leg == SUPERVISOR
        story.progress(SUPERVISOR, "canceled")

        assert sorted(result.outcome.value for result in story.results()[-2:]) == ["applied", "failed"]
        assert state_of(story) == "left"

    def test_leave_of_who_has_left_is_no_change(self) -> None:
        """As with any removal."""
        story = supervised().leaves(SUPERVISOR).command("supervision.leave", supervisor=SUPERVISOR)
        assert story.results()[-1].detail == "no_change"

    def test_a_hang_up_drops_the_pending_switch(self) -> None:
        """`failed(left)`."""
        story = supervised().command("supervision.switch", supervisor=SUPERVISOR, mode="barge").leaves(SUPERVISOR)

        assert story.outcome() == ("failed", "left")
        assert state_of(story) == "left"
        assert not [name for name in story.state.timers if name.startswith("supervision.")]

    def test_a_removal_by_another_command_is_a_departure(self) -> None:
        """`call.remove` names a leg, and this is one."""
        story = supervised().command("call.remove", leg=SUPERVISOR)
        assert state_of(story) == "leaving"
        story.leaves(SUPERVISOR)
        assert state_of(story) == "left"

    def test_the_end_of_the_call_takes_everybody_along(self) -> None:
        """A supervisor in the room is removed, one on the way is hung up."""
        story = supervised("barge").leaves("customer-1").leaves(SUPERVISOR)
        assert story.now() is CallState.ENDED
        assert state_of(story) == "left"

        story = dialled().twilio_does(CreateParticipant).leaves("customer-1")
        assert story.asked(HangUp)[-1].leg == SUPERVISOR
        story.progress(SUPERVISOR, "canceled")
        assert state_of(story) == "left"
        assert story.outcome() == ("failed", "call_ended")

    def test_who_comes_back_uninvited_is_taken_out_again(self) -> None:
        """A supervision that is over does not begin anew by a join."""
        story = supervised().leaves(SUPERVISOR).shows(SUPERVISOR, "join", Muted=True)

        assert story.leg(SUPERVISOR).state is LegState.LEAVING


def test_an_old_failure_is_no_reason_for_a_departure() -> None:
    """What ended a coaching an hour ago is not why the supervisor hangs up now."""
    story = supervised("coach").leaves("agent-1")
    shown(story, "monitor")
    assert told(story, "supervision.failed").reason == "coach_left"

    story.leaves(SUPERVISOR)

    assert told(story, "supervision.ended").reason == "hung_up"


def test_supervisors_are_shown_with_the_call() -> None:
    """Those that are over stay visible for a while; the state has a bound all the same."""
    story = connected()
    for number in range(1, 9):
        story.command("call.supervise", mode="monitor", supervisor=f"client:lead{number}")
        joins_muted(story, f"supervisor-{number}").leaves(f"supervisor-{number}")

    assert [item.supervisor for item in story.state.supervisions] == [f"supervisor-{number}" for number in range(4, 9)]
    assert AGENT in {leg.target for leg in story.state.legs}
