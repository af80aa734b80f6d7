"""Calls from their first webhook to their end (state-machines.md sections 4, 5 and 8)."""

from typing import Any

import pytest

from calling import AGENT, CALLER, OTHER, ROOM_SID, Story, connected, sid
from engine.core.effects import Park, Unplaced
from schemas.actions import (
    AnnounceAll,
    CreateCall,
    CreateParticipant,
    EndConference,
    HangUp,
    LookUp,
    RedirectCall,
    RemoveParticipant,
    UpdateParticipant,
)
from schemas.ids import dialled_call_id
from schemas.policy import Policy
from schemas.records import ActionOutcome, CallSeen, ParticipantSeen, Webhook
from schemas.state import CallState, LegState, Role
from schemas.webhooks import Source


def held() -> Story:
    """A connected call with the customer on hold."""
    story = connected().command("call.hold")
    return story.shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)


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


class TestHold:
    """Holding and resuming."""

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


class TestEnding:
    """How calls end, and that nobody stays behind."""

    def test_the_caller_gives_up_waiting(self) -> None:
        """Abandoned: whoever is being dialled stops ringing."""
        story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT).twilio_does(CreateParticipant)

        story.leaves("customer-1")

        assert "call.abandoned" in story.events()
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

    def test_after_the_last_step_the_call_ends_with_an_announcement(self) -> None:
        """Never silence, never for ever."""
        story = orphaned().after(31).twilio_does(CreateParticipant).progress("agent-2", "no-answer")

        assert story.asked(RedirectCall)
        assert "call.dropped" in story.events()


class TestCommands:
    """What every command has in common."""

    def test_a_repeated_command_gets_the_first_result_again(self) -> None:
        """The same id, the same answer, marked as replayed, and nothing done twice."""
        story = held()
        command = next(record for record in story.records if getattr(record, "name", "") == "call.hold")
        before = len(story.asked())

        story.give(command)

        first, again = [result for result in story.results() if result.command_type.endswith("hold.v1")]
        assert (again.replayed, again.outcome, again.command_id) == (True, first.outcome, first.command_id)
        assert len(story.asked()) == before

    def test_a_command_repeated_while_it_is_open_waits_for_the_same_result(self) -> None:
        """Taken once."""
        story = connected().command("call.hold", id_="h").command("call.hold", id_="h")

        assert story.ignored() == ["duplicate"]
        assert len(story.state.open) == 1

    def test_a_command_whose_time_is_over_is_expired(self) -> None:
        """An hour-old hold is never carried out."""
        story = connected().command("call.hold", deadline_s=-1)

        assert story.outcome() == ("expired", "deadline")

    def test_a_command_for_an_unknown_call_is_answered(self) -> None:
        """Rejected, with no state to name."""
        story = Story().command("call.hold")

        result = story.results()[-1]
        assert (result.outcome, result.reason, result.state) == ("rejected", "unknown_call", None)
        assert story.call is None

    @pytest.mark.parametrize(
        ("name", "data", "reason"),
        [
            ("call.mute", {"leg": "agent-9"}, "unknown_leg"),
            ("call.mute", {"leg": "target"}, "unknown_leg"),
            ("call.mute", {}, "invalid"),
            ("call.connect", {"to": "nobody"}, "invalid"),
            ("call.connect", {"to": "queue:sales"}, "taskrouter_not_configured"),
            ("call.hold", {"audio": "ftp://x"}, "invalid"),
            ("call.supervise", {"mode": "monitor", "supervisor": OTHER}, "not_supported"),
        ],
    )
    def test_what_cannot_be_is_rejected_without_effect(self, name: str, data: dict[str, Any], reason: str) -> None:
        """The reason is named, and nothing is asked of Twilio."""
        story = connected()
        before = len(story.asked())

        story.command(name, **data)

        assert story.outcome() == ("rejected", reason)
        assert len(story.asked()) == before

    def test_a_bare_role_must_be_unambiguous(self) -> None:
        """With two agents there, it does not say which one is meant."""
        story = connected().command("call.connect", to=OTHER).twilio_does(CreateParticipant).joins("agent-2")

        story.command("call.mute", leg="agent")

        assert story.outcome() == ("rejected", "ambiguous_leg")

    def test_add_takes_an_app_as_an_ai_and_the_rest_as_third_parties(self) -> None:
        """Unless a role is given."""
        app = f"app:AP{'0' * 32}?topic=billing"
        story = connected().command("call.add", to=app).command("call.add", to=OTHER)

        assert [create.leg for create in story.asked(CreateParticipant)[-2:]] == ["ai-1", "third-1"]
        assert story.leg("ai-1").role is Role.AI

    def test_remove_of_a_leg_that_has_just_gone_is_no_change(self) -> None:
        """As wanted already."""
        story = connected().leaves("agent-1").command("call.remove", leg="agent-1")

        assert story.results()[-1].detail == "no_change"

    def test_announce_to_all(self) -> None:
        """Answered when Twilio has taken it."""
        story = connected().command("call.announce", say="The office closes in ten minutes.")
        assert story.asked(AnnounceAll)

        story.twilio_does(AnnounceAll)

        assert story.outcome() == ("applied", None)

    @pytest.mark.parametrize("outcome", [ActionOutcome.FAILED, ActionOutcome.EXPIRED, ActionOutcome.UNKNOWN])
    def test_an_announcement_that_twilio_does_not_take_is_answered_so(self, outcome: ActionOutcome) -> None:
        """The worker's word is the answer."""
        story = connected().command("call.announce", say="Hello").reports(AnnounceAll, outcome, reason="not_found")

        assert story.outcome()[0] == outcome.value


class TestUnknown:
    """Callbacks of calls that are not there."""

    def test_a_callback_waits_for_its_call_then_is_a_dead_letter(self) -> None:
        """Ten seconds, once."""
        story = Story().progress("customer-1", "completed")
        assert list(story.latest) == [Park(story.at + 10_000)]
        [waiting] = story.records
        assert isinstance(waiting, Webhook)

        story.give(Webhook(waiting.id, waiting.call_id, waiting.at, waiting.source, waiting.params, parked=True))

        assert list(story.latest) == [Unplaced()]

    def test_a_stranger_in_the_room_is_adopted(self) -> None:
        """Nothing in the room is hidden."""
        story = connected().joins("stranger")

        assert story.leg("third-1").state is LegState.JOINED
        assert "leg.adopted" in story.events()

    def test_a_malformed_form_is_ignored_and_told(self) -> None:
        """Bad input is never an exception."""
        story = connected()
        story.give(Webhook("bad", story.call_id, story.at, Source.CONFERENCE, story_params(b'{"SequenceNumber":"x"}')))

        assert story.ignored() == ["malformed"]


class TestReaper:
    """No call lives on hope."""

    def test_a_call_that_twilio_no_longer_knows_is_ended_by_a_look(self) -> None:
        """Every callback of the end was lost: the look finds nobody."""
        story = connected().after(601)
        assert story.asked(LookUp)

        story.looks(calls=(CallSeen(sid(1), "completed"), CallSeen(sid(2), "completed")))

        assert story.now() is CallState.ENDED

    def test_a_removal_that_is_never_seen_escalates_and_is_given_up(self) -> None:
        """Look, hang up, look, hang up, lost: with a bound."""
        story = connected().command("call.remove", leg="agent-1").after(45)

        assert story.leg("agent-1").state is LegState.LOST
        assert story.asked(HangUp)


def story_params(body: bytes) -> Any:  # noqa: ANN401 - msgspec's Raw
    """A raw form."""
    import msgspec  # noqa: PLC0415

    return msgspec.Raw(body)
