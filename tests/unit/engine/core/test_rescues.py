"""A conference that nobody here wanted to end: whose call is up goes on in the next one (state-machines.md 5 and 8)."""

from calling import AGENT, OTHER, Story, connected
from rescuing import BY_API, back, lost, refused
from schemas.actions import CreateCall, CreateParticipant, HangUp, RejoinRoom, StartRecording
from schemas.policy import Policy
from schemas.records import ActionOutcome
from schemas.state import CallState, LegState


class TestTheWay:
    """From the lost room to the next."""

    def test_everybody_who_was_in_is_redirected_into_the_next_room(self) -> None:
        """Customer and agent, by their own calls; the name of the room is derived and nobody is dialled."""
        story = connected()
        before = len(story.asked(CreateParticipant))

        story.room_ends(BY_API)

        asked = story.asked(RejoinRoom)
        assert {(action.leg, action.call_sid) for action in asked} == {
            (leg, story.sid_of(leg)) for leg in ("customer-1", "agent-1")
        }
        assert {action.room for action in asked} == {f"room2-{story.call_id}"}
        assert story.state.room.name == f"room2-{story.call_id}"
        assert story.now() is CallState.ORPHANED
        assert len(story.asked(CreateParticipant)) == before

    def test_the_talk_goes_on_when_both_are_back(self) -> None:
        """Told as a rescue and a recovery; the room may end with the customer again."""
        story = back(back(lost()), "agent-1")

        assert story.now() is CallState.IN_CONFERENCE
        assert [name for name in story.events() if name.startswith("call.")][-3:] == [
            "call.orphaned", "call.rescued", "call.recovered",
        ]  # fmt: skip
        assert story.leg("customer-1").state is LegState.JOINED
        assert story.leg("customer-1").reason is None

    def test_an_agent_who_is_faster_waits_for_the_customer(self) -> None:
        """Recovered is told when there is somebody to talk to."""
        story = back(lost(), "agent-1")
        assert story.now() is CallState.ORPHANED

        back(story)

        assert story.now() is CallState.IN_CONFERENCE

    def test_an_agent_who_was_hung_up_with_the_room_is_called_back_at_once(self) -> None:
        """A leg of the Participants API ends with its conference: then it is the policy's turn, without grace."""
        story = back(refused(lost(), "agent-1"))
        assert story.leg("agent-1").state is LegState.LEFT
        assert story.leg("customer-1").desired.hold

        story.after(1)

        assert story.asked(CreateParticipant)[-1].leg == "agent-2"
        assert story.asked(CreateParticipant)[-1].room == f"room2-{story.call_id}"

    def test_an_agent_who_is_being_taken_along_is_not_called_as_well(self) -> None:
        """While the agent's own call may still come back nobody is dialled; once it cannot, somebody is."""
        story = back(lost())
        before = len(story.asked(CreateParticipant))
        assert not story.leg("customer-1").desired.hold
        story.after(10)
        assert len(story.asked(CreateParticipant)) == before
        assert story.leg("customer-1").desired.hold

        refused(story, "agent-1")
        story.after(1)

        assert len(story.asked(CreateParticipant)) == before + 1

    def test_a_customer_who_is_gone_too_ends_the_call(self) -> None:
        """Twilio cannot redirect a call that is over: no rescue, and the reason is the room's."""
        story = refused(lost(), "customer-1")

        assert story.now() is CallState.ENDED
        assert story.state.reason == "hub_ended"
        assert "call.rescued" not in story.events()

    def test_a_customer_who_hangs_up_on_the_way_has_left(self) -> None:
        """Their own call status says so."""
        story = lost().progress("customer-1", "completed")

        assert story.now() is CallState.ENDED
        assert story.leg("customer-1").state is LegState.LEFT

    def test_what_was_on_hold_is_not_any_more(self) -> None:
        """The fresh room knows no hold: told with its duration, and the limits of the hold are off."""
        story = connected(Policy(hold_max_s=60)).command("call.hold")
        story.shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)

        story.after(5).room_ends(BY_API)

        assert "hold.ended" in story.events()
        assert "hold_max" not in story.state.timers
        assert not story.leg("customer-1").observed.hold

    def test_a_recording_goes_on(self) -> None:
        """It is the customer's call that is recorded, and that call goes on."""
        story = (
            connected()
            .command("recording.start")
            .reports(StartRecording, ActionOutcome.DONE, recording_sid="RE" + "1" * 32)
        )

        story.room_ends(BY_API)

        assert story.state.recording.state.value == "starting"
        assert story.asked(HangUp) == []

    def test_a_whisper_leads_into_the_room_of_now(self) -> None:
        """Whoever is dialled after the rescue comes into the fresh room."""
        story = back(lost()).command("call.connect", to=OTHER, whisper={"say": "A rescued call"})

        assert story.asked(CreateCall)[-1].room == f"room2-{story.call_id}"


class TestWhoIsNotTakenAlong:
    """Those whose business has ended with the room."""

    def test_a_phone_that_rings_into_the_lost_room_is_hung_up(self) -> None:
        """It would come into a room where nobody is."""
        story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT).twilio_does(CreateParticipant)

        story.room_ends(BY_API)

        assert story.leg("agent-1").state is LegState.LEAVING
        assert story.asked(HangUp)[-1].leg == "agent-1"
        assert story.now() is CallState.WAITING
        assert story.leg("customer-1").state is LegState.ANSWERED

    def test_a_waiting_caller_goes_on_waiting(self) -> None:
        """With the limit that was running; the queue is not the worse for it."""
        story = Story().inbound().joins("customer-1")
        due = story.state.timers["max_wait"]

        back(story.room_ends(BY_API))

        assert story.now() is CallState.WAITING
        assert story.state.timers["max_wait"] == due
        assert "call.rescued" in story.events()

    def test_who_waits_hears_what_the_policy_of_the_call_plays(self) -> None:
        """A running call keeps the policy it started with, in the next room too."""
        story = Story(Policy(wait_audio="https://example.test/wait.mp3")).inbound().joins("customer-1")

        back(story.room_ends(BY_API))

        assert story.asked(RejoinRoom)[-1].wait_audio == "https://example.test/wait.mp3"

    def test_a_supervisor_is_not(self) -> None:
        """Who listens has to ask again."""
        story = connected().command("call.supervise", mode="monitor", supervisor="client:lead")
        story.twilio_does(CreateParticipant).conference("participant-join", "supervisor-1", Muted="true")

        story.room_ends(BY_API)

        assert story.leg("supervisor-1").state is LegState.LEFT
        assert {action.leg for action in story.asked(RejoinRoom)} == {"customer-1", "agent-1"}

    def test_a_customer_sent_to_the_voicemail_is_not(self) -> None:
        """Who has been redirected is out of the room for good."""
        story = connected(Policy(orphan=("voicemail",), orphan_grace_s=1)).leaves("agent-1").after(1)

        story.room_ends(BY_API)

        assert story.asked(RejoinRoom) == []

    def test_an_outbound_call_without_a_customer_ends(self) -> None:
        """There is nobody to rescue."""
        story = Story().from_browser().joins("agent-1")

        story.room_ends(BY_API)

        assert story.now() is CallState.ENDED
        assert story.asked(RejoinRoom) == []

    def test_an_agent_who_still_hears_a_whisper_is_taken_along(self) -> None:
        """Their call is up and knows only the old room: it is led into the next one, and the command is answered."""
        story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT, whisper={"say": "A caller"})
        story.twilio_does(CreateCall, call_sid=story.sid_of("agent-1")).progress("agent-1", "in-progress")

        back(back(story.room_ends(BY_API)), "agent-1")

        assert story.now() is CallState.IN_CONFERENCE
        assert story.outcome() == ("applied", None)

    def test_who_opens_the_old_room_again_does_not_end_the_call(self) -> None:
        """A straggler comes under the old name: that conference is not the call's, whatever its SID."""
        story = back(lost()).in_room(1)
        story.room_sid = "CF" + "9" * 32

        story.joins("agent-1").leaves("agent-1").room_ends()

        assert story.now() is CallState.ORPHANED
        assert story.ignored()[-1] == "other_conference"
