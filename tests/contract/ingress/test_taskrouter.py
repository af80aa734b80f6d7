"""TaskRouter's callbacks: an instruction within its five seconds, and every one placed or set aside."""

import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from cordboard.accounts import Account, Accounts
from cordboard.log.memory import MemoryLog
from ingress.app import IngressConfig
from schemas.policy import Policies, Policy
from schemas.records import Webhook
from schemas.webhooks import Source
from signing_twilio import ACCOUNT, CALL, CONFERENCE, PUBLIC_URL, TOKEN, VOICE, Inboxes, Twilio, calling

TASK, RESERVATION, WORKFLOW = "WT" + "d" * 32, "WR" + "e" * 32, "WW" + "f" * 32
ENQUEUE_ACTION = f"/v1/voice/enqueue-action?call={CALL}&leg=customer-1"
ENQUEUED = {"call_sid": CALL, "from": "+15550177", "to": "+15550100"}

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


@pytest.fixture
async def centre(config: IngressConfig, log: MemoryLog) -> AsyncIterator[Twilio]:
    """An account with a workflow, and a number whose callers go into its queue."""
    account = Account(sid=ACCOUNT, auth_tokens=(TOKEN,), number="+15550199", taskrouter_workflow=WORKFLOW)
    policies = Policies(by_number={"+15550100": Policy(route=("enqueue:sales",), ring_timeout_s=12)})
    async with calling(replace(config, accounts=Accounts([account]), policies=policies), log) as client:
        yield client


def record(inboxes: Inboxes) -> Webhook:
    """The one record that is in the inbox."""
    (found,) = inboxes.records
    assert isinstance(found, Webhook)
    return found


def assignment(**attributes: str) -> dict[str, str]:
    """An assignment callback for a task with these attributes."""
    return {**ASSIGNMENT, "TaskSid": TASK, "ReservationSid": RESERVATION, "TaskAttributes": json.dumps(attributes)}


async def test_a_caller_is_put_into_the_queue(centre: Twilio, inboxes: Inboxes) -> None:
    """The task carries the queue and the call; the caller waits with our music, and we hear how the wait ends."""
    answer = await centre.post("/v1/voice/twiml", VOICE)

    enqueue = ET.fromstring(answer.text).find("Enqueue")  # noqa: S314 - our own document
    assert enqueue is not None
    assert enqueue.get("workflowSid") == WORKFLOW
    assert json.loads(enqueue.findtext("Task", "")) == {"queue": "sales", "call_id": CALL}
    action, wait = urlsplit(enqueue.get("action", "")), urlsplit(enqueue.get("waitUrl", ""))
    assert (action.path, wait.path) == ("/twilio/v1/voice/enqueue-action", "/twilio/v1/voice/wait")
    assert parse_qs(action.query) == {"call": [CALL], "leg": ["customer-1"]}
    assert (record(inboxes).source, record(inboxes).answered) == (Source.VOICE, "queue")


async def test_a_browser_is_never_put_into_a_queue(centre: Twilio) -> None:
    """An agent's own call goes into the room."""
    assert "<Enqueue" not in (await centre.post("/v1/voice/twiml", {**VOICE, "From": "client:anna"})).text


@pytest.mark.parametrize(
    ("attributes", "call"),
    [({**ENQUEUED, "call_id": CALL, "queue": "sales"}, CALL), (ENQUEUED, TASK)],
    ids=["ours", "of others"],
)
async def test_an_enqueued_caller_is_to_become_a_conference(
    centre: Twilio, inboxes: Inboxes, attributes: dict[str, str], call: str
) -> None:
    """Its callbacks lead to the call: the one that the task names, else one that is named after the task."""
    answer = await centre.post("/v1/taskrouter/assignment", assignment(**attributes))

    given = json.loads(answer.text)
    assert (given["instruction"], given["from"], given["timeout"]) == ("conference", "+15550100", 12)
    assert given["end_conference_on_exit"] is given["end_conference_on_customer_exit"] is False
    assert given["conference_status_callback_event"] == "start end join leave mute hold"
    status, room = urlsplit(given["status_callback"]), urlsplit(given["conference_status_callback"])
    assert f"{status.scheme}://{status.netloc}{status.path}" == f"{PUBLIC_URL}/v1/voice/status"
    assert parse_qs(status.query) == {"call": [call], "a": [RESERVATION]}
    assert (room.path, parse_qs(room.query)) == ("/twilio/v1/voice/conference", {"call": [call]})
    assert record(inboxes).call_id == call


async def test_a_customer_to_be_dialled_is_dialled_from_the_accounts_number(centre: Twilio) -> None:
    """`outbound_to` and nothing else: TaskRouter needs a number of the account."""
    answer = await centre.post("/v1/taskrouter/assignment", assignment(outbound_to="+15550177"))

    assert json.loads(answer.text)["from"] == "+15550199"


async def test_a_conference_named_after_a_task_is_that_tasks_call(centre: Twilio, inboxes: Inboxes) -> None:
    """Others have answered the assignment, and their callback URL carries nothing of ours."""
    assert (await centre.post("/v1/voice/conference", {**CONFERENCE, "FriendlyName": TASK})).status == 204

    assert record(inboxes).call_id == TASK


@pytest.mark.parametrize(
    ("result", "tag"), [("hangup", "Hangup"), ("redirected", "Hangup"), ("queue-full", "Dial"), ("error", "Dial")]
)
async def test_a_caller_whom_the_queue_gives_back_comes_into_our_room(
    centre: Twilio, inboxes: Inboxes, result: str, tag: str
) -> None:
    """And it is recorded; whoever has hung up or was led away hears nothing more."""
    fields = {"CallSid": CALL, "AccountSid": ACCOUNT, "To": "+15550100", "QueueResult": result, "QueueTime": "3"}

    answer = await centre.post(ENQUEUE_ACTION, fields)

    assert [element.tag for element in ET.fromstring(answer.text)] == [tag]  # noqa: S314 - our own document
    assert (record(inboxes).call_id, record(inboxes).source) == (CALL, Source.ENQUEUE_ACTION)


async def test_why_the_queue_gives_a_caller_back_outlives_a_log_that_is_away(
    centre: Twilio, log: MemoryLog, inboxes: Inboxes
) -> None:
    """Twilio says it once: it goes along in the URL at which the caller asks again, and leads into our room."""
    fields = {"CallSid": CALL, "AccountSid": ACCOUNT, "To": "+15550100", "QueueResult": "queue-full", "QueueTime": "3"}
    log.unavailable = "no broker"
    held = await centre.post(ENQUEUE_ACTION, {**fields, "CallStatus": "in-progress"})
    again = (ET.fromstring(held.text).findtext("Redirect") or "").removeprefix(PUBLIC_URL).partition("#")[0]  # noqa: S314 - ours

    log.unavailable = None
    answer = await centre.post(again, {**VOICE, "CallStatus": "in-progress"})

    assert "<Dial" in answer.text
    assert json.loads(bytes(record(inboxes).params))["QueueResult"] == "queue-full"


@pytest.mark.parametrize(
    "gone",
    [{"QueueResult": "redirected"}, {"QueueResult": "hangup"}, {"QueueResult": "leave", "CallStatus": "completed"}],
)
async def test_nobody_who_has_gone_is_asked_to_hold_the_line(
    centre: Twilio, log: MemoryLog, inboxes: Inboxes, gone: dict[str, str]
) -> None:
    """2xx only for what is durable: without the log Twilio is refused, comes again, and then it is recorded."""
    fields = {"CallSid": CALL, "AccountSid": ACCOUNT, "To": "+15550100", **gone}
    log.unavailable = "no broker"
    assert (await centre.post(ENQUEUE_ACTION, fields)).status == 503

    log.unavailable = None
    assert (await centre.post(ENQUEUE_ACTION, fields)).status == 200
    assert record(inboxes).source == Source.ENQUEUE_ACTION


@pytest.mark.parametrize(("room", "led"), [(TASK, TASK), ("room-of-somebody", None)])
async def test_a_leg_of_ours_is_led_into_taskrouters_room(centre: Twilio, room: str, led: str | None) -> None:
    """The URL names it; a room that cannot be TaskRouter's leads nowhere."""
    fields = {**VOICE, "Direction": "outbound-api"}

    answer = await centre.post(f"/v1/voice/conference-join?call={CALL}&leg=agent-1&room={room}", fields)

    assert ET.fromstring(answer.text).findtext("Dial/Conference") == led  # noqa: S314 - our own document
