"""Workers from a queue: room first, one task a search, one leg a reservation (twilio-facts.md section 5)."""

import json
from typing import Any

import pytest

from calling import CALL_SID, OTHER, ROOM_SID, Story, connected, sid
from schemas.actions import (
    AnnotateTask,
    CreateCall,
    CreateParticipant,
    CreateTask,
    HangUp,
    UpdateReservation,
    UpdateTask,
)
from schemas.policy import Policy
from schemas.prompts import Prompt
from schemas.records import ActionOutcome
from schemas.state import CallState, Role, TransferState
from schemas.task_states import TaskState
from schemas.webhooks import Source
from workers import QUEUE, TASK_SID, reserves, searching, served, state, tells, waiting


def test_a_queue_is_asked_for_a_worker() -> None:
    """The task carries the queue, the call and the caller's CallSid."""
    story = waiting().command("call.connect", to=QUEUE)

    [task] = story.asked(CreateTask)
    assert (task.queue, task.call_id, task.call_sid, task.task) == ("sales", CALL_SID, sid(1), "task-1")
    assert not story.asked(CreateParticipant)


def test_the_reserved_worker_is_joined_into_the_room_and_the_reservation_accepted() -> None:
    """Room first: we dial, and accept when the worker is in."""
    story = reserves(searching(), "WR1", "client:carla")
    assert story.asked(CreateParticipant)[-1].to == "client:carla"

    story.twilio_does(CreateParticipant).joins("agent-1")

    assert story.outcome() == ("applied", None)
    assert [(answer.reservation_sid, answer.status) for answer in story.asked(UpdateReservation)] == [
        ("WR1", "accepted")
    ]
    assert story.now() is CallState.IN_CONFERENCE


def test_a_worker_is_dialled_as_the_command_says() -> None:
    """The whisper is heard by the worker alone, before the room; time-out and caller id are the command's too."""
    story = waiting().command(
        "call.connect", to=QUEUE, whisper={"say": "Sales"}, ring_timeout_s=7, from_="phone:+15550100042"
    )
    reserves(story.twilio_does(CreateTask, task_sid=TASK_SID), "WR1", "client:carla")

    dialled = story.asked(CreateCall)[-1]
    assert (dialled.whisper, dialled.timeout_s, dialled.from_) == (Prompt(say="Sales"), 7, "+15550100042")


def test_the_policys_whisper_goes_to_a_worker_on_the_route_too() -> None:
    """Whoever the policy finds hears it."""
    story = Story(Policy(route=(QUEUE,), whisper="Sales"), queues=True).inbound().joins("customer-1")
    reserves(story.twilio_does(CreateTask, task_sid=TASK_SID), "WR1", "client:carla")

    assert story.asked(CreateCall)[-1].whisper == Prompt(say="Sales")


def test_a_worker_who_does_not_answer_costs_the_reservation_not_the_search() -> None:
    """Rejected, so that TaskRouter finds another; the command goes on waiting."""
    story = reserves(searching(), "WR1", "client:carla").twilio_does(CreateParticipant).progress("agent-1", "no-answer")
    assert story.asked(UpdateReservation)[-1].status == "rejected"
    assert state(story) is TaskState.PENDING

    reserves(story, "WR2", "client:dora").twilio_does(CreateParticipant).joins("agent-2")

    assert story.outcome() == ("applied", None)


@pytest.mark.parametrize("event", ["timeout", "rescinded", "canceled", "rejected"])
def test_a_reservation_that_taskrouter_takes_back_stops_the_ringing(event: str) -> None:
    """The worker's phone does not ring on for nothing."""
    story = reserves(searching(), "WR1", "client:carla").twilio_does(CreateParticipant).progress("agent-1", "ringing")

    tells(story, f"reservation.{event}", ReservationSid="WR1")

    assert story.asked(HangUp)[-1].leg == "agent-1"
    assert state(story) is TaskState.PENDING


def test_the_reservation_may_come_before_the_answer_of_the_create() -> None:
    """Callbacks overtake REST answers."""
    story = reserves(waiting().command("call.connect", to=QUEUE), "WR1", "client:carla")

    story.twilio_does(CreateTask, task_sid=TASK_SID)

    assert state(story) is TaskState.RESERVED


def test_a_task_that_cannot_be_made_fails_the_command() -> None:
    """Twilio's refusal is the answer."""
    story = waiting().command("call.connect", to=QUEUE)
    story.reports(CreateTask, ActionOutcome.FAILED, reason="invalid", status=400)

    assert story.outcome() == ("failed", "invalid")


def test_a_task_that_taskrouter_cancels_fails_the_command() -> None:
    """Nobody was found."""
    story = tells(searching(), "task.canceled")

    assert story.outcome() == ("failed", "task_canceled")


def test_a_search_has_a_limit() -> None:
    """Five minutes without a worker: the task is canceled, and that is said."""
    story = searching().after(301)

    assert story.asked(UpdateTask)[-1].status == "canceled"


def test_the_caller_hangs_up_while_a_worker_is_looked_for() -> None:
    """The task is canceled, nobody is reserved for a caller who has gone."""
    story = searching().leaves("customer-1")

    assert story.asked(UpdateTask)[-1].status == "canceled"
    assert story.outcome()[0] == "failed"


def test_the_task_is_wrapped_up_when_the_worker_has_left() -> None:
    """The worker says when it is done, in TaskRouter; after five minutes their time is theirs again all the same."""
    story = reserves(searching(), "WR1", "client:carla").twilio_does(CreateParticipant).joins("agent-1")

    story.leaves("agent-1")
    assert story.asked(UpdateTask)[-1].status == "wrapping"

    story.after(301)
    assert story.asked(UpdateTask)[-1].status == "completed"


def test_a_number_may_be_routed_to_a_queue() -> None:
    """The policy's route is a queue."""
    story = Story(Policy(route=(QUEUE,)), queues=True).inbound().joins("customer-1")

    assert story.asked(CreateTask)


@pytest.mark.parametrize("mode", ["cold", "warm"])
def test_a_transfer_to_a_queue(mode: str) -> None:
    """A new task; its worker becomes the target; success when customer and worker are together."""
    story = connected(queues=True).command("call.transfer", mode=mode, targets=[QUEUE])
    story.shows("customer-1", "modify", EndConferenceOnExit=False)
    if mode == "warm":
        story.shows("customer-1", "hold", Hold=True)
    story.twilio_does(CreateTask, task_sid=TASK_SID)
    reserves(story, "WR1", "client:carla").twilio_does(CreateParticipant).joins("target-1")
    if mode == "warm":
        story.command("transfer.complete").shows("customer-1", "unhold", Hold=False)

    story.leaves("agent-1")

    assert story.state.transfer is not None
    assert story.state.transfer.state is TransferState.COMPLETED
    assert story.leg("target-1").role is Role.AGENT


def test_a_transfer_to_a_queue_that_finds_nobody_gives_the_customer_back() -> None:
    """The search is an attempt like any other."""
    story = connected(queues=True).command("call.transfer", mode="cold", targets=[QUEUE])
    story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateTask, task_sid=TASK_SID)

    tells(story, "task.canceled")

    assert story.outcome() == ("failed", "failed")
    assert story.now() is CallState.IN_CONFERENCE


def test_a_cancelled_transfer_cancels_its_search() -> None:
    """Nobody is reserved for a transfer that is off."""
    story = connected(queues=True).command("call.transfer", mode="cold", targets=[QUEUE])
    story.shows("customer-1", "modify", EndConferenceOnExit=False).twilio_does(CreateTask, task_sid=TASK_SID)

    story.command("transfer.cancel")

    assert story.asked(UpdateTask)[-1].status == "canceled"
    assert {result.outcome for result in story.results()[1:]} == {"applied", "failed"}


@pytest.mark.parametrize(
    "attributes", ["{}", "not json", '{"contact_uri": "mailto:x"}', '{"contact_uri": "queue:sales"}']
)
def test_a_worker_without_an_address_is_rejected(attributes: str) -> None:
    """Nobody is dialled on a guess."""
    story: Any = searching().webhook(
        Source.ASSIGNMENT, TaskSid=TASK_SID, ReservationSid="WR1", WorkerAttributes=attributes,
        TaskAttributes=json.dumps({"call_id": CALL_SID, "task": "task-1"}),
    )  # fmt: skip

    assert story.asked(UpdateReservation)[-1].status == "rejected"
    assert not story.asked(CreateParticipant)


def test_the_task_says_where_the_conference_is() -> None:
    """In the words of TaskRouter's own instruction, so that whoever reads tasks finds the conference in both ways."""
    [told] = served().asked(AnnotateTask)

    assert told.conference is not None
    assert (told.task_sid, told.conference.room_name, told.conference.sid) == (TASK_SID, f"room-{CALL_SID}", ROOM_SID)
    assert (told.conference.customer, told.conference.worker) == (CALL_SID, sid(2))


def test_a_worker_who_leaves_a_call_that_goes_on_has_time_to_write_it_up() -> None:
    """A transfer wraps up the original task, for as long as the policy says, even past the end of the call."""
    story = served(Policy(wrap_up_s=20)).command("call.transfer", mode="cold", targets=[OTHER])
    story.shows("customer-1", "modify", EndConferenceOnExit=False)
    story.twilio_does(CreateParticipant).joins("target-1").leaves("agent-1")
    assert story.outcome() == ("applied", None)
    assert (state(story), story.asked(UpdateTask)[-1].status) == (TaskState.WRAPPING, "wrapping")

    story.command("call.end").room_ends().after(21)

    assert story.now() is CallState.ENDED
    assert (state(story), story.asked(UpdateTask)[-1].status) == (TaskState.COMPLETED, "completed")


@pytest.mark.parametrize(
    ("event", "becomes"),
    [
        ("task.wrapup", TaskState.WRAPPING), ("reservation.wrapup", TaskState.WRAPPING),
        ("task.completed", TaskState.COMPLETED), ("reservation.completed", TaskState.COMPLETED),
        ("task.deleted", TaskState.CANCELED), ("task.canceled", TaskState.CANCELED),
        ("reservation.accepted", TaskState.ASSIGNED), ("reservation.timeout", TaskState.ASSIGNED),
    ],
)  # fmt: skip
def test_what_taskrouter_does_to_a_task_in_a_talk_is_a_fact(event: str, becomes: TaskState) -> None:
    """The talk goes on, and nothing is asked that is done already."""
    story = tells(served(Policy(wrap_up_s=20)), event, ReservationSid="WR1")

    assert (state(story), story.now()) == (becomes, CallState.IN_CONFERENCE)
    assert not story.asked(UpdateTask)


def test_an_event_about_another_reservation_changes_nothing() -> None:
    """The worker of the present one goes on ringing."""
    story = reserves(searching(), "WR2", "client:carla").twilio_does(CreateParticipant)

    tells(story, "reservation.timeout", ReservationSid="WR1")

    assert state(story) is TaskState.RESERVED
    assert story.ignored()[-1] == "noted"


def test_a_task_may_be_canceled_before_the_answer_of_its_create() -> None:
    """Its name among the attributes says whose event it is."""
    story = tells(waiting().command("call.connect", to=QUEUE), "task.canceled")

    assert story.outcome() == ("failed", "task_canceled")
