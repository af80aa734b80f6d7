"""Workers from a queue, room first, in the language of `calling`: what TaskRouter says of a call's first task."""

import json

from calling import ACCOUNT, CALL_SID, Story
from schemas.actions import CreateParticipant, CreateTask
from schemas.policy import Policy
from schemas.task_states import TaskState
from schemas.webhooks import Source

TASK_SID, QUEUE = "WT" + "1" * 32, "queue:sales"


def waiting() -> Story:
    """A caller in the room of a centre with queues."""
    return Story(queues=True).inbound().joins("customer-1")


def searching() -> Story:
    """A worker is being looked for."""
    return waiting().command("call.connect", to=QUEUE).twilio_does(CreateTask, task_sid=TASK_SID)


def reserves(story: Story, reservation: str, worker: str, *, task: str = "task-1") -> Story:
    """TaskRouter has reserved a worker."""
    return story.webhook(
        Source.ASSIGNMENT, TaskSid=TASK_SID, ReservationSid=reservation, WorkerSid="WK1",
        WorkerAttributes=json.dumps({"contact_uri": worker}),
        TaskAttributes=json.dumps({"call_id": CALL_SID, "task": task}),
    )  # fmt: skip


def tells(story: Story, event: str, **form: str) -> Story:
    """A TaskRouter event."""
    known = {"TaskAttributes": json.dumps({"call_id": CALL_SID, "task": "task-1"}), **form}
    return story.webhook(Source.TASK, EventType=event, Sid=f"EV{event}", TaskSid=TASK_SID, AccountSid=ACCOUNT, **known)


def state(story: Story) -> TaskState:
    """Where the first search is."""
    return story.state.tasks[0].state


def served(policy: Policy | None = None) -> Story:
    """A worker from a queue talks to the caller."""
    story = Story(policy, queues=True).inbound().joins("customer-1")
    story.command("call.connect", to=QUEUE).twilio_does(CreateTask, task_sid=TASK_SID)
    return reserves(story, "WR1", "client:carla").twilio_does(CreateParticipant).joins("agent-1")
