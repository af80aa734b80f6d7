"""Supervisors whose agent changes: by leaving, by a transfer, by a take-over (state-machines.md section 7)."""

import pytest

from calling import OTHER, Story
from schemas.actions import CreateParticipant, RemoveParticipant, UpdateParticipant
from schemas.policy import Policy
from schemas.state import CallState, Role
from supervising import (
    FOLLOWING,
    MODES,
    STATE_OF,
    SUPERVISOR,
    dialled,
    joins_muted,
    shown,
    state_of,
    supervised,
    supervision,
    switched,
    told,
    with_second_agent,
)


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
    def transferred(mode: str, policy: Policy | None = None, kind: str = "cold") -> Story:
        """Supervised, then transferred to another agent: cold, warm, or warm with the customer swapped back in."""
        story = supervised(mode, policy).command("call.transfer", mode=kind.partition(" ")[0], targets=[OTHER])
        story.shows("customer-1", "modify", EndConferenceOnExit=False)
        if kind != "cold":
            story.shows("customer-1", "hold", Hold=True)
        story.twilio_does(CreateParticipant).joins("target-1")
        if kind == "warm":
            story.command("transfer.complete").shows("customer-1", "unhold", Hold=False)
        elif kind == "warm swapped":
            story.command("transfer.swap").shows("target-1", "hold", Hold=True)
            story.shows("customer-1", "unhold", Hold=False)
        story.leaves("agent-1")
        if kind == "warm swapped":
            story.shows("target-1", "unhold", Hold=False)
        assert story.state.transfer is not None
        assert story.state.transfer.state.value == "completed"
        return story

    @pytest.mark.parametrize("kind", ["cold", "warm", "warm swapped"])
    @pytest.mark.parametrize("mode", MODES)
    def test_a_supervisor_leaves_with_it(self, mode: str, kind: str) -> None:
        """The default: who listens to one agent does not listen to the next."""
        story = self.transferred(mode, kind=kind)

        assert state_of(story) == "leaving"
        story.leaves(SUPERVISOR)
        assert state_of(story) == "left"
        assert told(story, "supervision.ended").reason == "transferred"
        assert story.now() is CallState.IN_CONFERENCE

    @pytest.mark.parametrize("mode", ["monitor", "barge"])
    def test_by_policy_a_supervisor_stays(self, mode: str) -> None:
        """`follow`: nothing changes."""
        assert state_of(self.transferred(mode, FOLLOWING)) == STATE_OF[mode]

    @pytest.mark.parametrize("kind", ["cold", "warm", "warm swapped"])
    def test_by_policy_a_coach_coaches_the_new_agent(self, kind: str) -> None:
        """`follow`: one update to the new agent, once that one is not on hold."""
        story = self.transferred("coach", FOLLOWING, kind)

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
