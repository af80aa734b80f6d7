"""The contact centre at the local Twilio: one queue, and the workers who serve its callers, from the seed alone."""

from random import Random

import msgspec

from emulator import Person, TaskRouterConfig, WorkerConfig
from emulator.people import Answer
from emulator.taskrouter.config import AVAILABLE
from schemas.routes import Route, callback_url
from task_events import TOLD

QUEUE = "support"
_WORKERS = 60
_GIVEN_BACK_S = 15
"""So long a reservation waits when the callback that asks about it has come to nothing."""


class Worker(msgspec.Struct, frozen=True):
    """A worker's telephone, or browser, and who is at it."""

    contact_uri: str
    person: Person


def draw_workers(seed: int) -> dict[str, Worker]:
    """Everybody who serves the queue, by name. Most pick up; some are slow, busy, decline, or let it ring."""
    return {f"worker{number}": _worker(seed, number) for number in range(_WORKERS)}


def _worker(seed: int, number: int) -> Worker:
    rng = Random(f"chaos-worker-{seed}-{number}")  # noqa: S311 - not for secrets
    picks = rng.choices(
        (
            Person(ring_s=0.3),
            Person(ring_s=round(rng.uniform(1.0, 4.0), 2)),
            Person(answer=Answer.BUSY),
            Person(answer=Answer.REJECTS, ring_s=0.3),
            Person(answer=Answer.NO_ANSWER),
        ),
        (60, 15, 10, 5, 10),
    )
    return Worker(f"client:worker{number}" if rng.random() < 0.3 else f"+1555700{number:04d}", picks[0])


def centre(public_url: str, seed: int) -> TaskRouterConfig:
    """How it is set up at Twilio. Who does not take a call stays available: nobody is there to log them in again."""
    return TaskRouterConfig(
        queues={QUEUE: "1==1"},
        workers={name: WorkerConfig(contact_uri=worker.contact_uri) for name, worker in draw_workers(seed).items()},
        assignment_callback_url=callback_url(public_url, Route.ASSIGNMENT),
        event_callback_url=callback_url(public_url, Route.TASK_EVENTS),
        events_filter=TOLD,
        task_reservation_timeout_s=_GIVEN_BACK_S,
        timeout_activity=AVAILABLE,
    )
