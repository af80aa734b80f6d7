"""The events of TaskRouter that a workspace needs to send us; `task.created` is for calls that others enqueue."""

TOLD = frozenset(
    f"{about}.{what}"
    for about, events in {
        "task": "canceled wrapup completed deleted",
        "reservation": "accepted rejected timeout canceled rescinded wrapup completed",
    }.items()
    for what in events.split()
)
