"""Supervisors in the language of `calling`: they join muted, and Twilio shows what their switch has become."""

from typing import Any

from calling import OTHER, Story, connected
from engine.core.effects import Emit
from schemas.actions import CreateParticipant, UpdateParticipant
from schemas.events import SupervisionEvent
from schemas.policy import Policy, SupervisionRights
from schemas.records import ActionOutcome
from schemas.state import Supervision

LEAD = "client:lead"
SUPERVISOR = "supervisor-1"
MODES = ("monitor", "coach", "barge")
FOLLOWING = Policy(supervision=SupervisionRights(follow=True))
STATE_OF = {"monitor": "monitoring", "coach": "coaching", "barge": "barged"}


def dialled(mode: str = "monitor", policy: Policy | None = None, **data: Any) -> Story:
    """A supervisor is being dialled."""
    return connected(policy).command("call.supervise", mode=mode, supervisor=LEAD, **data)


def joins_muted(story: Story, leg: str = SUPERVISOR) -> Story:
    """Twilio has made the leg, and it comes in muted."""
    return story.twilio_does(CreateParticipant).shows(leg, "join", Muted=True)


def shown(story: Story, mode: str, coach: str = "", leg: str = SUPERVISOR) -> Story:
    """Twilio takes the oldest update and shows the supervisor in a mode."""
    return shows_mode(answers(story, leg=leg), mode, coach, leg)


def answers(
    story: Story, outcome: ActionOutcome = ActionOutcome.DONE, reason: str | None = None, leg: str = SUPERVISOR
) -> Story:
    """Twilio answers the oldest update of the supervisor; those of others that were asked for before are done."""
    while story.pending(UpdateParticipant).leg != leg:
        story.twilio_does(UpdateParticipant)
    return story.reports(UpdateParticipant, outcome, reason=reason)


def shows_mode(story: Story, mode: str, coach: str = "", leg: str = SUPERVISOR) -> Story:
    """Twilio shows the supervisor in a mode; who is coached only where `coach` says so."""
    event = "mute" if mode == "monitor" else "unmute"
    about = {"CallSidToCoach": story.sid_of(coach)} if mode == "coach" and coach else {}
    flags = {"Muted": str(mode == "monitor").lower(), "Coaching": str(mode == "coach").lower()}
    return story.conference(f"participant-{event}", leg, **{**flags, **about})


def supervised(mode: str = "monitor", policy: Policy | None = None, **data: Any) -> Story:
    """A supervisor is in a mode."""
    story = joins_muted(dialled(mode, policy, **data))
    if mode != "monitor":
        shown(story, mode)
    assert state_of(story) == STATE_OF[mode]
    assert story.outcome() == ("applied", None)
    return story


def supervision(story: Story, leg: str = SUPERVISOR) -> Supervision:
    """A supervision of the call."""
    return next(item for item in story.state.supervisions if item.supervisor == leg)


def state_of(story: Story, leg: str = SUPERVISOR) -> str:
    """Where a supervision is."""
    return supervision(story, leg).state.value


def switched(story: Story) -> UpdateParticipant:
    """The latest change of somebody's microphone that was asked for."""
    action = [action for action in story.asked(UpdateParticipant) if action.muted is not None][-1]
    assert isinstance(action, UpdateParticipant)
    return action


def with_second_agent(story: Story) -> Story:
    """Another agent joins the talk."""
    story.command("call.connect", to=OTHER).twilio_does(CreateParticipant)
    return story.progress("agent-2", "in-progress").joins("agent-2")


def told(story: Story, name: str) -> SupervisionEvent:
    """The data of the latest event of that name."""
    events = [effect.data for effect in story.effects if isinstance(effect, Emit) and effect.name == name]
    latest = events[-1]
    assert isinstance(latest, SupervisionEvent)
    return latest
