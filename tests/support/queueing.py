"""A caller in TaskRouter's own queue, told line by line: what TaskRouter says of the task, and of whom it dials."""

import json
from typing import Any, Self

import pytest

from calling import CALL_SID, CALLER, NUMBER, ROOM_SID, Story, sid
from schemas.policy import Policy
from schemas.task_states import TaskState
from schemas.webhooks import Source

TASK_SID, RESERVATION, WORKER = "WT" + "1" * 32, "WR1", sid(77)
QUEUED = Policy(route=("enqueue:sales",), max_wait="voicemail", wrap_up_s=0)
CARLA = "client:carla"


class Enqueued(Story):
    """A story in which TaskRouter speaks too. `foreign`: others have put the caller into the queue."""

    def __init__(self, policy: Policy = QUEUED, *, foreign: bool = False) -> None:
        super().__init__(policy, call_id=TASK_SID if foreign else CALL_SID, queues=True)
        self.foreign = foreign
        self._told = 0

    def attributes(self, conference: dict[str, Any] | None = None) -> str:
        """The task's attributes, with the conference once TaskRouter has told it."""
        ours = {} if self.foreign else {"call_id": CALL_SID, "queue": "sales"}
        told = {"conference": conference} if conference else {}
        return json.dumps({"call_sid": CALL_SID, "from": CALLER, "to": NUMBER, **ours, **told})

    def tells(self, event: str, **form: str) -> Self:
        """A TaskRouter event."""
        self._told += 1
        known = {"TaskAttributes": self.attributes(), "TaskQueueName": "sales", "ReservationSid": RESERVATION}
        return self.webhook(
            Source.TASK, **{**known, "EventType": event, "Sid": f"EV{self._told}", "TaskSid": TASK_SID, **form}
        )

    def reserves(self, reservation: str = RESERVATION) -> Self:
        """The assignment callback."""
        return self.webhook(
            Source.ASSIGNMENT, TaskSid=TASK_SID, ReservationSid=reservation, TaskQueueName="sales",
            WorkerAttributes=json.dumps({"contact_uri": CARLA}), TaskAttributes=self.attributes(),
        )  # fmt: skip

    def worker(self, status: str) -> Self:
        """Progress of the leg that TaskRouter dials, at the URL that our instruction named."""
        return self.webhook(Source.STATUS, action=RESERVATION, CallSid=WORKER, CallStatus=status)

    def comes_in(self, call_sid: str) -> Self:
        """Somebody without a label joins TaskRouter's conference."""
        return self.inside("participant-join", call_sid)

    def inside(self, event: str, call_sid: str, **form: str) -> Self:
        """An event of TaskRouter's conference."""
        return self.conference(event, CallSid=call_sid, **form)

    def accepted(self) -> Self:
        """Both are in, and TaskRouter has written down who they are."""
        people = {"worker": WORKER, "customer": CALL_SID}
        told = {"room_name": TASK_SID, "sid": ROOM_SID, "participants": people}
        return self.tells(
            "reservation.accepted", TaskAttributes=self.attributes(told),
            WorkerAttributes=json.dumps({"contact_uri": CARLA}),
        )  # fmt: skip

    def leaves_queue(self, result: str) -> Self:
        """The `<Enqueue action>` request."""
        return self.webhook(Source.ENQUEUE_ACTION, CallSid=CALL_SID, QueueResult=result)

    @property
    def task(self) -> TaskState:
        """Where the task is."""
        return self.state.tasks[0].state


def queueing(policy: Policy = QUEUED, *, foreign: bool = False) -> Enqueued:
    """A caller waits in TaskRouter's queue."""
    story = Enqueued(policy, foreign=foreign)
    if not foreign:
        story.inbound(answered="queue")
    return story.tells("task.created")


def talking(policy: Policy = QUEUED, *, foreign: bool = False) -> Enqueued:
    """Caller and worker talk."""
    story = queueing(policy, foreign=foreign).reserves().worker("ringing").worker("in-progress")
    story.comes_in(WORKER).comes_in(CALL_SID).conference("conference-start")
    return story.accepted()


either = pytest.mark.parametrize("foreign", [False, True], ids=["ours", "of others"])
