"""Supervisors: every row of the table, told as calls (state-machines.md section 7)."""

from typing import Any

import pytest

from calling import AGENT, OTHER, ROOM_SID, Story, connected
from engine.core.effects import Emit
from schemas.actions import CreateParticipant, HangUp, RemoveParticipant, UpdateParticipant
from schemas.events import SupervisionEvent
from schemas.policy import Policy, SupervisionRights
from schemas.records import ActionOutcome, ParticipantSeen
from schemas.state import CallState, LegState, Role
from supervising import (
    LEAD,
    STATE_OF,
    SUPERVISOR,
    answers,
    dialled,
    joins_muted,
    shown,
    shows_mode,
    state_of,
    supervised,
    supervision,
    switched,
    with_second_agent,
)

MODES = ("monitor", "coach", "barge")
FOLLOWING = Policy(supervision=SupervisionRights(follow=True))


def told(story: Story, name: str) -> SupervisionEvent:
    """The data of the latest event of that name."""
    events = [effect.data for effect in story.effects if isinstance(effect, Emit) and effect.name == name]
    latest = events[-1]
    assert isinstance(latest, SupervisionEvent)
    return latest


@pytest.mark.parametrize("mode", MODES)
def test_a_supervisor_is_dialled_muted_and_can_never_end_the_room(mode: str) -> None:
    """Whatever the mode, the leg is made muted, without end-on-exit; the audit knows who, how and whom."""
    story = dialled(mode)

    create = story.asked(CreateParticipant)[-1]
    assert (create.leg, create.to, create.muted, create.end_on_exit) == (SUPERVISOR, "client:lead", True, False)
    assert story.leg(SUPERVISOR).role is Role.SUPERVISOR
    started = told(story, "supervision.started")
    coach = "agent-1" if mode == "coach" else None
    assert (started.supervisor, started.target, started.mode, started.coach) == (SUPERVISOR, LEAD, mode, coach)


def test_a_monitor_is_there_once_joined() -> None:
    """Muted is what a monitor is: nothing more is asked of Twilio."""
    story = dialled("monitor")
    before = len(story.asked(UpdateParticipant))

    joins_muted(story)

    assert state_of(story) == "monitoring"
    assert story.outcome() == ("applied", None)
    assert len(story.asked(UpdateParticipant)) == before
    assert (told(story, "supervision.mode_changed").from_, story.now()) == ("dialing", CallState.IN_CONFERENCE)


def test_a_leg_that_comes_in_unmuted_is_muted_at_once() -> None:
    """What was asked for at creation is not believed: it must be shown."""
    story = dialled("monitor").twilio_does(CreateParticipant).shows(SUPERVISOR, "join", Muted=False)

    assert state_of(story) == "switching"
    assert switched(story).muted is True
    shown(story, "monitor")
    assert story.outcome() == ("applied", None)


@pytest.mark.parametrize(("mode", "muted", "coached"), [("coach", False, True), ("barge", False, False)])
def test_a_talking_mode_is_one_update_after_the_join(mode: str, muted: bool, coached: bool) -> None:  # noqa: FBT001
    """In muted first; then microphone and coaching change in one request, and the answer waits for Twilio's word."""
    story = joins_muted(dialled(mode))
    assert state_of(story) == "switching"
    assert story.state.open

    update = switched(story)
    assert (update.muted, update.coach) == (muted, story.sid_of("agent-1") if coached else "")
    assert (update.hold, update.end_on_exit, update.announce) == (None, None, None)

    answers(story)
    assert state_of(story) == "switching", "an answer is no fact about the room"
    shows_mode(story, mode)
    assert state_of(story) == STATE_OF[mode]
    assert story.outcome() == ("applied", None)


@pytest.mark.parametrize(("before", "after"), [(a, b) for a in MODES for b in MODES if a != b])
def test_any_of_the_six_switches_is_one_update(before: str, after: str) -> None:
    """From any mode to any other by one participant update."""
    story = supervised(before)
    asked = len(story.asked(UpdateParticipant))

    story.command("supervision.switch", supervisor=SUPERVISOR, mode=after)

    assert len(story.asked(UpdateParticipant)) == asked + 1
    update = switched(story)
    assert (update.leg, update.muted) == (SUPERVISOR, after == "monitor")
    assert update.coach == (story.sid_of("agent-1") if after == "coach" else "")
    shown(story, after)
    assert state_of(story) == STATE_OF[after]
    assert story.outcome() == ("applied", None)
    changed = told(story, "supervision.mode_changed")
    assert (changed.from_, changed.to, changed.target) == (STATE_OF[before], STATE_OF[after], LEAD)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_mode_again_is_no_change(mode: str) -> None:
    """Nothing is asked of Twilio."""
    story = supervised(mode)
    asked = len(story.asked())

    story.command("supervision.switch", supervisor="supervisor", mode=mode)

    assert (story.results()[-1].outcome.value, story.results()[-1].detail) == ("applied", "no_change")
    assert len(story.asked()) == asked


def test_a_second_switch_while_one_is_under_way_is_busy() -> None:
    """One switch at a time: two updates in flight could end in either order."""
    story = supervised().command("supervision.switch", supervisor=SUPERVISOR, mode="barge")

    story.command("supervision.switch", supervisor=SUPERVISOR, mode="coach")

    assert story.outcome() == ("rejected", "busy")
    shown(story, "barge")
    assert story.outcome() == ("applied", None)


@pytest.mark.parametrize("name", ["supervision.switch", "supervision.takeover", "supervision.leave"])
@pytest.mark.parametrize(("leg", "reason"), [("supervisor-7", "unknown_leg"), ("agent-1", "not_supervising")])
def test_only_a_supervisor_can_be_steered(name: str, leg: str, reason: str) -> None:
    """Another leg is no supervisor, whatever it is."""
    data: dict[str, Any] = {"mode": "barge"} if name.endswith("switch") else {}
    story = supervised().command(name, supervisor=leg, **data)

    assert story.outcome() == ("rejected", reason)


class TestRights:
    """Who may do what: patterns over the supervisor's target."""

    RIGHTS = Policy(supervision=SupervisionRights(monitor=("client:*",), coach=("client:lead",), barge=()))

    @pytest.mark.parametrize(
        ("mode", "who", "allowed"),
        [
            ("monitor", "client:anybody", True),
            ("monitor", "phone:+15550100088", False),
            ("coach", LEAD, True),
            ("coach", "client:leader", False),
            ("barge", LEAD, False),
        ],
    )
    def test_a_pattern_decides(self, mode: str, who: str, allowed: bool) -> None:  # noqa: FBT001
        """Who matches no pattern of the mode is not dialled."""
        story = connected(self.RIGHTS)
        story.command("call.supervise", mode=mode, supervisor=who)

        dialled_them = any(leg.target == who for leg in story.state.legs)
        assert dialled_them is allowed
        assert allowed or story.outcome() == ("rejected", "not_permitted")

    def test_a_switch_needs_the_right_to_the_new_mode(self) -> None:
        """Somebody who may listen may not speak for that."""
        story = supervised("monitor", self.RIGHTS).command("supervision.switch", supervisor=SUPERVISOR, mode="barge")

        assert story.outcome() == ("rejected", "not_permitted")
        assert state_of(story) == "monitoring"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"mode": "whisper", "supervisor": LEAD}, "invalid"),
        ({"mode": "monitor", "supervisor": "queue:leads"}, "not_a_person"),
        ({"mode": "coach", "supervisor": LEAD, "coach": "customer-1"}, "not_an_agent"),
        ({"mode": "coach", "supervisor": LEAD, "coach": "agent-9"}, "unknown_leg"),
        ({"mode": "monitor"}, "invalid"),
    ],
)
def test_what_cannot_be_supervised_is_rejected(data: dict[str, Any], reason: str) -> None:
    """The reason is named, and nobody is dialled."""
    story = connected()
    legs = len(story.state.legs)

    story.command("call.supervise", **data)

    assert story.outcome() == ("rejected", reason)
    assert len(story.state.legs) == legs


def test_coaching_needs_an_agent() -> None:
    """With the only agent gone there is nobody to coach, and with two it must be said whom."""
    story = with_second_agent(connected()).command("call.supervise", mode="coach", supervisor=LEAD)
    assert story.outcome() == ("rejected", "ambiguous_agent")

    story = supervised().leaves("agent-1")
    story.command("supervision.switch", supervisor=SUPERVISOR, mode="coach")
    assert story.outcome() == ("rejected", "no_agent")


def test_a_held_agent_is_not_coached() -> None:
    """Twilio refuses it (16027), so it is not asked."""
    story = connected().command("call.hold", leg="agent-1").shows("agent-1", "hold", Hold=True)

    story.command("call.supervise", mode="coach", supervisor=LEAD)

    assert story.outcome() == ("rejected", "coached_on_hold")


@pytest.mark.parametrize("coach", ["", "agent-1"])
def test_whom_a_coach_coaches_need_not_be_told(coach: str) -> None:
    """Events say that a leg coaches; `CallSidToCoach` is in no list of Twilio's, so our own request names the agent."""
    story = joins_muted(dialled("coach"))
    shows_mode(story, "coach", coach)
    assert state_of(story) == "switching", "the request has not been answered yet"

    answers(story)

    assert (state_of(story), story.leg(SUPERVISOR).observed.coaching) == ("coaching", "agent-1")
    assert story.outcome() == ("applied", None)


def test_the_same_supervisor_is_not_dialled_twice() -> None:
    """A second leg of the same person would hear and be heard twice."""
    story = supervised().command("call.supervise", mode="barge", supervisor=LEAD)

    assert story.outcome() == ("rejected", "already_supervising")


def test_there_is_a_cap() -> None:
    """Eight supervisors, not one more."""
    story = connected()
    for number in range(8):
        story.command("call.supervise", mode="monitor", supervisor=f"client:lead{number}")

    story.command("call.supervise", mode="monitor", supervisor=LEAD)

    assert story.outcome() == ("rejected", "too_many_supervisors")


def test_a_waiting_customer_is_not_listened_to() -> None:
    """There is no talk yet to supervise."""
    story = Story().inbound().joins("customer-1").command("call.supervise", mode="monitor", supervisor=LEAD)

    assert story.outcome() == ("rejected", "not_allowed")


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


@pytest.mark.parametrize("name", ["call.mute", "call.unmute"])
def test_a_supervisors_microphone_goes_with_the_mode(name: str) -> None:
    """Unmuting past the rights is refused."""
    story = supervised().command(name, leg=SUPERVISOR)

    assert story.outcome() == ("rejected", "supervised")


class TestCoachedAgentLeaves:
    """What was meant for one agent is heard by nobody else."""

    def test_without_another_the_coach_is_muted_at_once(self) -> None:
        """In the same step as the departure."""
        story = supervised("coach").leaves("agent-1")

        assert (switched(story).leg, switched(story).muted, switched(story).coach) == (SUPERVISOR, True, "")
        assert told(story, "supervision.failed").reason == "coach_left"
        while state_of(story) == "switching":
            shown(story, "monitor")
        assert state_of(story) == "monitoring"
        assert supervision(story).coach is None

    def test_by_policy_the_coach_goes_on_with_another(self) -> None:
        """`follow`: one update from agent to agent."""
        story = with_second_agent(supervised("coach", FOLLOWING, coach="agent-1")).leaves("agent-1")

        assert (switched(story).muted, switched(story).coach) == (False, story.sid_of("agent-2"))
        shown(story, "coach", "agent-2")
        assert (state_of(story), supervision(story).coach) == ("coaching", "agent-2")

    def test_a_pending_switch_to_coaching_fails(self) -> None:
        """The agent goes while the coach is being unmuted."""
        story = joins_muted(dialled("coach")).leaves("agent-1")

        assert story.outcome() == ("failed", "coach_left")
        assert switched(story).muted is True

    def test_a_coach_on_the_way_is_called_off(self) -> None:
        """Nobody to coach, nobody to dial; with `follow` another agent is coached."""
        assert dialled("coach").leaves("agent-1").outcome() == ("failed", "coach_left")

        story = dialled("coach", FOLLOWING)
        story.twilio_does(CreateParticipant)
        with_second_agent(story).leaves("agent-1")
        assert state_of(story) == "dialing"
        assert supervision(story).coach == "agent-2"


class TestTransfer:
    """A transfer changes the agent under the supervisor."""

    @staticmethod
    def transferred(mode: str, policy: Policy | None = None) -> Story:
        """Supervised, then transferred cold to another agent."""
        story = supervised(mode, policy).command("call.transfer", mode="cold", targets=[OTHER])
        story.shows("customer-1", "modify", EndConferenceOnExit=False)
        story.twilio_does(CreateParticipant).joins("target-1").leaves("agent-1")
        assert story.state.transfer is not None
        assert story.state.transfer.state.value == "completed"
        return story

    @pytest.mark.parametrize("mode", MODES)
    def test_a_supervisor_leaves_with_it(self, mode: str) -> None:
        """The default: who listens to one agent does not listen to the next."""
        story = self.transferred(mode)

        assert state_of(story) == "leaving"
        story.leaves(SUPERVISOR)
        assert state_of(story) == "left"
        assert told(story, "supervision.ended").reason == "transferred"
        assert story.now() is CallState.IN_CONFERENCE

    @pytest.mark.parametrize("mode", ["monitor", "barge"])
    def test_by_policy_a_supervisor_stays(self, mode: str) -> None:
        """`follow`: nothing changes."""
        assert state_of(self.transferred(mode, FOLLOWING)) == STATE_OF[mode]

    def test_by_policy_a_coach_coaches_the_new_agent(self) -> None:
        """`follow`: one update to the new agent."""
        story = self.transferred("coach", FOLLOWING)

        assert (switched(story).muted, switched(story).coach) == (False, story.sid_of("target-1"))
        while state_of(story) == "switching":
            shown(story, "coach", "target-1")
        assert (state_of(story), supervision(story).coach) == ("coaching", "target-1")


class TestTakeover:
    """The supervisor becomes the agent."""

    def test_the_former_agent_goes_and_the_supervisor_is_the_agent(self) -> None:
        """The customer is never without an agent; the result comes when the former one is seen gone."""
        story = supervised("barge").command("supervision.takeover", supervisor=SUPERVISOR)
        assert (state_of(story), story.leg(SUPERVISOR).role) == ("taking_over", Role.AGENT)
        assert story.asked(RemoveParticipant)[-1].leg == "agent-1"
        assert story.state.open

        story.leaves("agent-1")

        assert state_of(story) == "taken_over"
        assert story.outcome() == ("applied", None)
        assert story.now() is CallState.IN_CONFERENCE
        assert told(story, "supervision.taken_over").replaced == "agent-1"

    def test_nothing_ends_with_the_former_agent(self) -> None:
        """End flags first, confirmed; only then is anybody removed (N2)."""
        story = supervised("barge").shows("agent-1", "modify", EndConferenceOnExit=True)
        story.command("supervision.takeover", supervisor=SUPERVISOR)
        flags = {update.leg: update.end_on_exit for update in story.asked(UpdateParticipant)[-2:]}
        assert flags == {"agent-1": False, SUPERVISOR: True}
        assert not story.asked(RemoveParticipant)

        story.shows("agent-1", "modify", EndConferenceOnExit=False)

        assert story.asked(RemoveParticipant)[-1].leg == "agent-1"

    def test_all_stays_as_it_was_when_the_agent_cannot_be_let_go(self) -> None:
        """Were the agent removed now, the room would end."""
        story = supervised("barge").shows("agent-1", "modify", EndConferenceOnExit=True)
        story.command("supervision.takeover", supervisor=SUPERVISOR).after(10)

        assert (state_of(story), story.leg(SUPERVISOR).role) == ("barged", Role.SUPERVISOR)
        assert story.outcome() == ("failed", "not_confirmed")
        assert not story.asked(RemoveParticipant)

    def test_a_removal_that_is_slow_is_waited_for(self) -> None:
        """The leg's own machine sees to it that it goes."""
        story = supervised("barge").command("supervision.takeover", supervisor=SUPERVISOR).after(10)
        assert state_of(story) == "taking_over"
        story.leaves("agent-1")
        assert story.outcome() == ("applied", None)

    def test_only_who_is_barged_in_takes_over(self) -> None:
        """Somebody whom the customer has not heard does not become the agent."""
        for mode in ("monitor", "coach"):
            story = supervised(mode).command("supervision.takeover", supervisor=SUPERVISOR)
            assert story.outcome() == ("rejected", "not_barged")

    def test_with_two_agents_it_is_not_said_whose_place_it_is(self) -> None:
        """Nobody is removed on a guess."""
        story = with_second_agent(supervised("barge")).command("supervision.takeover", supervisor=SUPERVISOR)
        assert story.outcome() == ("rejected", "ambiguous_agent")

    def test_an_orphaned_customer_is_taken_over(self) -> None:
        """The agent has gone already: the supervisor saves the call."""
        story = supervised("barge").leaves("agent-1")
        assert story.now() is CallState.ORPHANED

        story.command("supervision.takeover", supervisor=SUPERVISOR)

        assert story.now() is CallState.IN_CONFERENCE
        assert state_of(story) == "taken_over"
        assert story.outcome() == ("applied", None)

    def test_who_has_taken_over_is_no_supervisor_any_more(self) -> None:
        """And can be transferred away like any agent."""
        story = supervised("barge").command("supervision.takeover", supervisor=SUPERVISOR).leaves("agent-1")

        story.command("supervision.leave", supervisor=SUPERVISOR)
        assert story.outcome() == ("rejected", "not_supervising")
        story.command("call.transfer", mode="cold", targets=[OTHER])
        assert story.state.transfer is not None
        assert story.state.transfer.initiator == SUPERVISOR

    def test_a_supervisor_who_hangs_up_meanwhile_fails_it(self) -> None:
        """The call is the call machine's again."""
        story = supervised("barge").command("supervision.takeover", supervisor=SUPERVISOR).leaves(SUPERVISOR)

        assert story.outcome() == ("failed", "left")
        assert state_of(story) == "left"


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


def test_a_customer_on_hold_is_noted_for_the_audit() -> None:
    """From then on the supervisor hears the agents only; the supervision itself stays as it is."""
    story = supervised("coach").command("call.hold").shows("customer-1", "modify", EndConferenceOnExit=False)
    story.shows("customer-1", "hold", Hold=True)

    assert told(story, "supervision.customer_held").target == LEAD
    assert (state_of(story), story.now()) == ("coaching", CallState.HELD)


def test_a_call_with_a_supervisor_alone_has_no_agent() -> None:
    """Whoever listens does not serve: the customer is orphaned when the agent goes."""
    story = supervised("monitor").leaves("agent-1")

    assert story.now() is CallState.ORPHANED


def test_supervisors_are_shown_with_the_call() -> None:
    """Those that are over stay visible for a while; the state has a bound all the same."""
    story = connected()
    for number in range(1, 9):
        story.command("call.supervise", mode="monitor", supervisor=f"client:lead{number}")
        joins_muted(story, f"supervisor-{number}").leaves(f"supervisor-{number}")

    assert [item.supervisor for item in story.state.supervisions] == [f"supervisor-{number}" for number in range(4, 9)]
    assert AGENT in {leg.target for leg in story.state.legs}
