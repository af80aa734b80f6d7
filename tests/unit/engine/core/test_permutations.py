"""The same facts in any order, some of them twice, end in the same place: for every machine."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calling import AGENT, OTHER, Story, connected
from engine.core.effects import RequestAction
from recordings import SID, starting, told_by_twilio
from schemas.actions import CreateParticipant, CreateTask
from schemas.records import Inbox
from schemas.webhooks import Source
from supervising import dialled

Tell = Callable[[Story], Any]
QUEUE, TASK_SID = "queue:support", "WT" + "0" * 31 + "1"
THROWN_OUT = "conference_ended_via_api"


def _cold() -> Story:
    story = connected().command("call.transfer", mode="cold", targets=[OTHER])
    return story.shows("customer-1", "modify", EndConferenceOnExit=False)


def _cold_facts(story: Story) -> None:
    story.twilio_does(CreateParticipant).progress("target-1", "ringing").progress("target-1", "in-progress")
    story.joins("target-1").leaves("agent-1").progress("agent-1", "completed")


def _failed_facts(story: Story) -> None:
    story.progress("target-1", "initiated").progress("target-1", "ringing").progress("target-1", "busy")
    story.leaves("target-1", "participant_add_failed", "busy")


def _supervised_facts(story: Story) -> None:
    story.twilio_does(CreateParticipant).progress("supervisor-1", "ringing").progress("supervisor-1", "in-progress")
    story.shows("supervisor-1", "join", Muted=True)


def _recorded_facts(story: Story) -> None:
    told_by_twilio(told_by_twilio(story, "in-progress"), "completed", RecordingDuration="7")


def _lost_facts(story: Story) -> None:
    story.leaves("customer-1", THROWN_OUT, "in-progress").leaves("agent-1", THROWN_OUT, "completed")
    story.conference("conference-end", ReasonConferenceEnded="conference-ended-via-api")
    story.progress("agent-1", "completed")


def _searching() -> Story:
    story = Story(queues=True).inbound().joins("customer-1").command("call.connect", to=QUEUE)
    return story.twilio_does(CreateTask, task_sid=TASK_SID)


def _assigned_facts(story: Story) -> None:
    attributes = msgspec.json.encode({"call_id": story.call_id, "task": "task-1"}).decode()
    story.webhook(
        Source.ASSIGNMENT, TaskSid=TASK_SID, ReservationSid="WR1", TaskAttributes=attributes,
        WorkerAttributes=msgspec.json.encode({"contact_uri": AGENT}).decode(),
    )  # fmt: skip
    story.progress("agent-1", "ringing").progress("agent-1", "in-progress").joins("agent-1")


FLOWS: dict[str, tuple[Callable[[], Story], Callable[[Story], None], int]] = {
    "transfer": (_cold, _cold_facts, 0),
    "failed transfer": (_cold, _failed_facts, 0),
    "supervision": (dialled, _supervised_facts, 0),
    "recording": (starting, _recorded_facts, 0),
    "lost conference": (connected, _lost_facts, 0),
    "search for a worker": (_searching, _assigned_facts, 1),
}
"""What was before, the facts, and how many of the first keep their place: a leg has no facts before it is there."""


def place(story: Story) -> tuple[object, ...]:
    """Where everything is."""
    call = story.state
    return (
        call.state, call.room.generation, tuple((leg.leg, leg.role, leg.state) for leg in call.legs),
        call.transfer.state if call.transfer is not None else None,
        tuple(item.state for item in call.supervisions), call.recording.state, tuple(task.state for task in call.tasks),
    )  # fmt: skip


def again(begun: Callable[[], Story], facts: list[Inbox]) -> Story:
    """The same beginning, then these facts."""
    story = begun()
    for fact in facts:
        story.give(fact)
    return story


@pytest.mark.parametrize("name", FLOWS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_permutations_of_the_same_facts_end_in_the_same_place(name: str, data: st.DataObject) -> None:
    """Whatever overtakes what, and whatever comes twice; and nobody is dialled more often than in good order."""
    begun, tell, fixed = FLOWS[name]
    reference = begun()
    before = len(reference.records)
    tell(reference)
    facts = reference.records[before:]
    order = data.draw(st.permutations(range(fixed, len(facts))))
    repeated = data.draw(st.lists(st.integers(0, len(facts) - 1), max_size=4))

    story = again(begun, [facts[position] for position in (*range(fixed), *order, *repeated)])

    assert place(story) == place(reference)
    assert _dialled(story) == _dialled(reference)


def _dialled(story: Story) -> list[str]:
    actions = (effect.action for effect in story.effects if isinstance(effect, RequestAction))
    return sorted(action.leg or "" for action in actions if isinstance(action, CreateParticipant))


def test_records_are_told_as_what_they_are() -> None:
    """The reference is a history of its own: a recording ends as done, with its SID."""
    story = starting()
    _recorded_facts(story)

    assert (story.state.recording.state.value, story.state.recording.sid) == ("done", SID)
