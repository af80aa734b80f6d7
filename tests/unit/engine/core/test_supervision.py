"""Supervisors: who may come in, how, and from mode to mode (state-machines.md section 7)."""

from typing import Any

import pytest

from calling import Story, connected
from schemas.actions import CreateParticipant, UpdateParticipant
from schemas.policy import Policy, SupervisionRights
from schemas.state import CallState, Role
from supervising import (
    LEAD,
    MODES,
    STATE_OF,
    SUPERVISOR,
    answers,
    dialled,
    joins_muted,
    shown,
    shows_mode,
    state_of,
    supervised,
    switched,
    told,
    with_second_agent,
)


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
def test_a_talking_mode_is_one_update_after_the_join(mode: str, muted: bool, coached: bool) -> None:
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
    def test_a_pattern_decides(self, mode: str, who: str, allowed: bool) -> None:
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


@pytest.mark.parametrize("name", ["call.mute", "call.unmute"])
def test_a_supervisors_microphone_goes_with_the_mode(name: str) -> None:
    """Unmuting past the rights is refused."""
    story = supervised().command(name, leg=SUPERVISOR)

    assert story.outcome() == ("rejected", "supervised")


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
