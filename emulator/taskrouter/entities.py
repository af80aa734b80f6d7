"""What a TaskRouter workspace holds, as plain mutable objects; ``tasks``, ``reservations``, ``routing`` change them."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from emulator.clock import Timer

Attributes = dict[str, object]
"""JSON attributes of a task or worker."""
MAX_EVENTS = 2_000


class TaskStatus(StrEnum):
    """A task's assignment status."""

    PENDING = "pending"
    RESERVED = "reserved"
    ASSIGNED = "assigned"
    WRAPPING = "wrapping"
    COMPLETED = "completed"
    CANCELED = "canceled"


class ReservationStatus(StrEnum):
    """A reservation's status."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    RESCINDED = "rescinded"
    WRAPPING = "wrapping"
    COMPLETED = "completed"


OPEN_TASK = frozenset({TaskStatus.PENDING, TaskStatus.RESERVED, TaskStatus.ASSIGNED, TaskStatus.WRAPPING})
WAITING_TASK = frozenset({TaskStatus.PENDING, TaskStatus.RESERVED})
LIVE_RESERVATION = frozenset({ReservationStatus.PENDING, ReservationStatus.ACCEPTED, ReservationStatus.WRAPPING})


@dataclass(eq=False, slots=True, kw_only=True)
class Activity:
    """What a worker may be doing."""

    sid: str
    friendly_name: str
    available: bool
    created_at: float
    updated_at: float


@dataclass(eq=False, slots=True, kw_only=True)
class TaskChannel:
    """A kind of task; a worker has a capacity for each."""

    sid: str
    unique_name: str
    friendly_name: str
    created_at: float
    updated_at: float
    channel_optimized_routing: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class WorkerChannel:
    """A worker's capacity for one task channel."""

    sid: str
    channel: TaskChannel
    created_at: float
    updated_at: float
    capacity: int = 1
    available: bool = True


@dataclass(eq=False, slots=True, kw_only=True)
class TaskQueue:
    """Tasks for the workers that an expression selects."""

    sid: str
    friendly_name: str
    target_workers: str
    created_at: float
    updated_at: float
    max_reserved_workers: int = 1
    task_order: str = "FIFO"
    reservation_activity: Activity | None = None
    assignment_activity: Activity | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class Workflow:
    """Rules that lead a task to a queue. ``configuration`` is JSON text."""

    sid: str
    friendly_name: str
    configuration: str
    created_at: float
    updated_at: float
    assignment_callback_url: str = ""
    fallback_assignment_callback_url: str = ""
    task_reservation_timeout_s: int = 120


@dataclass(eq=False, slots=True, kw_only=True)
class Worker:
    """Somebody who takes tasks."""

    sid: str
    friendly_name: str
    attributes: Attributes
    activity: Activity
    channels: dict[str, WorkerChannel]
    created_at: float
    updated_at: float
    status_changed_at: float
    free_since: float
    """When the worker last ended a task; who waits longest is chosen first."""
    bound: "dict[str, Reservation]" = field(default_factory=dict)
    """Live reservations by SID, oldest first."""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """One step of a task's way: a queue, for at most so long, with a condition on worker and task."""

    queue_sid: str
    expression: str = ""
    priority: int | None = None
    timeout_s: float | None = None
    skip_if: str = ""
    order_by: str = ""
    worker_sid: str = ""
    """Known-worker routing: only this one."""


@dataclass(eq=False, slots=True, kw_only=True)
class Reservation:
    """A task that is reserved for a worker."""

    sid: str
    task: "Task"
    worker: Worker
    queue: TaskQueue
    created_at: float
    updated_at: float
    ended: "asyncio.Future[ReservationStatus]"
    """Set when the reservation is no longer live."""
    status: ReservationStatus = ReservationStatus.PENDING
    version: int = 0
    timer: Timer | None = None
    acting: "asyncio.Task[None] | None" = None
    """The instruction under way."""
    worker_call_sid: str = ""

    @property
    def live(self) -> bool:
        """Whether it still binds the worker."""
        return self.status in LIVE_RESERVATION


@dataclass(eq=False, slots=True, kw_only=True)
class Task:
    """A piece of work on its way to a worker."""

    sid: str
    workspace: "Workspace"
    attributes: Attributes
    channel: TaskChannel
    workflow: Workflow | None
    created_at: float
    updated_at: float
    timeout_s: float
    status: TaskStatus = TaskStatus.PENDING
    priority: int = 0
    reason: str = ""
    queue: TaskQueue | None = None
    entered_queue_at: float | None = None
    virtual_start_at: float | None = None
    ignore_capacity: bool = False
    routing_target: str = ""
    targets: list[Target] = field(default_factory=list)
    """The steps still to come; the first one is where the task is."""
    reservations: list[Reservation] = field(default_factory=list)
    timers: dict[str, Timer] = field(default_factory=dict)
    rejections: int = 0
    version: int = 0
    deleted: bool = False

    @property
    def open(self) -> bool:
        """Whether the task is neither completed nor canceled."""
        return self.status in OPEN_TASK and not self.deleted


@dataclass(frozen=True, slots=True)
class WorkspaceEvent:
    """One event as the Events resource keeps it."""

    sid: str
    event_type: str
    description: str
    resource_type: str
    resource_sid: str
    at: float
    data: dict[str, str]


@dataclass(eq=False, slots=True, kw_only=True)
class Workspace:
    """A contact centre."""

    sid: str
    account_sid: str
    friendly_name: str
    created_at: float
    updated_at: float
    event_callback_url: str = ""
    events_filter: frozenset[str] = frozenset()
    multi_task_enabled: bool = True
    prioritize_queue_order: str = "FIFO"
    default_activity: Activity
    timeout_activity: Activity
    activities: dict[str, Activity] = field(default_factory=dict)
    channels: dict[str, TaskChannel] = field(default_factory=dict)
    queues: dict[str, TaskQueue] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    events: "deque[WorkspaceEvent]" = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a task or worker may have become free for a match."""
    router: "asyncio.Task[None] | None" = None

    def stop_timers(self) -> None:
        """Let no timer of a task or reservation go off any more."""
        for task in self.tasks.values():
            for timer in task.timers.values():
                timer.cancel()
        for reservation in self.reservations.values():
            if reservation.timer is not None:
                reservation.timer.cancel()
