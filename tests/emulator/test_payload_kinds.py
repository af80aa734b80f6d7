"""Every kind of payload in the vectors is sent here, with the same names, or for a reason that a list gives."""

import json
from pathlib import Path

from emulator_center import Center

LINES = (Path(__file__).parents[1] / "vectors" / "payloads.jsonl").read_text().splitlines()
VECTORS = {line["id"]: line for line in map(json.loads, LINES)}
TASKROUTER = [name for name in VECTORS if name.startswith("tr-")]
CONFERENCES = {name for name in VECTORS if name.startswith("conf-doc-")}
"""All of them are compared there by one test, as are the recordings."""
BY_NAME = {"in-01", "client-01", "twiml-out-01", "status-09", "status-11"}
"""Compared in test_payloads.py, each by a test of its own."""
RECORDINGS = {"rec-doc-inprogress", "rec-doc-completed", "rec-doc-absent"}
MORE = {
    "ReservationVersion": "documented for reservations, and not in the model",
    "WorkerVersion": "documented for workers, and not in the model of reservations",
    "WorkerActivityName": "documented for workers, and not in the model of reservations",
    "WorkerActivitySid": "documented for workers, and not in the model of reservations",
    "TaskCanceledReason": "given only when a task was canceled for a reason, as here",
    "TaskCompletedReason": "given only when a task was completed for a reason, as here",
}
"""Names that are sent here and that the vectors lack, and why."""
LESS = {
    "OperatingUnitSid": "in the models only; no page of Twilio's knows it",
    "WorkerTimeInPreviousActivityMs": "in the model only",
}
"""Names that the vectors have and that are not sent here, and why."""
BEFORE_ITS_QUEUE = {"TaskQueueEnteredDate", "TaskQueueName", "TaskQueueSid", "TaskQueueTargetExpression"}
"""task.created is told before the workflow has chosen a queue; the model has one class for all events of a task."""


def test_no_vector_is_left_out() -> None:
    """Each vector is compared by some test."""
    assert VECTORS.keys() == {*BY_NAME, *RECORDINGS, *CONFERENCES, *TASKROUTER}


async def test_taskrouter_events(center: Center) -> None:
    """Each event of a task, a reservation and a worker has the names of the models that others have written."""
    await _everything(center)
    for vector in TASKROUTER:
        event, modelled = VECTORS[vector]["params"]["EventType"], VECTORS[vector]["params"].keys()
        sent = [hit.params.keys() for hit in center.bench.site.got("/events", EventType=event)]
        assert sent, f"{event} was never sent"
        for names in sent:
            missing = BEFORE_ITS_QUEUE if event == "task.created" else set()
            assert names - modelled <= MORE.keys(), event
            assert modelled - names <= LESS.keys() | missing, event


async def _everything(center: Center) -> None:
    """Let a task be accepted and done, and others be rejected, timed out, canceled, and taken by somebody else."""
    space = center.workspace
    for workflow in space.workflows.values():
        workflow.task_reservation_timeout_s = 60
    done = await center.task(queue="billing")
    await _reserved(center, "bob")
    await center.control("POST", "/workers/bob/accept")
    await center.until_status(done, "assigned")
    await center.rest("POST", f"/Tasks/{done.sid}", {"AssignmentStatus": "wrapping"})
    await center.rest("POST", f"/Tasks/{done.sid}", {"AssignmentStatus": "completed", "Reason": "done"})
    rejected = await center.task(queue="billing")
    await _reserved(center, "bob")
    await center.control("POST", "/workers/bob/reject")
    await _reserved(center, "bob")
    await center.control("POST", "/workers/bob/time-out")
    await center.rest("POST", f"/Tasks/{rejected.sid}", {"AssignmentStatus": "canceled", "Reason": "gone"})
    await center.control("PUT", "/workers/bob", {"activity": "Available"})
    canceled = await center.task(queue="billing")
    await _reserved(center, "bob")
    await center.rest("POST", f"/Tasks/{canceled.sid}", {"AssignmentStatus": "canceled", "Reason": "gone"})
    center.queue("everybody").max_reserved_workers = 2
    await center.task(queue="everybody")
    for name in ("alice", "bob"):
        await _reserved(center, name)
    await center.control("POST", "/workers/alice/accept")
    await center.told("reservation.rescinded")
    await center.bench.settled()


async def _reserved(center: Center, name: str) -> None:
    """Wait until a worker has a pending reservation."""
    waiting = center.workspace.reservations.values()
    await center.until(
        lambda: any(one.worker.friendly_name == name and one.status == "pending" for one in waiting), f"{name}'s turn"
    )
