"""Who is listened for, what becomes of a machine, and what the agent is told of a customer who cannot be reached."""

import pytest

from calling import AGENT, CALLER, Story, connected
from schemas.actions import CreateCall, CreateParticipant, HangUp, RedirectCall, UpdateParticipant
from schemas.policy import Policy
from schemas.prompts import CALL_US_BACK, UNANSWERED, Prompt
from schemas.records import ActionOutcome
from schemas.state import CallState, LegState
from schemas.webhooks import Source

PHONE = "phone:+15550100022"
SIP = "sip:desk@branford.example"
APP = f"app:AP{'0' * 32}"


def dialled(policy: Policy) -> Story:
    """An agent's browser has called; the customer's phone rings."""
    story = Story(policy).from_browser().joins("agent-1").twilio_does(CreateParticipant)
    return story.progress("customer-1", "ringing")


def talking(policy: Policy) -> Story:
    """The customer's leg has been answered and is in the room; what has answered is not known yet."""
    return dialled(policy).progress("customer-1", "in-progress").joins("customer-1")


def detected(story: Story, by: str, leg: str = "customer-1") -> Story:
    """Twilio is sure."""
    return story.webhook(Source.AMD, leg=leg, CallSid=story.sid_of(leg), AnsweredBy=by)


class TestWhoIsListenedFor:
    """Detection is asked for by the policy, or by the transfer, of phones only."""

    @pytest.mark.parametrize(
        ("machine", "detects", "to_the_end"),
        [("off", False, False), ("hang_up", True, False), ("voicemail_message", True, True)],
    )
    def test_a_customer(self, machine: str, detects: bool, to_the_end: bool) -> None:
        """A message wants the tone; a hang-up does not wait for it."""
        asked = dialled(Policy(machine=machine)).asked(CreateParticipant)[-1]

        assert (asked.detect_machine, asked.detect_message_end) == (detects, to_the_end)

    @pytest.mark.parametrize(("to", "detects"), [(PHONE, True), (SIP, True), (AGENT, False), (APP, False)])
    def test_an_agent(self, to: str, detects: bool) -> None:
        """No browser and no application has an answering machine; an agent's phone is left no message."""
        story = Story(Policy(machine="voicemail_message")).inbound().joins("customer-1").command("call.connect", to=to)

        asked = story.asked(CreateParticipant)[-1]
        assert (asked.detect_machine, asked.detect_message_end) == (detects, False)

    def test_a_whispered_agent(self) -> None:
        """By a call of its own."""
        policy = Policy(machine="hang_up", whisper="A call")
        story = Story(policy).inbound().joins("customer-1").command("call.connect", to=PHONE)

        assert story.asked(CreateCall)[-1].detect_machine

    @pytest.mark.parametrize(
        ("on_failure", "detects"), [({"machine": "announce_end"}, True), ({"busy": "return"}, False)]
    )
    def test_a_transfers_target(self, on_failure: dict[str, str], detects: bool) -> None:
        """`machine` among `on_failure` asks for it, whatever the policy says."""
        story = connected().command("call.transfer", mode="cold", targets=[PHONE], on_failure=on_failure)
        story.shows("customer-1", "modify", EndConferenceOnExit=False)

        assert story.asked(CreateParticipant)[-1].detect_machine is detects

    def test_a_transfers_machine_has_its_disposition(self) -> None:
        """The attempt has failed with that reason."""
        story = connected().command("call.transfer", mode="cold", targets=[PHONE], on_failure={"machine": "voicemail"})
        story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateParticipant)
        story.progress("target-1", "in-progress")

        detected(story, "machine_start", "target-1").progress("target-1", "completed")

        assert story.outcome() == ("failed", "machine")
        assert story.asked(RedirectCall)[-1].voicemail is True


class TestWhatBecomesOfIt:
    """Hung up, or left a message first."""

    @pytest.mark.parametrize("by", ["machine_start", "machine_end_beep", "fax"])
    @pytest.mark.parametrize("joined", [False, True])
    def test_hang_up(self, by: str, joined: bool) -> None:
        """Before the room or in it: unanswered, with the reason."""
        policy = Policy(machine="hang_up")
        story = talking(policy) if joined else dialled(policy).progress("customer-1", "in-progress")

        detected(story, by)
        assert story.asked(HangUp)[-1].leg == "customer-1"
        _ = story.leaves("customer-1") if joined else story.progress("customer-1", "completed")

        assert (story.leg("customer-1").reason, story.state.reason) == ("machine", "unanswered")
        assert story.now() is CallState.ENDED
        assert "call.unanswered" in story.events()
        assert "call.customer_left" not in story.events()

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (None, CALL_US_BACK),
            ("Please call the clinic.", Prompt(say="Please call the clinic.")),
            ("https://example.test/m.mp3", Prompt(play="https://example.test/m.mp3")),
        ],
    )
    def test_a_message_after_the_tone(self, text: str | None, said: Prompt) -> None:
        """The machine's leg leaves the room to hear it, and its call ends with that."""
        story = detected(talking(Policy(machine="voicemail_message", machine_message=text)), "machine_end_beep")

        [redirect] = story.asked(RedirectCall)
        assert (redirect.leg, redirect.announce, redirect.voicemail) == ("customer-1", said, False)
        assert story.leg("customer-1").state is LegState.LEAVING
        story.leaves("customer-1", "participant_updated_via_api")
        assert (story.now(), story.state.reason) == (CallState.ENDED, "unanswered")
        assert story.asked(HangUp) == []

    def test_the_message_is_not_cut_off_when_the_agent_leaves(self) -> None:
        """Nothing hangs the machine up within the time of a message."""
        story = detected(talking(Policy(machine="voicemail_message")), "machine_end_beep").leaves("agent-1").after(60)

        assert story.asked(HangUp) == []

    def test_a_message_that_lasts_for_ever_ends(self) -> None:
        """A leg that never goes is looked for and hung up."""
        story = detected(talking(Policy(machine="voicemail_message")), "machine_end_beep").after(190)

        assert story.asked(HangUp)[-1].leg == "customer-1"

    def test_a_message_that_cannot_be_left(self) -> None:
        """Twilio refuses the redirect: the leg is hung up, the call of the agent is not."""
        story = detected(talking(Policy(machine="voicemail_message")), "machine_end_silence")

        story.reports(RedirectCall, ActionOutcome.FAILED, status=500)

        assert [action.leg for action in story.asked(HangUp)] == ["customer-1"]

    def test_a_fax_is_left_no_message(self) -> None:
        """It has no tone to speak after."""
        story = detected(talking(Policy(machine="voicemail_message")), "fax")

        assert (story.asked(RedirectCall), story.asked(HangUp)[-1].leg) == ([], "customer-1")

    @pytest.mark.parametrize("by", ["human", "unknown"])
    def test_a_person_goes_on_talking(self, by: str) -> None:
        """Only then may the room end with the customer: a machine leaves it for its message."""
        story = talking(Policy(machine="voicemail_message"))
        assert story.asked(UpdateParticipant) == []

        detected(story, by)

        assert story.now() is CallState.IN_CONFERENCE
        assert story.asked(UpdateParticipant)[-1].end_on_exit is True


class TestWhatTheAgentHears:
    """`unanswered`: the event always, the words by policy."""

    @pytest.mark.parametrize(
        ("status", "reason"),
        [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "failed"), ("canceled", "cancelled")],
    )
    def test_each_status(self, status: str, reason: str) -> None:
        """The agent leaves the room to hear it; the call ends when the agent has gone."""
        story = dialled(Policy(unanswered="announce")).progress("customer-1", status)

        [redirect] = story.asked(RedirectCall)
        assert (redirect.leg, redirect.announce) == ("agent-1", UNANSWERED[reason])
        assert story.now() is CallState.WRAP_UP
        assert "call.unanswered" in story.events()
        story.leaves("agent-1", "participant_updated_via_api")
        assert (story.now(), story.state.reason) == (CallState.ENDED, "unanswered")

    def test_a_machine(self) -> None:
        """After the message has begun."""
        story = detected(talking(Policy(unanswered="announce", machine="voicemail_message")), "machine_end_beep")

        story.leaves("customer-1", "participant_updated_via_api")

        assert [action.leg for action in story.asked(RedirectCall)] == ["customer-1", "agent-1"]
        assert story.asked(RedirectCall)[-1].announce == UNANSWERED["machine"]

    def test_without_it_the_agent_is_let_go(self) -> None:
        """The default."""
        story = dialled(Policy()).progress("customer-1", "busy")

        assert (story.asked(RedirectCall), story.now()) == ([], CallState.ENDED)

    def test_words_that_cannot_be_said(self) -> None:
        """Twilio refuses the redirect: the agent is let go all the same."""
        story = dialled(Policy(unanswered="announce")).progress("customer-1", "busy")

        story.reports(RedirectCall, ActionOutcome.FAILED, status=500)

        assert story.leg("agent-1").state is LegState.LEAVING

    def test_an_agent_who_does_not_go(self) -> None:
        """The call does not wait for ever."""
        story = dialled(Policy(unanswered="announce")).progress("customer-1", "busy").after(31)

        assert story.leg("agent-1").state is LegState.LEAVING

    def test_the_command_is_answered_at_once(self) -> None:
        """`call.dial` does not wait for the words."""
        story = Story(Policy(unanswered="announce"), call_id="dial-1")
        story.command("call.dial", agent=AGENT, to=f"phone:{CALLER}").twilio_does(CreateParticipant).joins("agent-1")

        story.twilio_does(CreateParticipant).progress("customer-1", "busy")

        assert story.outcome() == ("failed", "busy")
        assert story.now() is CallState.WRAP_UP
