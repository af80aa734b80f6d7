"""The task machine: a search for a worker through TaskRouter, room first (twilio-facts.md section 5).

The task is made by REST and carries our call; its reservations come as callbacks; the worker is joined into the room by
us and the reservation accepted when it has joined. TaskRouter's own conference instruction is not used.
"""

from engine.core.table import Row
from schemas.state import TaskState

CREATING, PENDING, RESERVED, ASSIGNED = "creating", "pending", "reserved", "assigned"
COMPLETED, CANCELED, FAILED = "completed", "canceled", "failed"
STATES = [state.value for state in TaskState]
SEARCHING = [CREATING, PENDING, RESERVED]

TASK_ROWS: tuple[Row, ...] = (
    {"trigger": "created", "source": CREATING, "dest": PENDING, "after": ["await_worker"]},
    {"trigger": "created", "source": RESERVED, "dest": "="},
    {"trigger": "created", "source": CANCELED, "dest": CANCELED, "after": ["cancel_at_twilio"]},
    {"trigger": "create_failed", "source": CREATING, "dest": FAILED, "after": ["give_up"]},
    # A worker is reserved; the callback may come before the answer of the create.
    {"trigger": "reserved", "source": [CREATING, PENDING], "dest": RESERVED, "after": ["dial_worker"]},
    {"trigger": "worker_joined", "source": RESERVED, "dest": ASSIGNED, "after": ["stop_waiting", "accept"]},
    {"trigger": "worker_failed", "source": RESERVED, "dest": PENDING, "after": ["reject"]},
    # TaskRouter took the reservation back: timeout, rescinded, canceled.
    {"trigger": "reservation_lost", "source": RESERVED, "dest": PENDING, "after": ["drop_worker"]},
    {"trigger": "canceled", "source": SEARCHING, "dest": CANCELED,
     "after": ["blame_taskrouter", "drop_worker", "give_up"]},
    {"trigger": "overdue", "source": SEARCHING, "dest": CANCELED,
     "after": ["blame_nobody", "cancel_at_twilio", "drop_worker", "give_up"]},
    # Nobody wants the worker any more.
    {"trigger": "drop", "source": SEARCHING, "dest": CANCELED, "after": ["cancel_at_twilio", "drop_worker", "give_up"]},
    {"trigger": "worker_left", "source": ASSIGNED, "dest": COMPLETED, "after": ["complete_at_twilio"]},
    {"trigger": "drop", "source": ASSIGNED, "dest": COMPLETED, "after": ["complete_at_twilio"]},
)  # fmt: skip
