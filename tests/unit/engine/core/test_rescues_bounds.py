"""How a lost conference is seen, when an end is no loss, and how far a rescue goes (state-machines.md 5 and 8)."""

from collections.abc import Callable
from itertools import permutations

import pytest

from calling import OTHER, ROOM_SID, Story, connected
from engine.core.rescues import MOST_ROOMS
from queueing import either, talking
from rescuing import BY_API, THROWN_OUT, back, lost
from schemas.actions import CreateParticipant, HangUp, RedirectCall, RejoinRoom, UpdateParticipant
from schemas.policy import Policy
from schemas.records import ActionOutcome, CallSeen
from schemas.state import CallState, LegState
from schemas.webhooks import Source


class TestHowItIsSeen:
    """By the end of the conference, by a leave, by a look; in any order."""

    def test_a_leave_says_it_before_the_conference_does(self) -> None:
        """The agent's call is over, the customer's is up: one is taken along, both are understood."""
        story = connected()
        story.leaves("agent-1", THROWN_OUT, "completed").leaves("customer-1", THROWN_OUT, "in-progress")
        story.room_ends(BY_API)

        assert story.leg("agent-1").state is LegState.LEFT
        assert story.leg("customer-1").state is LegState.ANSWERED
        assert [action.leg for action in story.asked(RejoinRoom)] == ["customer-1"]
        assert story.state.room.former == (ROOM_SID,)

    def test_any_order_of_the_same_callbacks_ends_in_the_same_place(self) -> None:
        """Both leaves, the end and the agent's own status, in all twenty-four orders."""
        happenings: tuple[Callable[[Story], Story], ...] = (
            lambda story: story.leaves("customer-1", THROWN_OUT, "in-progress"),
            lambda story: story.leaves("agent-1", THROWN_OUT, "completed"),
            lambda story: story.room_ends(BY_API),
            lambda story: story.progress("agent-1", "completed"),
        )
        ends = set()
        for order in permutations(happenings):
            story = connected()
            for happening in order:
                happening(story)
            back(story)
            ends.add((story.now(), story.state.room.generation, *((leg.leg, leg.state) for leg in story.state.legs)))

        assert ends == {(CallState.ORPHANED, 2, ("customer-1", LegState.JOINED), ("agent-1", LegState.LEFT))}

    def test_a_look_finds_the_room_gone_and_the_caller_there(self) -> None:
        """Every callback was lost: the next look tells."""
        story = connected().after(600)

        story.looks(
            conference_sid=ROOM_SID, conference_status="completed",
            calls=(CallSeen(story.sid_of("customer-1"), "in-progress"), CallSeen(story.sid_of("agent-1"), "completed")),
        )  # fmt: skip

        assert [action.leg for action in story.asked(RejoinRoom)] == ["customer-1"]
        assert story.now() is CallState.ORPHANED

    def test_an_agent_who_should_not_have_ended_the_room_did(self) -> None:
        """End-on-exit was still set at Twilio although we had let the agent go: the customer is rescued."""
        story = connected()
        story.command("call.transfer", mode="cold", targets=[OTHER])

        story.leaves("agent-1").room_ends(
            "participant-with-end-conference-on-exit-left", CallSidEndingConference=story.sid_of("agent-1")
        )

        assert story.pending(RejoinRoom).leg == "customer-1"
        assert story.state.transfer is not None
        assert (story.state.transfer.state.value, story.state.transfer.reason) == ("failed", "hub_ended")


class TestWhenItIsNoLoss:
    """Ends that are as they should be."""

    @pytest.mark.parametrize("reason", ["last-participant-left", "last-participant-kicked"])
    def test_the_last_one_out_ends_it(self, reason: str) -> None:
        """Nobody is in it any more."""
        story = connected().room_ends(reason)

        assert story.now() is CallState.ENDED
        assert story.asked(RejoinRoom) == []

    def test_the_customer_ends_it_by_leaving(self) -> None:
        """That is what end-on-exit is for."""
        story = connected()
        story.room_ends(
            "participant-with-end-conference-on-exit-left", CallSidEndingConference=story.sid_of("customer-1")
        )

        assert story.now() is CallState.ENDED
        assert story.asked(RejoinRoom) == []

    def test_we_have_ended_it(self) -> None:
        """`call.end` ends the room; whose own call goes on is hung up, and not left in silence."""
        story = connected().command("call.end")
        story.leaves("agent-1", THROWN_OUT, "completed").leaves("customer-1", THROWN_OUT, "in-progress")

        assert story.now() is CallState.ENDED
        assert story.asked(RejoinRoom) == []
        assert [action.leg for action in story.asked(HangUp)] == ["customer-1"]

    def test_a_machine_that_is_left_a_message_is_not_hung_up(self) -> None:
        """It leaves the room because we have redirected its call, which goes on until the message has been said."""
        story = Story(Policy(machine="voicemail_message")).from_browser().joins("agent-1")
        story.twilio_does(CreateParticipant).progress("customer-1", "in-progress").joins("customer-1")
        story.webhook(Source.AMD, leg="customer-1", CallSid=story.sid_of("customer-1"), AnsweredBy="machine_end_beep")

        story.leaves("customer-1", "participant_updated_via_api", "in-progress")

        assert [action.leg for action in story.asked(RedirectCall)] == ["customer-1"]
        assert "customer-1" not in [action.leg for action in story.asked(HangUp)]

    def test_a_customer_whom_somebody_has_taken_out_is_hung_up(self) -> None:
        """A removal that we did not ask for is somebody's will, not an accident: the call ends, and the leg with it."""
        story = connected().leaves("customer-1", "participant_updated_via_api", "in-progress")

        assert story.now() is CallState.ENDED
        assert [action.leg for action in story.asked(HangUp)] == ["customer-1"]


class TestBounds:
    """It does not go on for ever, and does not hang."""

    def test_a_call_has_three_rescues(self) -> None:
        """The fourth conference that is lost ends the call."""
        story = connected()
        for room in range(2, MOST_ROOMS + 1):
            back(back(story.room_ends(BY_API), "customer-1", room), "agent-1", room)
        assert story.now() is CallState.IN_CONFERENCE

        story.room_ends(BY_API)

        assert story.now() is CallState.ENDED
        assert story.state.reason == "hub_ended"
        assert story.events().count("call.rescued") == MOST_ROOMS - 1

    def test_the_next_room_may_be_lost_before_the_customer_is_in(self) -> None:
        """Then it is the one after."""
        story = back(lost(), "agent-1").room_ends(BY_API)

        assert story.asked(RejoinRoom)[-1].room == f"room3-{story.call_id}"
        assert story.leg("customer-1").state is LegState.ANSWERED

    def test_a_redirect_of_which_nothing_is_known_is_looked_up(self) -> None:
        """And whoever does not come back in time is hung up, after one more look."""
        story = lost().reports(RejoinRoom, ActionOutcome.UNKNOWN)
        assert "look_up" in [item.action.__struct_config__.tag for item in story.state.pending]

        story.after(30)

        assert story.leg("customer-1").state is LegState.LEAVING

    def test_what_the_old_room_still_says_is_ignored(self) -> None:
        """Late switches and joins of the lost conference say nothing of the fresh one."""
        story = back(lost()).in_room(1)
        before = story.state

        story.shows("customer-1", "mute", Muted=True).joins("agent-1")

        assert story.leg("agent-1").state is before.legs[1].state
        assert not story.leg("customer-1").observed.muted
        assert story.ignored()[-2:] == ["other_conference", "other_conference"]

    def test_the_wait_may_end_between_two_rooms(self) -> None:
        """The caller's own call can be redirected to the message box wherever it is."""
        story = Story(Policy(max_wait_s=5, max_wait="voicemail")).inbound().joins("customer-1").after(4)

        story.room_ends(BY_API).after(2)

        assert story.state.state is CallState.WAITING
        assert story.leg("customer-1").ours

    def test_switches_that_nobody_confirmed_are_forgotten(self) -> None:
        """A request about the lost room that fails afterwards changes nothing in the fresh one."""
        story = connected().command("call.mute", leg="agent-1").room_ends(BY_API)
        assert story.outcome() == ("failed", "leg_left")

        back(back(story), "agent-1").reports(UpdateParticipant, ActionOutcome.FAILED, reason="not_found", status=404)

        assert story.now() is CallState.IN_CONFERENCE


@either
def test_taskrouters_lost_room_does_not_come_back(foreign: bool) -> None:
    """What TaskRouter still tells of its task names the conference that has gone; the call stays where it is."""
    story = talking(foreign=foreign)
    story.room_ends(BY_API)
    fresh = story.state.room

    story.tells("task.updated").tells("reservation.accepted")

    assert fresh.name == f"room2-{story.call_id}"
    assert (story.state.room.name, story.state.room.sid) == (fresh.name, fresh.sid)
