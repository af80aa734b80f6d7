"""What every command has in common, and what becomes of what cannot be placed."""

from typing import Any

import pytest

from calling import OTHER, ROOM_SID, Story, connected, sid
from engine.core.effects import Park, Unplaced
from schemas.actions import (
    AnnounceAll,
    CreateParticipant,
    HangUp,
    LookUp,
)
from schemas.records import ActionOutcome, CallSeen, ParticipantSeen, Webhook
from schemas.state import CallState, LegState, Role
from schemas.webhooks import Source


def held() -> Story:
    """A connected call with the customer on hold."""
    story = connected().command("call.hold")
    return story.shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)


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
            ("call.supervise", {"mode": "whisper", "supervisor": OTHER}, "invalid"),
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
        assert story.state.reason == "lost"
        assert story.events().count("call.reaped") == 1

    def test_a_call_that_is_still_up_is_not_reaped(self) -> None:
        """The look comes first: whoever is on the phone stays there, and the reaper comes again."""
        story = connected().after(601)

        there = (ParticipantSeen(sid(1), label="customer-1"), ParticipantSeen(sid(2), label="agent-1"))
        story.looks(conference_sid=ROOM_SID, conference_status="in-progress", participants=there)

        assert story.now() is CallState.IN_CONFERENCE
        assert "call.reaped" not in story.events()
        assert "reap" in story.state.timers

    def test_an_end_that_a_callback_tells_is_no_reaping(self) -> None:
        """Nor is one that another look has found."""
        story = connected().command("call.remove", leg="agent-1").after(11)
        story.looks(calls=(CallSeen(sid(1), "completed"), CallSeen(sid(2), "completed")))

        assert story.now() is CallState.ENDED
        assert "call.reaped" not in story.events()

    def test_a_removal_that_is_never_seen_escalates_and_is_given_up(self) -> None:
        """Look, hang up, look, hang up, lost: with a bound."""
        story = connected().command("call.remove", leg="agent-1").after(45)

        assert story.leg("agent-1").state is LegState.LOST
        assert story.asked(HangUp)


def story_params(body: bytes) -> Any:
    """A raw form."""
    import msgspec  # noqa: PLC0415 here alone

    return msgspec.Raw(body)
