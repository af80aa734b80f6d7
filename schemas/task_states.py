"""Where a TaskRouter task of a call can be."""

from enum import StrEnum


class TaskState(StrEnum):
    """Where a TaskRouter task of the call is (twilio-facts.md section 5)."""

    CREATING = "creating"
    PENDING = "pending"
    RESERVED = "reserved"
    ASSIGNED = "assigned"
    WRAPPING = "wrapping"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"


LIVE_TASK_STATES = frozenset({TaskState.CREATING, TaskState.PENDING, TaskState.RESERVED, TaskState.ASSIGNED})
SEARCHING_TASK_STATES = LIVE_TASK_STATES - {TaskState.ASSIGNED}
OPEN_TASK_STATES = frozenset({TaskState.ASSIGNED, TaskState.WRAPPING})
