"""Callers in TaskRouter's own queue who reach nobody, reservations that come to nothing, and the end of the work."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from calling import ACCOUNT, CALL_SID, CALLER, NUMBER, OTHER
from queueing import WORKER, Enqueued, either, queueing, talking
from schemas.actions import CreateParticipant, CreateTask, HangUp, RedirectCall, UpdateReservation, UpdateTask
from schemas.policy import Policy
from schemas.state import CallState, LegState
from schemas.task_states import TaskState

# -- reservations that come to nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["rejected", "timeout", "rescinded", "canceled"])
@pytest.mark.parametrize("rung", [True, False])
def test_a_reservation_that_is_lost_leaves_the_caller_in_the_queue(event: str, rung: bool) -> None:
    """TaskRouter looks for another worker; the first one's leg is over."""
    story = queueing().reserves()
    if rung:
        story.worker("ringing")

    story.tells(f"reservation.{event}")

    assert (story.now(), story.task) == (CallState.WAITING, TaskState.PENDING)
    assert story.leg("agent-1").state is (LegState.LEAVING if rung else LegState.FAILED)
    assert bool(story.asked(HangUp)) is rung
    assert story.reserves("WR2").task is TaskState.RESERVED


def test_a_worker_who_does_not_answer_leaves_the_caller_in_the_queue() -> None:
    """TaskRouter takes the reservation back by itself: we say nothing to it."""
    story = queueing().reserves().worker("ringing").worker("no-answer").tells("reservation.rejected")

    assert (story.now(), story.task) == (CallState.WAITING, TaskState.PENDING)
    assert story.leg("agent-1").reason == "no_answer"
    assert not story.asked(UpdateReservation)


def test_a_worker_who_hangs_up_before_the_caller_comes() -> None:
    """The reservation is TaskRouter's to give back; the search goes on."""
    story = queueing().reserves().worker("in-progress").comes_in(WORKER)

    story.inside("participant-leave", WORKER)

    assert (story.now(), story.task) == (CallState.WAITING, TaskState.PENDING)
    assert not story.asked(UpdateTask)


def test_a_caller_of_others_who_is_left_alone_does_not_wait_for_ever() -> None:
    """In TaskRouter's room the caller is ours to serve, and to send away."""
    story = queueing(Policy(max_wait_s=60), foreign=True).comes_in(WORKER).inside("participant-leave", WORKER)
    story.accepted().comes_in(CALL_SID)

    assert story.after(61).asked(RedirectCall)


class ToBeDialled(Enqueued):
    """A task whose customer TaskRouter dials once it has a worker."""

    def attributes(self, conference: dict[str, Any] | None = None) -> str:  # noqa: ARG002 - nobody is in it
        """Whom to dial."""
        return json.dumps({"outbound_to": CALLER, "from": NUMBER})


def test_a_task_without_a_leg_is_no_call_that_is_over() -> None:
    """The customer is dialled when a worker is found: neither time nor a worker who does not answer ends the call."""
    story = ToBeDialled(foreign=True).tells("task.created").after(700)
    assert (story.now(), story.task) == (CallState.WAITING, TaskState.PENDING)

    story.reserves().worker("ringing").worker("no-answer")

    assert (story.now(), story.task) == (CallState.WAITING, TaskState.PENDING)
    assert "call.reaped" not in story.events()


def test_a_task_without_a_leg_ends_its_call() -> None:
    """By TaskRouter's word, or, should that be lost, a day later."""
    assert ToBeDialled(foreign=True).tells("task.created").tells("task.canceled").now() is CallState.ENDED

    story = ToBeDialled(foreign=True).tells("task.created").after(86_400 + 600)
    assert story.now() is CallState.ENDED
    assert "call.reaped" in story.events()


@pytest.mark.parametrize("told_first", [True, False])
def test_a_worker_who_has_gone_before_we_know_that_the_two_had_met(told_first: bool) -> None:
    """The leave overtakes the caller's join and TaskRouter's word: the task is completed, another worker looked for."""
    story = queueing().reserves().worker("in-progress").comes_in(WORKER).inside("participant-leave", WORKER)
    if told_first:
        story.accepted().comes_in(CALL_SID)
    else:
        story.comes_in(CALL_SID).accepted()

    assert (story.now(), story.task) == (CallState.WAITING, TaskState.COMPLETED)
    assert story.asked(UpdateTask)[-1].status == "completed"
    assert [task.queue for task in story.asked(CreateTask)] == ["sales"]


# -- callers who do not reach anybody ---------------------------------------------------------------------------------


def test_the_caller_hangs_up_in_the_queue() -> None:
    """Abandoned, and no worker's phone rings on."""
    story = queueing().reserves().worker("ringing").tells("task.canceled", TaskCanceledReason="hangup")
    story.leaves_queue("hangup")

    assert (story.now(), story.state.reason) == (CallState.ENDED, "abandoned")
    assert "call.abandoned" in story.events()
    assert story.asked(HangUp)[-1].leg == "agent-1"
    assert not story.asked(RedirectCall)


@pytest.mark.parametrize("reason", ["hangup", "Workflow TTL Exceeded", "redirected"])
def test_a_canceled_task_of_others_is_the_end_of_the_call_for_us(reason: str) -> None:
    """The caller is not ours: nobody is hung up, nobody redirected."""
    story = queueing(foreign=True).tells("task.canceled", TaskCanceledReason=reason)

    assert story.now() is CallState.ENDED
    assert story.asked() == []


@pytest.mark.parametrize("left", [True, False])
def test_nobody_is_found_and_the_policy_says_what_then(left: bool) -> None:
    """The workflow's limit, or our own: the caller is led out of the queue."""
    story = queueing()
    if left:
        story.tells("task.canceled", TaskCanceledReason="Workflow TTL Exceeded")
    else:
        story.after(301)
    [redirect] = story.asked(RedirectCall)
    assert (redirect.call_sid, redirect.voicemail) == (CALL_SID, True)

    story.leaves_queue("redirected")

    assert (story.now(), story.state.reason) == (CallState.ENDED, "max_wait")
    assert "call.abandoned" not in story.events()


def test_others_set_the_limits_of_their_queue() -> None:
    """No timer of ours takes a caller out of it."""
    assert not queueing(foreign=True).after(900).asked(RedirectCall)


@pytest.mark.parametrize("result", ["error", "system-error", "queue-full", "leave"])
def test_a_queue_that_gives_the_caller_back(result: str) -> None:
    """The caller comes into our own room, and a worker is looked for by a task of ours."""
    story = queueing().leaves_queue(result)
    assert (story.now(), story.task) == (CallState.RINGING, TaskState.FAILED)

    story.joins("customer-1")

    assert story.now() is CallState.WAITING
    assert story.state.room.name == f"room-{CALL_SID}"
    assert [task.queue for task in story.asked(CreateTask)] == ["sales"]


def test_a_caller_who_is_being_moved_has_not_left() -> None:
    """`redirected` is TaskRouter's own deed unless we have asked for it."""
    story = queueing().reserves().leaves_queue("redirected")

    assert story.now() is CallState.WAITING


def test_the_call_is_ended_by_command_while_it_waits() -> None:
    """The caller is hung up, and Twilio cancels the task."""
    story = queueing().command("call.end")
    assert story.asked(HangUp)[-1].leg == "customer-1"

    story.leaves_queue("hangup")

    assert story.outcome() == ("applied", None)
    assert not story.asked(UpdateTask)


@pytest.mark.parametrize("event", ["reservation.accepted", "task.wrapup"])
def test_taskrouter_was_faster_than_the_end(event: str) -> None:
    """It had brought the two together: the task is completed, or it would be left open for ever."""
    story = queueing().reserves().command("call.end").leaves_queue("redirected")
    assert story.now() is CallState.ENDED

    story.tells(event)

    assert [update.status for update in story.asked(UpdateTask)] == ["completed"]


@either
def test_nobody_is_looked_for_any_more_when_the_caller_has_gone(foreign: bool) -> None:
    """They hung up on the way from the queue to the worker: Twilio does not cancel the task then, we do."""
    story = queueing(foreign=foreign).reserves().worker("in-progress").inside("participant-join", WORKER)
    story.progress("customer-1", "completed").leaves_queue("bridged")
    assert (story.now(), story.task) == (CallState.ENDED, TaskState.CANCELED)
    assert not story.asked(UpdateTask)

    story.reserves("WR2")

    assert [update.status for update in story.asked(UpdateTask)] == ["canceled"]
    assert story.task is TaskState.CANCELED


def test_nobody_is_brought_to_a_caller_in_the_queue() -> None:
    """An agent would sit alone in the room."""
    story = queueing().command("call.connect", to=OTHER)

    assert story.outcome() == ("rejected", "caller_in_queue")
    assert not story.asked(CreateParticipant)


@pytest.mark.parametrize("event", ["task.canceled", "task.completed", "task.deleted", "task.wrapup"])
def test_the_last_news_of_a_task_that_nobody_knows_begins_no_call(event: str) -> None:
    """Tasks of before the start, and long ended ones."""
    story = Enqueued(foreign=True)

    story.tells(event)

    assert (story.call, story.ignored()) == (None, ["unknown_task"])


# -- the end of the work ----------------------------------------------------------------------------------------------


def test_the_worker_writes_up_for_as_long_as_the_policy_says() -> None:
    """Wrapped, then completed, even when the call has ended meanwhile."""
    story = talking(Policy(route=("enqueue:sales",), wrap_up_s=20, orphan=("announce_end",), orphan_grace_s=1))
    story.inside("participant-leave", WORKER)
    assert (story.task, story.asked(UpdateTask)[-1].status) == (TaskState.WRAPPING, "wrapping")
    story.tells("task.wrapup")

    story.inside("participant-leave", CALL_SID).after(21)

    assert story.now() is CallState.ENDED
    assert (story.task, story.asked(UpdateTask)[-1].status) == (TaskState.COMPLETED, "completed")


def test_taskrouter_may_wrap_up_and_complete_by_itself() -> None:
    """What it has done we do not ask for."""
    story = talking(Policy(route=("enqueue:sales",), wrap_up_s=20)).tells("task.wrapup").tells("task.completed")

    assert story.task is TaskState.COMPLETED
    assert {"task.wrapping", "task.completed"} <= set(story.events())
    assert not story.asked(UpdateTask)


@pytest.mark.parametrize("event", ["reservation.wrapup", "task.wrapup"])
def test_a_meeting_that_nobody_told_us_of_is_completed_after_it(event: str) -> None:
    """All callbacks of the talk were lost: that it is being written up says that there was one."""
    story = queueing().reserves().tells(event)
    assert story.task is TaskState.WRAPPING

    story.after(301)

    assert (story.task, story.asked(UpdateTask)[-1].status) == (TaskState.COMPLETED, "completed")


def test_a_task_deleted_under_a_talk_does_not_end_it() -> None:
    """The people go on; nothing is left to complete."""
    story = talking().tells("task.deleted").inside("participant-leave", WORKER)

    assert story.task is TaskState.CANCELED
    assert not story.asked(UpdateTask)


# -- every pair -------------------------------------------------------------------------------------------------------

EVENTS = (
    "task.created", "task.updated", "task.canceled", "task.deleted", "task.wrapup", "task.completed",
    "reservation.created", "reservation.accepted", "reservation.rejected", "reservation.timeout",
    "reservation.rescinded", "reservation.canceled", "reservation.wrapup", "reservation.completed",
)  # fmt: skip


@pytest.mark.parametrize("fact", [*EVENTS, "assignment", "queue hangup", "queue error", "worker fails", "call ends"])
@pytest.mark.parametrize("state", TaskState)
@either
def test_every_fact_in_every_state_of_a_task(state: TaskState, fact: str, foreign: bool) -> None:
    """Never an exception, never silence, and what is over stays over; a task that we gave up may yet be completed."""
    story = talking(foreign=foreign) if state in {"assigned", "wrapping"} else queueing(foreign=foreign).reserves()
    call = story.state
    story.call = replace(call, tasks=(replace(call.tasks[0], state=state),))

    if fact == "assignment":
        story.reserves("WR9")
    elif fact.startswith("queue"):
        story.leaves_queue(fact.removeprefix("queue "))
    elif fact == "worker fails":
        story.worker("failed")
    elif fact == "call ends":
        story.inside("participant-leave", CALL_SID)
    else:
        story.tells(fact)

    assert story.state.version == call.version + 1
    assert story.latest
    if state in {"completed", "canceled", "failed"}:
        completed = state == "canceled" and fact in {"reservation.accepted", "reservation.wrapup", "task.wrapup"}
        assert story.task is (TaskState.COMPLETED if completed else state)
    assert story.state.account_sid == ACCOUNT
