"""Calls from their first webhook to their end (state-machines.md sections 5 and 8)."""

import pytest

from calling import AGENT, CALLER, OTHER, Story, connected
from engine.core.effects import Emit
from schemas.actions import (
    CreateCall,
    CreateParticipant,
    EndConference,
    HangUp,
    RedirectCall,
    RemoveParticipant,
    UpdateParticipant,
)
from schemas.ids import dialled_call_id
from schemas.policy import Policy
from schemas.state import CallState


def orphaned(policy: Policy | None = None) -> Story:
    """The agent has hung up, the customer is still there."""
    return connected(policy).shows("customer-1", "modify", EndConferenceOnExit=False).leaves("agent-1")


class TestBeginning:
    """How a call begins."""

    def test_a_caller_is_in_the_room_before_anybody_else(self) -> None:
        """Room first: the caller waits in it, with a limit."""
        story = Story().inbound().joins("customer-1")

        assert story.now() is CallState.WAITING
        assert "max_wait" in story.state.timers
        assert story.state.room.name == f"room-{story.call_id}"

    def test_a_repeated_voice_webhook_changes_nothing(self) -> None:
        """Twilio retries: the second delivery is a duplicate."""
        story = Story().inbound().inbound()

        assert story.ignored() == ["duplicate"]
        assert len(story.state.legs) == 1

    def test_a_withheld_caller_is_a_caller(self) -> None:
        """`From=anonymous` does not parse as a number, and need not."""
        story = Story().inbound(from_="anonymous").joins("customer-1")

        assert story.state.customer == ""
        assert story.now() is CallState.WAITING

    def test_the_route_of_the_number_is_rung_in_order(self) -> None:
        """A policy with targets rings the first, then the next when one cannot be reached."""
        story = Story(Policy(route=(AGENT, OTHER))).inbound().joins("customer-1")
        story.twilio_does(CreateParticipant).progress("agent-1", "busy").twilio_does(CreateParticipant).joins("agent-2")

        assert [create.to for create in story.asked(CreateParticipant)] == [AGENT, OTHER]
        assert story.now() is CallState.IN_CONFERENCE

    def test_a_browser_call_dials_the_customer_when_the_agent_is_there(self) -> None:
        """The agent joins first, then the customer is dialled and may be heard ringing."""
        story = Story().from_browser()
        assert not story.asked(CreateParticipant)

        story.joins("agent-1")
        [create] = story.asked(CreateParticipant)
        assert (create.to, create.leg, create.early_media) == (CALLER, "customer-1", True)
        story.twilio_does(CreateParticipant).joins("customer-1")

        assert story.now() is CallState.IN_CONFERENCE

    @pytest.mark.parametrize("status", ["busy", "no-answer", "failed"])
    def test_a_customer_who_cannot_be_reached_ends_an_outbound_call(self, status: str) -> None:
        """The agent is told why, and not left alone in a room."""
        story = Story().from_browser().joins("agent-1").twilio_does(CreateParticipant).progress("customer-1", status)

        assert story.now() is CallState.ENDED
        assert "call.unanswered" in story.events()
        assert story.asked(RemoveParticipant)[-1].leg == "agent-1"

    def test_an_agent_who_hangs_up_before_the_customer_answers_cancels_the_call(self) -> None:
        """The customer's phone stops ringing."""
        story = Story().from_browser().joins("agent-1").twilio_does(CreateParticipant).progress("customer-1", "ringing")

        story.leaves("agent-1")

        assert "call.cancelled" in story.events()
        assert story.asked(HangUp)[-1].leg == "customer-1"

    def test_call_dial_dials_the_agent_then_the_customer(self) -> None:
        """The command is answered when the customer has joined."""
        story = Story(call_id=dialled_call_id("/test", "d1"))
        story.command("call.dial", id_="d1", agent=AGENT, to="phone:+15550100042", context={"order": "7"})
        assert story.asked(CreateParticipant)[-1].to == AGENT

        story.twilio_does(CreateParticipant).joins("agent-1").twilio_does(CreateParticipant).joins("customer-1")

        assert story.outcome() == ("applied", None)
        assert story.state.context == {"order": "7"}

    def test_call_dial_fails_with_the_agents_reason(self) -> None:
        """An agent who does not answer ends it before the customer is bothered."""
        story = Story(call_id=dialled_call_id("/test", "d1"))
        story.command("call.dial", id_="d1", agent=AGENT, to="phone:+15550100042").twilio_does(CreateParticipant)

        story.progress("agent-1", "no-answer")

        assert story.outcome() == ("failed", "no_answer")
        assert len(story.asked(CreateParticipant)) == 1


class TestConnecting:
    """Agents come in."""

    def test_connect_is_answered_when_the_agent_has_joined(self) -> None:
        """Ringing and answering are not joining."""
        story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT).twilio_does(CreateParticipant)
        story.progress("agent-1", "in-progress")
        assert not story.results()

        story.joins("agent-1")

        assert story.outcome() == ("applied", None)

    def test_the_callback_may_overtake_the_answer_of_the_create(self) -> None:
        """The label names the leg before its SID is known."""
        story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT).joins("agent-1")

        assert story.leg("agent-1").call_sid == story.sid_of("agent-1")
        assert story.now() is CallState.IN_CONFERENCE

    def test_a_whispered_agent_comes_by_way_of_our_twiml(self) -> None:
        """Participants have no whisper: the leg is a call that hears it first."""
        story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT, whisper={"say": "A caller"})

        assert story.asked(CreateCall)[-1].whisper.say == "A caller"

    def test_two_parties_end_the_room_with_the_customer(self) -> None:
        """Even while we are away, no agent stays behind in a room whose customer has gone."""
        story = connected()

        assert story.asked(UpdateParticipant)[-1].end_on_exit is True

    def test_wrap_up_lets_the_agents_stay(self) -> None:
        """A policy with wrap-up never ties the room to the customer."""
        story = connected(Policy(wrap_up_s=20))
        assert not story.asked(UpdateParticipant)

        story.leaves("customer-1")
        assert story.now() is CallState.WRAP_UP
        story.after(20)

        assert story.now() is CallState.ENDED


class TestEnding:
    """How calls end, and that nobody stays behind."""

    def test_the_caller_gives_up_waiting(self) -> None:
        """Abandoned: whoever is being dialled stops ringing."""
        story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT).twilio_does(CreateParticipant)

        story.after(9).leaves("customer-1")

        assert "call.abandoned" in story.events()
        told = [effect for effect in story.effects if isinstance(effect, Emit)]
        waited = {effect.name: getattr(effect.data, "duration_s", None) for effect in told}
        assert waited["call.abandoned"] == waited["call.ended"] == 9.0
        assert story.asked(HangUp)[-1].leg == "agent-1"
        assert story.outcome() == ("failed", "cancelled")

    def test_nobody_comes_within_the_limit(self) -> None:
        """The caller hears a goodbye outside the room, and the call ends."""
        story = Story(Policy(max_wait_s=60)).inbound().joins("customer-1").after(60)
        assert story.asked(RedirectCall)

        story.leaves("customer-1", "participant_updated_via_api")

        assert story.now() is CallState.ENDED

    def test_the_customer_hangs_up(self) -> None:
        """The agents are removed at once."""
        story = connected().leaves("customer-1")

        assert story.now() is CallState.ENDED
        assert story.asked(RemoveParticipant)[-1].leg == "agent-1"

    def test_both_hang_up_at_once(self) -> None:
        """In any order the call ends once."""
        for first, second in (("customer-1", "agent-1"), ("agent-1", "customer-1")):
            story = connected().leaves(first).leaves(second).room_ends()
            assert story.now() is CallState.ENDED
            assert story.events().count("call.ended") == 1

    def test_end_takes_the_room_where_it_has_started(self) -> None:
        """One request ends it for all; the result comes with the fact."""
        story = connected().command("call.end", reason="done")
        assert story.asked(EndConference)
        assert not [result for result in story.results() if result.command_type.endswith("end.v1")]

        story.room_ends("conference-ended-via-api")

        assert story.outcome() == ("applied", None)
        assert story.state.reason == "done"

    def test_the_end_that_we_asked_for_is_no_reason_to_comfort_anybody(self) -> None:
        """The agent's leave comes before the rest: nobody is held or recalled for it."""
        story = connected().command("call.end")
        before = len(story.asked())

        story.leaves("agent-1", "conference_ended_via_api")

        assert len(story.asked()) == before
        assert "call.orphaned" not in story.events()

    def test_end_takes_the_legs_where_the_room_has_not_started(self) -> None:
        """Twilio refuses to end a conference of one."""
        story = Story().inbound().joins("customer-1").command("call.end")
        assert story.asked(RemoveParticipant)[-1].leg == "customer-1"

        story.leaves("customer-1", "participant_updated_via_api")

        assert story.outcome() == ("applied", None)

    def test_end_of_an_ended_call_is_no_change(self) -> None:
        """Ended is as wanted."""
        story = connected().leaves("customer-1").command("call.end")

        assert (story.results()[-1].outcome, story.results()[-1].detail) == ("applied", "no_change")

    def test_late_facts_are_ignored_and_seen(self) -> None:
        """A callback after the end is in the timeline, with a reason."""
        story = connected().leaves("customer-1").leaves("agent-1").progress("agent-1", "completed")

        assert story.ignored() == ["late"]
        assert story.events()[-1] == "fact.ignored"

    def test_a_leg_that_comes_up_after_the_end_is_hung_up(self) -> None:
        """The answer won the race against our hang-up: nobody is left in an empty room."""
        story = connected().command("call.add", to=OTHER).twilio_does(CreateParticipant).leaves("customer-1")

        story.joins("third-1")

        assert story.asked(RemoveParticipant)[-1].leg == "third-1"

    def test_the_tombstone_goes_after_a_day(self) -> None:
        """Long enough for late callbacks, not for ever."""
        story = connected().leaves("customer-1").leaves("agent-1")
        story.after(86_401)

        assert story.call is None


class TestOrphans:
    """The last agent has gone and the customer is still there."""

    def test_hold_audio_instead_of_silence(self) -> None:
        """The customer hears something while somebody may come back."""
        story = orphaned()

        assert story.now() is CallState.ORPHANED
        assert story.asked(UpdateParticipant)[-1].hold is True

    def test_the_agent_is_called_back_after_the_grace(self) -> None:
        """Recall is the first step of the default policy."""
        story = orphaned().after(31)
        assert story.asked(CreateParticipant)[-1].to == AGENT

        story.twilio_does(CreateParticipant).joins("agent-2")

        assert story.now() is CallState.IN_CONFERENCE
        assert "call.recovered" in story.events()

    def test_once_recovered_the_room_ends_with_the_customer_again(self) -> None:
        """The comfort hold delayed it: Twilio ignores the flag while the customer is held."""
        story = orphaned().shows("customer-1", "hold", Hold=True).after(31).twilio_does(CreateParticipant)

        story.joins("agent-2").shows("customer-1", "unhold", Hold=False)

        assert story.asked(UpdateParticipant)[-1].end_on_exit is True

    def test_after_the_last_step_the_call_ends_with_an_announcement(self) -> None:
        """Never silence, never for ever."""
        story = orphaned().after(31).twilio_does(CreateParticipant).progress("agent-2", "no-answer")

        assert story.asked(RedirectCall)
        assert "call.dropped" in story.events()
