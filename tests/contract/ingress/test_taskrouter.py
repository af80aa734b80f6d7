"""TaskRouter's callbacks: an instruction within its five seconds, and every one placed or set aside."""

import json

from schemas.records import Webhook
from schemas.webhooks import Source
from signing_twilio import ACCOUNT, CALL, Inboxes, Twilio

ASSIGNMENT = {
    "AccountSid": ACCOUNT, "WorkspaceSid": "WS1", "WorkflowSid": "WW1", "TaskQueueSid": "WQ1", "WorkerSid": "WK1",
    "WorkerName": "carla", "WorkerAttributes": '{"contact_uri": "client:carla"}', "TaskSid": "WT1", "TaskAge": "2",
    "TaskAttributes": json.dumps({"call_id": CALL, "task": "task-1"}), "TaskPriority": "0", "ReservationSid": "WR1",
}  # fmt: skip


async def test_an_assignment_is_recorded_and_answered_by_rest(twilio: Twilio, inboxes: Inboxes) -> None:
    """An empty instruction: the worker is joined into the room by us."""
    answer = await twilio.post("/v1/taskrouter/assignment", ASSIGNMENT)

    assert (answer.status, json.loads(answer.text)) == (200, {})
    (record,) = inboxes.records
    assert isinstance(record, Webhook)
    assert (record.call_id, record.source, record.id) == (CALL, Source.ASSIGNMENT, "assignment.WR1")


async def test_an_event_of_a_task_is_a_fact_of_its_call(twilio: Twilio, inboxes: Inboxes) -> None:
    """Placed by the call among the task's attributes."""
    event = {**ASSIGNMENT, "EventType": "reservation.timeout", "Sid": "EV1"}

    assert (await twilio.post("/v1/taskrouter/events", event)).status == 204
    (record,) = inboxes.records
    assert (record.call_id, record.id) == (CALL, "task.EV1")


async def test_an_event_about_no_task_leaves_no_record(twilio: Twilio, inboxes: Inboxes) -> None:
    """Workers come and go without a call."""
    event = {"AccountSid": ACCOUNT, "EventType": "worker.activity.update", "Sid": "EV2", "WorkerSid": "WK1"}

    assert (await twilio.post("/v1/taskrouter/events", event)).status == 204
    assert not inboxes.records


async def test_a_task_that_is_not_ours_is_set_aside(twilio: Twilio, inboxes: Inboxes) -> None:
    """Signed, and about a call that nobody named."""
    answer = await twilio.post("/v1/taskrouter/assignment", {**ASSIGNMENT, "TaskAttributes": "{}"})

    assert answer.status == 200
    assert not inboxes.records
