"""The task machine: a search for a worker through TaskRouter, room first (twilio-facts.md section 5).

The task is made by REST and carries our call; its reservations come as callbacks; the worker is joined into the room by
us and the reservation accepted when it has joined. Where the caller waits in TaskRouter's own queue (`enqueued`), it is
TaskRouter that dials the worker, makes the room, moves the caller and accepts: there we only watch, and end the task.
"""

from engine.core.table import Row
from schemas.task_states import TaskState

CREATING, PENDING, RESERVED, ASSIGNED, WRAPPING = "creating", "pending", "reserved", "assigned", "wrapping"
COMPLETED, CANCELED, FAILED = "completed", "canceled", "failed"
STATES = [state.value for state in TaskState]
SEARCHING = [CREATING, PENDING, RESERVED]

TASK_ROWS: tuple[Row, ...] = (
    {"trigger": "created", "source": CREATING, "dest": PENDING, "after": ["await_worker"]},
    {"trigger": "created", "source": RESERVED, "dest": "="},
    {"trigger": "created", "source": CANCELED, "dest": CANCELED, "after": ["cancel_at_twilio"]},
    {"trigger": "create_failed", "source": CREATING, "dest": FAILED, "after": ["give_up"]},
    # A worker is reserved; the callback may come before the answer of the create.
    {"trigger": "reserved", "source": PENDING, "dest": RESERVED, "conditions": ["enqueued"],
     "after": ["expect_worker"]},
    {"trigger": "reserved", "source": [CREATING, PENDING], "dest": RESERVED, "after": ["dial_worker"]},
    {"trigger": "worker_joined", "source": [PENDING, RESERVED], "dest": ASSIGNED,
     "conditions": ["enqueued", "together"], "after": ["annotate"]},
    {"trigger": "worker_joined", "source": [PENDING, RESERVED], "dest": "=", "conditions": ["enqueued"]},
    {"trigger": "worker_joined", "source": RESERVED, "dest": ASSIGNED, "after": ["stop_waiting", "accept", "annotate"]},
    {"trigger": "customer_joined", "source": [PENDING, RESERVED], "dest": ASSIGNED,
     "conditions": ["enqueued", "together"], "after": ["annotate"]},
    {"trigger": "accepted", "source": [PENDING, RESERVED], "dest": COMPLETED, "conditions": ["enqueued", "worker_gone"],
     "after": ["complete_at_twilio", "serve_anew"]},
    {"trigger": "accepted", "source": [PENDING, RESERVED], "dest": ASSIGNED, "conditions": ["enqueued"],
     "after": ["annotate"]},
    # They have met and parted, and nobody has told us of their meeting.
    {"trigger": "wrapup", "source": [PENDING, RESERVED], "dest": WRAPPING, "conditions": ["enqueued"],
     "after": ["await_wrap", "serve_anew"]},
    {"trigger": "worker_failed", "source": RESERVED, "dest": PENDING, "conditions": ["enqueued"],
     "after": ["forget_worker"]},
    {"trigger": "worker_failed", "source": RESERVED, "dest": PENDING, "after": ["reject"]},
    {"trigger": "worker_left", "source": [PENDING, RESERVED], "dest": PENDING, "conditions": ["enqueued"],
     "after": ["forget_worker"]},
    # TaskRouter took the reservation back: timeout, rescinded, canceled.
    {"trigger": "reservation_lost", "source": RESERVED, "dest": PENDING, "after": ["drop_worker"]},
    {"trigger": "canceled", "source": SEARCHING, "dest": CANCELED, "conditions": ["enqueued"],
     "after": ["blame_taskrouter", "drop_worker", "lose_place"]},
    {"trigger": "canceled", "source": SEARCHING, "dest": CANCELED,
     "after": ["blame_taskrouter", "drop_worker", "give_up"]},
    # Deleted under a talk: the talk goes on, and nothing is left to end.
    {"trigger": "canceled", "source": [ASSIGNED, WRAPPING], "dest": CANCELED,
     "after": ["blame_taskrouter", "stop_waiting", "tell_over"]},
    # The queue has not taken the caller, or has given them back: they come into our own room.
    {"trigger": "given_back", "source": SEARCHING, "dest": FAILED, "conditions": ["enqueued"],
     "after": ["drop_worker"]},
    {"trigger": "overdue", "source": SEARCHING, "dest": CANCELED,
     "after": ["blame_nobody", "cancel_at_twilio", "drop_worker", "give_up"]},
    # Nobody wants the worker any more. A task whose caller has left the queue is canceled by Twilio itself.
    {"trigger": "drop", "source": SEARCHING, "dest": CANCELED, "conditions": ["enqueued"], "after": ["drop_worker"]},
    {"trigger": "drop", "source": SEARCHING, "dest": CANCELED, "after": ["cancel_at_twilio", "drop_worker", "give_up"]},
    # TaskRouter had brought the two together when we gave the caller up: it waits for somebody to end the task.
    {"trigger": "accepted", "source": CANCELED, "dest": COMPLETED, "conditions": ["enqueued"],
     "after": ["complete_at_twilio"]},
    {"trigger": "wrapup", "source": CANCELED, "dest": COMPLETED, "conditions": ["enqueued"],
     "after": ["complete_at_twilio"]},
    # The caller hung up on the way from the queue to the worker: TaskRouter looks for another one, for nobody.
    {"trigger": "reserved", "source": CANCELED, "dest": CANCELED, "conditions": ["enqueued"],
     "after": ["cancel_at_twilio"]},
    # The worker has left the call and writes it up, until they say that it is done or the time for it is over.
    {"trigger": "worker_left", "source": ASSIGNED, "dest": WRAPPING, "after": ["wrap_at_twilio", "await_wrap"]},
    {"trigger": "wrapup", "source": ASSIGNED, "dest": WRAPPING, "after": ["await_wrap"]},
    {"trigger": "overdue", "source": WRAPPING, "dest": COMPLETED, "after": ["complete_at_twilio", "tell_over"]},
    {"trigger": "completed", "source": [ASSIGNED, WRAPPING], "dest": COMPLETED, "after": ["stop_waiting", "tell_over"]},
    # The call has ended under the worker, who writes it up all the same; or the time for that is over.
    {"trigger": "drop", "source": ASSIGNED, "dest": WRAPPING, "after": ["wrap_at_twilio", "await_wrap"]},
    {"trigger": "drop", "source": WRAPPING, "dest": "="},
    {"trigger": "finish", "source": [ASSIGNED, WRAPPING], "dest": COMPLETED,
     "after": ["stop_waiting", "complete_at_twilio"]},
)  # fmt: skip
