"""A call that a Conversations service has: what each of Twilio's words moves, and every way in which it can end."""

from itertools import permutations

import pytest

from calling import AGENT, CALL_SID, Story, connected, sid
from conversing import SERVICE, STEPS, Talk, conversation
from engine.core.effects import Emit
from schemas.actions import CreateParticipant, HangUp, LookUp
from schemas.events import ConversationEvent
from schemas.records import ActionOutcome, CallSeen
from schemas.sessions import SessionState
from schemas.state import CallState, LegState, Role
from schemas.webhooks import Source

UNREACHED = {
    "busy": "busy", "no-answer": "no_answer", "failed": "failed", "canceled": "cancelled", "completed": "rejected",
}  # fmt: skip
OTHER_RESULTS = (
    "failed-create-conversation", "no-other-participants", "invalid-conversation", "no-existing-conversation",
    "internal-error",
)  # fmt: skip


def last_told(story: Story) -> ConversationEvent:
    """The latest event about the session."""
    told = [effect.data for effect in story.effects if isinstance(effect, Emit)]
    return [data for data in told if isinstance(data, ConversationEvent)][-1]


class TestItsWay:
    """From the caller's webhook to a talk."""

    def test_each_status_moves_the_session_and_the_dialled_leg(self) -> None:
        """The worker's leg is taken in with the first word about it, and shown as far as Twilio tells."""
        talk = Talk().called()
        assert (talk.where(), talk.now()) == (SessionState.CONNECTING, CallState.RINGING)

        states = [(talk.told(step).where(), talk.leg("agent-1").state) for step in STEPS[:3]]

        assert states == [("dialing", "dialing"), ("ringing", "ringing"), ("talking", "answered")]
        assert talk.now() is CallState.IN_CONFERENCE
        assert (talk.leg("agent-1").role, talk.leg("agent-1").call_sid) == (Role.AGENT, talk.sid_of("agent-1"))
        assert "call.connected" in talk.events()

    def test_nothing_is_asked_of_twilio(self) -> None:
        """The service does it all."""
        assert Talk().called().up_to("call-answered").asked() == []

    def test_the_callbacks_in_any_order_end_in_the_same_place(self) -> None:
        """SequenceNumber says which is the newest; an older one that comes later changes nothing."""
        for order in permutations(STEPS):
            talk = Talk().called()
            for step in order:
                talk.told(step)
            assert talk.where() is SessionState.CLOSING
            assert talk.session.heard == 4
            talk.ends("session-success", "completed")
            assert (talk.where(), talk.now()) == (SessionState.SUCCEEDED, CallState.ENDED)
            assert talk.events().count("call.connected") == 1

    def test_the_same_callback_twice_is_a_duplicate(self) -> None:
        """Nothing is told again."""
        talk = Talk().called().told("call-ringing")
        events = len(talk.events())

        talk.told("call-ringing")

        assert talk.events()[events:] == ["fact.ignored"]
        assert talk.ignored() == ["duplicate"]

    def test_a_number_that_was_heard_says_nothing_new(self) -> None:
        """A later status under an older number is stale."""
        talk = Talk().called().told("call-ringing", number=3).told("call-answered", number=2)

        assert (talk.where(), talk.ignored()) == (SessionState.RINGING, ["stale"])

    def test_a_session_dials_once(self) -> None:
        """A callback about another call is none of this session's."""
        talk = Talk().called().told("call-ringing")

        talk.webhook(Source.CONVERSATION_STATUS, DialCallSid=sid(99), Status="call-answered", SequenceNumber="3")

        assert (talk.where(), talk.ignored()) == (SessionState.RINGING, ["unknown_leg"])

    def test_a_worker_who_calls_is_the_agent_and_the_customer_is_dialled(self) -> None:
        """The other way round: the browser's leg waits, the customer's is dialled."""
        talk = Talk().worker_calls().up_to("call-answered")

        assert talk.session.worker_initiated
        assert [(leg.leg, leg.role.value) for leg in talk.state.legs] == [
            ("agent-1", "agent"),
            ("customer-1", "customer"),
        ]
        assert talk.now() is CallState.IN_CONFERENCE


class TestItsEnds:
    """Every Result, with every DialCallStatus."""

    @pytest.mark.parametrize(
        ("gone", "reason", "events"),
        [(False, "agent_left", {"call.ended"}), (True, "customer_left", {"call.customer_left", "call.ended"})],
    )
    def test_success_tells_who_hung_up(self, gone: bool, reason: str, events: set[str]) -> None:
        """Whoever still waits for TwiML has not."""
        talk = Talk().called().up_to("call-completed").ends("session-success", "completed", gone=gone)

        assert (talk.where(), talk.now(), talk.state.reason) == (SessionState.SUCCEEDED, CallState.ENDED, reason)
        assert events <= set(talk.events())
        assert {leg.state for leg in talk.state.legs} == {LegState.LEFT}

    def test_success_without_a_status_callback_is_a_talk_all_the_same(self) -> None:
        """Twilio sends them once; they may all be lost."""
        talk = Talk().called().ends("session-success", "completed", DialCallDuration="7")

        told = talk.events()
        assert told.index("call.connected") < told.index("call.ended")
        assert (last_told(talk).duration_s, talk.leg("agent-1").state) == (7, LegState.LEFT)

    @pytest.mark.parametrize("led_to", ["voicemail", "announce_end", "hang_up"])
    @pytest.mark.parametrize(("dial", "reason"), UNREACHED.items())
    def test_a_worker_who_is_not_reached(self, dial: str, reason: str, led_to: str) -> None:
        """`dialed-call-incomplete` is told with the DialCallStatus, and with what the caller is led to."""
        talk = Talk().called().up_to("call-ringing").ends("dialed-call-incomplete", dial, led_to=led_to)

        assert (talk.where(), talk.now(), talk.state.reason) == (SessionState.FAILED, CallState.ENDED, reason)
        assert (last_told(talk).reason, last_told(talk).outcome) == (reason, led_to)
        assert (talk.leg("agent-1").state, talk.leg("agent-1").reason) == (LegState.FAILED, reason)
        assert "call.unanswered" in talk.events()
        assert talk.asked() == []

    @pytest.mark.parametrize("result", OTHER_RESULTS)
    def test_no_worker_is_dialled(self, result: str) -> None:
        """Every other Result is a reason by itself."""
        talk = Talk().called().ends(result, led_to="announce_end")

        reason = result.replace("-", "_")
        assert (talk.where(), talk.now(), talk.state.reason) == (SessionState.FAILED, CallState.ENDED, reason)
        assert [leg.leg for leg in talk.state.legs] == ["customer-1"]

    def test_the_result_of_the_walk_through(self) -> None:
        """Twilio's example has the Result `no-answer`, which its table does not know."""
        assert Talk().called().ends("no-answer", led_to="voicemail").state.reason == "no_answer"

    def test_a_result_that_nobody_has_described(self) -> None:
        """It is a failure, and its own word is told."""
        talk = Talk().called().ends("weather", led_to="announce_end")

        assert (talk.state.reason, last_told(talk).result) == ("internal_error", "weather")

    def test_a_message_left_is_told_after_the_end(self) -> None:
        """Voicemail on no answer: the call has ended, the message is told."""
        talk = Talk().called().up_to("call-ringing").ends("dialed-call-incomplete", "no-answer", led_to="voicemail")

        talk.webhook(Source.VOICEMAIL, leg="customer-1", CallSid=CALL_SID, RecordingSid="RE1", RecordingDuration="9")

        assert talk.events()[-1] == "voicemail.recorded"

    @pytest.mark.parametrize("step", [None, "call-ringing", "call-answered"])
    def test_led_into_the_room_it_is_a_call_like_any_other(self, step: str | None) -> None:
        """`wait`: the caller joins the room, and a service connects somebody."""
        talk = Talk().called()
        if step is not None:
            talk.up_to(step)

        talk.ends("dialed-call-incomplete", "no-answer", led_to="wait").joins("customer-1")
        assert (talk.where(), talk.now()) == (SessionState.FAILED, CallState.WAITING)
        assert "max_wait" in talk.state.timers

        talk.command("call.connect", to=AGENT).twilio_does(CreateParticipant)
        talk.joins(talk.asked(CreateParticipant)[-1].leg)
        assert talk.now() is CallState.IN_CONFERENCE

    def test_led_into_the_room_and_never_there(self) -> None:
        """A caller who does not join is looked for, and the call ends."""
        talk = Talk().called().ends("internal-error", led_to="wait").after(61)
        assert talk.pending(LookUp).call_sids == (CALL_SID,)

        talk.looks(calls=(CallSeen(CALL_SID, "completed"),))

        assert talk.now() is CallState.ENDED

    @pytest.mark.parametrize(("step", "ended"), [("call-ringing", "abandoned"), ("call-answered", "customer_left")])
    @pytest.mark.parametrize("by", ["action", "status", "look"])
    def test_the_caller_hangs_up(self, step: str, ended: str, by: str) -> None:
        """However it is heard of: by the action, by the number's own status callback, or by a look."""
        talk = Talk().called().up_to(step)
        match by:
            case "action":
                result = "session-success" if ended == "customer_left" else "dialed-call-incomplete"
                talk.ends(result, "completed" if ended == "customer_left" else "canceled", gone=True)
            case "status":
                talk.progress("customer-1", "completed").after(16)
            case _:
                talk.told("call-completed").after(16).looks(calls=(CallSeen(CALL_SID, "completed"),)).after(16)

        assert (talk.now(), talk.state.reason) == (CallState.ENDED, ended)
        assert f"call.{ended}" in talk.events()
        assert talk.leg("customer-1").reason == "hung_up"

    def test_the_result_decides_and_not_who_is_heard_of_first(self) -> None:
        """The status callbacks of the talk were lost, the number's own is there before the result."""
        talk = Talk().called().progress("customer-1", "completed")
        assert talk.where() is SessionState.CLOSING

        talk.ends("session-success", "completed", gone=True)

        assert (talk.where(), talk.state.reason) == (SessionState.SUCCEEDED, "customer_left")

    def test_a_worker_who_called_gives_up(self) -> None:
        """That is the agent's own cancellation."""
        talk = Talk().worker_calls().up_to("call-ringing").ends("dialed-call-incomplete", "canceled", gone=True)

        assert (talk.now(), talk.state.reason) == (CallState.ENDED, "agent_left")
        assert "call.cancelled" in talk.events()

    def test_what_comes_after_the_end_is_late(self) -> None:
        """Ignored with that reason, and the call stays as it is."""
        talk = Talk().called().told("call-ringing").progress("customer-1", "completed").after(16)

        talk.ends("dialed-call-incomplete", "canceled", gone=True).told("call-completed")

        assert talk.ignored() == ["late", "late"]
        assert talk.where() is SessionState.ABANDONED


class TestItsCare:
    """Nothing is lost when a callback is, and nobody is hung up for it."""

    def test_a_session_that_nobody_tells_about_is_looked_at_again_and_again(self) -> None:
        """After the time that ringing can take; the calls as seen stand in for the callbacks."""
        talk = Talk(conversation(inbound_timeout_s=20)).called().told("call-initiated").after(56)
        assert talk.pending(LookUp).call_sids == (CALL_SID, talk.sid_of("agent-1"))

        talk.looks(calls=(CallSeen(CALL_SID, "in-progress"), CallSeen(talk.sid_of("agent-1"), "in-progress")))

        assert talk.where() is SessionState.TALKING
        assert talk.asked(HangUp) == []
        assert "reap" in talk.state.timers

    def test_a_look_that_shows_nothing_new_changes_nothing(self) -> None:
        """And another one follows."""
        talk = Talk().called().told("call-ringing").after(96)

        talk.looks(calls=(CallSeen(CALL_SID, "in-progress"), CallSeen(talk.sid_of("agent-1"), "ringing")))

        assert talk.where() is SessionState.RINGING
        assert "conversation" in talk.state.timers

    def test_a_leg_seen_over_waits_for_the_result(self) -> None:
        """Why it is over is Twilio's to say."""
        talk = Talk().called().told("call-ringing").after(96)

        talk.looks(calls=(CallSeen(CALL_SID, "in-progress"), CallSeen(talk.sid_of("agent-1"), "busy")))

        assert talk.where() is SessionState.CLOSING

    def test_what_belongs_to_a_room_is_ignored(self) -> None:
        """There is none."""
        talk = Talk().called().conference("conference-start")

        assert (talk.ignored(), talk.where()) == (["in_conversation"], SessionState.CONNECTING)

    def test_a_room_call_ignores_what_belongs_to_a_session(self) -> None:
        """No session has begun."""
        story = connected()

        story.webhook(Source.CONVERSATION_STATUS, DialCallSid=sid(9), Status="call-ringing", SequenceNumber="1")
        story.webhook(Source.CONVERSATION_ACTION, CallSid=CALL_SID, Result="session-success")

        assert story.ignored()[-2:] == ["not_expected", "not_expected"]
        assert story.now() is CallState.IN_CONFERENCE


class TestItsCommands:
    """Only the end of the call is ours."""

    def test_a_room_command_is_refused_with_what_is_allowed(self) -> None:
        """No room: nothing is asked of Twilio."""
        talk = Talk().called().up_to("call-answered").command("call.hold")

        result = talk.results()[-1]
        assert (result.outcome, result.reason, result.allowed) == ("rejected", "in_conversation", ("call.end",))
        assert talk.asked() == []

    @pytest.mark.parametrize("step", ["call-ringing", "call-answered"])
    def test_call_end_hangs_the_caller_up(self, step: str) -> None:
        """The service then ends the rest; nobody counts as having given up."""
        talk = Talk().called().up_to(step).command("call.end", reason="closing time")
        assert talk.pending(HangUp).call_sid == CALL_SID

        talk.twilio_does(HangUp).ends("dialed-call-incomplete", "canceled", gone=True)

        assert (talk.outcome(), talk.state.reason) == (("applied", None), "closing time")
        assert not {"call.abandoned", "call.customer_left"} & set(talk.events())
        assert talk.leg("customer-1").reason == "removed"

    def test_call_end_of_a_caller_whom_twilio_does_not_know_any_more(self) -> None:
        """404 is an end as well."""
        talk = Talk().called().command("call.end")

        talk.reports(HangUp, ActionOutcome.FAILED, reason="not_found", status=404).after(16)

        assert (talk.now(), talk.outcome()) == (CallState.ENDED, ("applied", None))

    def test_a_second_call_end_asks_once(self) -> None:
        """Both are answered by the same end."""
        talk = Talk().called().command("call.end").command("call.end")

        assert len(talk.asked(HangUp)) == 1
        talk.ends("dialed-call-incomplete", "canceled", gone=True)
        assert [result.outcome.value for result in talk.results()] == ["applied", "applied"]


def test_the_service_is_the_policys() -> None:
    """As the event of the begin says."""
    assert last_told(Talk().called()).service_sid == SERVICE
