"""Configuration of a contact centre: one workspace, one workflow, its queues and workers. Shares no code with REST."""

from typing import Any

import msgspec

WORKSPACE_SID = "WS00000000000000000000000000000001"
WORKFLOW_SID = "WW00000000000000000000000000000001"
AVAILABLE = "Available"
OFFLINE = "Offline"
ACTIVITIES = {OFFLINE: False, AVAILABLE: True, "Unavailable": False}
EVERYBODY = "1==1"


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One worker. ``contact_uri`` goes into the attributes; the activity is a name."""

    contact_uri: str = ""
    attributes: dict[str, Any] = {}
    activity: str = AVAILABLE
    channels: dict[str, int] = {}
    """Capacity by task channel; 1 where nothing is said."""


class TaskRouterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contact centre. Without ``configuration`` a task goes to the queue that its attribute ``queue`` names.

    The first queue is the default one. ``queues`` maps a name to its TargetWorkers expression.
    """

    queues: dict[str, str] = msgspec.field(default_factory=lambda: {"Everybody": EVERYBODY})
    workers: dict[str, WorkerConfig] = {}
    assignment_callback_url: str = ""
    fallback_assignment_callback_url: str = ""
    task_reservation_timeout_s: int = 120
    configuration: dict[str, Any] = {}
    """A workflow's configuration; queues may be named instead of their SIDs."""
    event_callback_url: str = ""
    events_filter: frozenset[str] = frozenset()
    """Empty: all event types."""
    activities: dict[str, bool] = msgspec.field(default_factory=lambda: dict(ACTIVITIES))
    """Whether the workers in each activity are available."""
    default_activity: str = OFFLINE
    timeout_activity: str = OFFLINE
    workspace_sid: str = WORKSPACE_SID
    workflow_sid: str = WORKFLOW_SID
    friendly_name: str = "Local workspace"
    account_sid: str = ""
    """Empty: the emulator's main account."""
