"""Callers in TaskRouter's own queue: its conference, named after the task, becomes a call like any other."""

import json
from collections.abc import Callable

import pytest

from calling import CALL_SID, CALLER, NUMBER, OTHER, ROOM_SID, sid
from queueing import CARLA, TASK_SID, WORKER, Enqueued, either, queueing, talking
from schemas.actions import (
    AnnotateTask,
    CreateCall,
    CreateParticipant,
    CreateTask,
    LookUp,
    UpdateParticipant,
    UpdateReservation,
    UpdateTask,
)
from schemas.policy import Policy
from schemas.records import CallSeen, ParticipantSeen
from schemas.state import CallState, LegState, Role, TransferState
from schemas.task_states import TaskState


@either
def test_the_caller_waits_in_the_queue(foreign: bool) -> None:
    """Known from the begin, in no room of ours, and nobody is dialled."""
    story = queueing(foreign=foreign)

    assert story.now() is CallState.WAITING
    assert (story.leg("customer-1").call_sid, story.state.room.name) == (CALL_SID, TASK_SID)
    assert story.asked() == []
    assert {"call.created", "call.waiting", "task.pending"} <= set(story.events())


@either
def test_worker_and_caller_become_a_call(foreign: bool) -> None:
    """TaskRouter dials and accepts; we ask it for nothing but what the task is to say."""
    story = talking(foreign=foreign)

    assert story.now() is CallState.IN_CONFERENCE
    assert (story.leg("agent-1").call_sid, story.leg("agent-1").target) == (WORKER, CARLA)
    assert (story.task, story.state.room.sid) == (TaskState.ASSIGNED, ROOM_SID)
    assert not story.asked(CreateParticipant)
    assert not story.asked(UpdateReservation)
    assert not story.asked(CreateTask)


def test_a_task_of_others_is_told_its_call() -> None:
    """So that a worker's desktop finds it. A task of ours carries it from the begin."""
    [annotation] = talking(foreign=True).asked(AnnotateTask)

    assert (annotation.task_sid, annotation.call_id, annotation.conference) == (TASK_SID, TASK_SID, None)
    assert not talking().asked(AnnotateTask)


@either
def test_the_sids_may_be_all_that_is_told(foreign: bool) -> None:
    """No assignment and no conference event of ours: who is there stands in the attributes, and a look confirms it."""
    story = queueing(foreign=foreign).accepted()
    [look] = story.asked(LookUp)
    assert (look.conference_sid, look.room) == (ROOM_SID, TASK_SID)

    story.looks(
        conference_sid=ROOM_SID, conference_status="in-progress",
        participants=(ParticipantSeen(CALL_SID, status="connected"), ParticipantSeen(WORKER, status="connected")),
        calls=(CallSeen(CALL_SID, "in-progress"), CallSeen(WORKER, "in-progress")),
    )  # fmt: skip

    assert story.now() is CallState.IN_CONFERENCE
    assert story.leg("agent-1").target == CARLA


@either
def test_joins_without_an_assignment_of_ours(foreign: bool) -> None:
    """Others answer the assignment: who comes in beside the caller is the worker."""
    story = queueing(foreign=foreign).comes_in(WORKER).comes_in(CALL_SID)

    assert story.now() is CallState.IN_CONFERENCE
    assert story.leg("agent-1").role is Role.AGENT
    assert story.accepted().leg("agent-1").target == CARLA
    assert story.task is TaskState.ASSIGNED


def test_a_whispered_leg_is_led_into_taskrouters_room() -> None:
    """It comes by way of our TwiML, which knows no other room than the call's own."""
    story = talking(Policy(route=("enqueue:sales",), whisper="Hello"))
    story.command("call.connect", to=OTHER)

    assert story.asked(CreateCall)[-1].room == TASK_SID


def test_a_third_person_is_a_third_party() -> None:
    """Only the worker is expected."""
    assert talking().comes_in(sid(88)).leg("third-1").role is Role.THIRD


@pytest.mark.parametrize("first", ["accepted", "caller", "worker"])
def test_the_order_of_the_news_does_not_matter(first: str) -> None:
    """Callbacks overtake one another."""
    story = queueing().reserves()
    steps: dict[str, Callable[[], Enqueued]] = {"accepted": story.accepted, "caller": lambda: story.comes_in(CALL_SID),
             "worker": lambda: story.comes_in(WORKER)}  # fmt: skip
    for step in (steps.pop(first), *steps.values()):
        step()

    assert story.now() is CallState.IN_CONFERENCE
    assert [(leg.leg, leg.state) for leg in story.state.legs] == [
        ("customer-1", LegState.JOINED), ("agent-1", LegState.JOINED),
    ]  # fmt: skip
    assert story.task is TaskState.ASSIGNED


def test_an_outbound_task_has_its_customer_from_the_attributes() -> None:
    """`outbound_to`: nobody is guessed at; the attributes say who is who."""
    attributes = {"outbound_to": CALLER, "from": NUMBER}
    story = Enqueued(Policy(), foreign=True).tells("task.created", TaskAttributes=json.dumps(attributes))
    story.comes_in(WORKER).comes_in(CALL_SID)
    assert story.now() is CallState.WAITING

    story.accepted()

    assert story.now() is CallState.IN_CONFERENCE
    assert {leg.role: leg.call_sid for leg in story.state.legs} == {Role.AGENT: WORKER, Role.CUSTOMER: CALL_SID}


@either
def test_a_transfer_looks_at_the_switches_that_such_a_conference_does_not_tell(foreign: bool) -> None:
    """No `participant-modify` comes: what Twilio has said yes to is looked at, and then the target is dialled."""
    story = looks_after(talking(foreign=foreign), end_on_exit=True)
    assert story.leg("customer-1").observed.end_on_exit
    story.command("call.transfer", mode="cold", targets=[OTHER])
    assert not story.asked(CreateParticipant)

    looks_after(story, end_on_exit=False).twilio_does(CreateParticipant).joins("target-1")
    story.inside("participant-leave", WORKER, ReasonParticipantLeft="participant_removed_via_api")

    assert story.outcome() == ("applied", None)
    assert story.state.transfer is not None
    assert story.state.transfer.state is TransferState.COMPLETED
    assert story.asked(UpdateTask)[-1].status == "wrapping"


def looks_after(story: Enqueued, *, end_on_exit: bool) -> Enqueued:
    """Twilio says yes to what was asked of the customer's leg, and the look that follows shows it."""
    customer = ParticipantSeen(CALL_SID, status="connected", end_on_exit=end_on_exit)
    there = (customer, ParticipantSeen(WORKER, status="connected"))
    story.after(0.1).twilio_does(UpdateParticipant)
    return story.looks(conference_sid=ROOM_SID, conference_status="in-progress", participants=there)


def test_a_transfer_to_a_queue_names_the_task_and_the_conference_it_comes_from() -> None:
    """As the workflow of a contact centre wants it (twilio-facts.md 5.3)."""
    story = talking()
    story.shows("customer-1", "modify", EndConferenceOnExit=True)
    story.command("call.transfer", mode="cold", targets=["queue:billing"])
    story.shows("customer-1", "modify", EndConferenceOnExit=False)

    [task] = story.asked(CreateTask)
    assert (task.queue, task.original_task, task.conference_sid) == ("billing", TASK_SID, ROOM_SID)
