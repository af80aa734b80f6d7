"""Lost conferences in the language of `calling`: the room is gone, and somebody comes into the next one, or cannot."""

from msgspec.structs import replace

from calling import Story, connected
from schemas.actions import RejoinRoom
from schemas.policy import Policy
from schemas.records import ActionOutcome
from schemas.state import PendingAction

BY_API = "conference-ended-via-api"
THROWN_OUT = "conference_ended_via_api"


def lost(policy: Policy | None = None) -> Story:
    """A talk whose conference somebody has ended by the API."""
    return connected(policy).room_ends(BY_API)


def back(story: Story, leg: str = "customer-1", room: int = 2) -> Story:
    """The leg comes into the fresh room."""
    story.in_room(room)
    return story.joins(leg)


def refused(story: Story, leg: str) -> Story:
    """Twilio cannot redirect the leg's call: it is over."""
    action = next(item.action for item in story.state.pending if getattr(item.action, "leg", "") == leg)
    assert isinstance(action, RejoinRoom)
    pending = [item for item in story.state.pending if item.action is not action]
    story.call = replace(story.state, pending=(PendingAction(action, story.at), *pending))
    return story.reports(RejoinRoom, ActionOutcome.FAILED, reason="wrong_state", status=400, code=21220)
