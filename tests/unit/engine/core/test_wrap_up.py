"""A call whose customer has gone, while a worker of TaskRouter has a task of it open (contracts.md 6, `wrap_up_s`)."""

import pytest

from calling import OTHER, Story
from schemas.actions import CreateParticipant, RemoveParticipant, UpdateTask
from schemas.policy import Policy
from schemas.state import CallState
from schemas.task_states import TaskState
from workers import served, state, tells

KEEPS = Policy(customer_left="keep_agents")
TASKS_BOUND_S, REAP_S = 300, 600


def alone(policy: Policy | None = None) -> Story:
    """The customer has hung up, and the room has ended with that."""
    return served(policy).leaves("customer-1").room_ends("participant-with-end-conference-on-exit-left")


def statuses(story: Story) -> list[str]:
    """What TaskRouter was asked to make of the task."""
    return [update.status for update in story.asked(UpdateTask)]


def test_an_open_task_keeps_a_call_without_wrap_up_time() -> None:
    """`wrap_up_s = 0` ends at once unless a task is open: the worker has not finished with this call."""
    story = alone()

    assert (story.now(), state(story)) == (CallState.WRAP_UP, TaskState.WRAPPING)
    assert statuses(story) == ["wrapping"]
    assert not story.state.pending or story.state.timers


def test_without_a_task_such_a_call_ends_at_once() -> None:
    """An agent who was dialled has nothing to write up."""
    story = Story().inbound().joins("customer-1").command("call.connect", to=OTHER).twilio_does(CreateParticipant)

    story.joins("agent-1").leaves("customer-1")

    assert story.now() is CallState.ENDED


@pytest.mark.parametrize("event", ["task.completed", "reservation.completed", "task.canceled", "task.deleted"])
@pytest.mark.parametrize("wrap_up_s", [0, 20])
def test_the_call_ends_when_the_worker_has_finished(event: str, wrap_up_s: int) -> None:
    """TaskRouter says so, and nothing is asked of it again."""
    story = tells(alone(Policy(wrap_up_s=wrap_up_s)).leaves("agent-1"), event, ReservationSid="WR1")

    assert story.now() is CallState.ENDED
    assert statuses(story) == ["wrapping"]
    assert not [name for name in story.state.timers if name != "forget"]


def test_a_task_that_nobody_finishes_is_completed_in_the_end() -> None:
    """Five minutes are the bound where the policy has none: no worker is busy for ever."""
    story = alone().after(TASKS_BOUND_S + 1)

    assert (story.now(), state(story)) == (CallState.ENDED, TaskState.COMPLETED)
    assert statuses(story) == ["wrapping", "completed"]


def test_the_policys_time_is_the_bound_where_it_has_one() -> None:
    """The worker stays in the room for it, unless they leave."""
    story = served(Policy(wrap_up_s=20)).leaves("customer-1").leaves("agent-1")
    assert (story.now(), state(story)) == (CallState.WRAP_UP, TaskState.WRAPPING)

    story.after(21)

    assert (story.now(), state(story)) == (CallState.ENDED, TaskState.COMPLETED)


@pytest.mark.parametrize("first", ["customer-1", "agent-1"])
def test_who_hangs_up_first_makes_no_difference(first: str) -> None:
    """Both leave at once; the callbacks come in any order."""
    second = {"customer-1": "agent-1", "agent-1": "customer-1"}[first]

    story = served().leaves(first).leaves(second).room_ends()

    assert (story.now(), state(story), statuses(story)) == (CallState.WRAP_UP, TaskState.WRAPPING, ["wrapping"])


def test_the_worker_is_taken_out_of_the_room_unless_the_policy_keeps_agents() -> None:
    """The work goes on outside the room."""
    assert [removed.leg for removed in served().leaves("customer-1").asked(RemoveParticipant)] == ["agent-1"]

    kept = served(KEEPS).leaves("customer-1")
    assert not kept.asked(RemoveParticipant)

    kept.leaves("agent-1").room_ends()
    assert kept.now() is CallState.WRAP_UP
    assert kept.after(TASKS_BOUND_S + 1).now() is CallState.ENDED


def test_the_end_is_forced_by_command() -> None:
    """Nobody is left to be hung up: the call ends at once, and the worker keeps the time for the task."""
    story = alone().leaves("agent-1").command("call.end")

    assert (story.outcome(), story.now(), state(story)) == (
        ("applied", None), CallState.ENDED, TaskState.WRAPPING,
    )  # fmt: skip
    assert "task.task-1" in story.state.timers


def test_the_reaper_leaves_a_worker_alone() -> None:
    """A call with nobody in it is no lost one while a task is open; the policy may allow more time than it does."""
    story = alone(Policy(wrap_up_s=900, customer_left="keep_agents")).leaves("agent-1").after(REAP_S + 1)
    assert story.now() is CallState.WRAP_UP
    assert "reap" in story.state.timers

    assert story.after(900).now() is CallState.ENDED


def test_last_words_are_followed_by_the_write_up() -> None:
    """Two agents whose customer has gone may finish, then the worker writes it up."""
    story = served().command("call.transfer", mode="warm", targets=[OTHER])
    story.shows("customer-1", "modify", EndConferenceOnExit=False).shows("customer-1", "hold", Hold=True)
    story.twilio_does(CreateParticipant).joins("target-1").leaves("customer-1").after(31)

    assert story.now() is CallState.WRAP_UP
    assert {removed.leg for removed in story.asked(RemoveParticipant)} >= {"agent-1", "target-1"}

    story.leaves("target-1").leaves("agent-1").room_ends()
    assert (story.now(), state(story)) == (CallState.WRAP_UP, TaskState.WRAPPING)
    assert tells(story, "task.completed").now() is CallState.ENDED


@pytest.mark.parametrize("first", ["customer-1", "agent-1"])
def test_the_end_by_command_leaves_the_worker_time_for_the_task(first: str) -> None:
    """The call ends at once, whoever is told to have left first; the task is completed later, by its own timer."""
    second = {"customer-1": "agent-1", "agent-1": "customer-1"}[first]
    story = served().command("call.end").leaves(first).leaves(second).room_ends()
    assert (story.now(), state(story), statuses(story)) == (CallState.ENDED, TaskState.WRAPPING, ["wrapping"])

    assert statuses(story.after(TASKS_BOUND_S + 1)) == ["wrapping", "completed"]


def test_who_stays_in_the_room_for_the_policys_time_gets_it_once() -> None:
    """The timer that ends the call completes the task too."""
    story = served(Policy(wrap_up_s=20)).leaves("customer-1").after(21)

    assert (story.now(), statuses(story)) == (CallState.ENDED, ["completed"])
