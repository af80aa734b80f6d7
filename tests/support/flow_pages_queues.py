"""The flows of callers who are served by the workers of TaskRouter, in both ways."""

from flow_pages import Ending, Flow, Page
from flow_play import Play
from stack import OTHER

TASKS = "unit/engine/core/test_tasks.py"
WRAP_UP = "unit/engine/core/test_wrap_up.py"
ENQUEUED = "unit/engine/core/test_enqueued_endings.py"
FLOWS = "integration/test_enqueued.py"


async def _connected(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.connect", "--to", "queue:support")
    await play.answers("agent-1")
    await play.hangs_up("agent-1")
    await play.waits_for("task.completed")


async def _declined(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.connect", "--to", "queue:support")
    await play.declines("agent-1")
    await play.answers("agent-2")


async def _transferred(play: Play) -> None:
    await play.talks()
    await play.sends("call.transfer", "--mode", "warm", "--target", "queue:support")
    await play.answers("target-1")
    await play.sends("transfer.complete")


WRITES_UP = "[defaults]\nwrap_up_s = 1\n"

QUEUE = Page(
    "queue",
    "A worker from a queue",
    """
    `queue:NAME` is a target like any other: of `call.connect`, of a transfer, of a route. Cordboard makes a task that
    carries the queue and the call, answers TaskRouter's assignment with an empty instruction, dials the reserved
    worker into the caller's room, and accepts the reservation once the worker is in. Then the task says where the
    conference is, in the words of TaskRouter's own instruction, so that desktops and reports find it.

    A worker who does not come costs the reservation, not the search. When the worker leaves the call, the task is
    `wrapping` until TaskRouter says that the worker is done, or the time for that is over (`wrap_up_s`); then it is
    completed. A call whose customer has gone waits for that in `wrap_up`.
    """,
    (
        Flow(
            "The worker answers, and leaves",
            "The reservation is accepted with the join; with the leave the task is wrapping.",
            _connected,
            WRITES_UP,
        ),
        Flow(
            "The worker declines",
            "The reservation is rejected, and TaskRouter finds the next worker; here it is the same one again.",
            _declined,
            WRITES_UP,
        ),
        Flow(
            "A warm transfer to a queue",
            "A new task that names the conference; its worker becomes the target.",
            _transferred,
            WRITES_UP,
        ),
    ),
    (
        Ending("served", "the worker's `participant-join`", "`applied`", "The worker answers, and leaves"),
        Ending("not answered", "call status of the worker's leg", "goes on waiting", "The worker declines"),
        Ending(
            "the reservation is taken back",
            "`reservation.timeout`, `.rescinded`, `.canceled`, `.rejected`",
            "goes on waiting",
            f"{TASKS}::test_a_reservation_that_taskrouter_takes_back_stops_the_ringing",
        ),
        Ending(
            "the task is canceled",
            "`task.canceled`",
            "`failed` (`task_canceled`)",
            f"{TASKS}::test_a_task_that_taskrouter_cancels_fails_the_command",
        ),
        Ending(
            "nobody is found in five minutes",
            "a timer",
            "`failed` (`no_answer`); the task is canceled",
            f"{TASKS}::test_a_search_has_a_limit",
        ),
        Ending(
            "the caller hangs up",
            "`participant-leave`",
            "`failed`; the task is canceled",
            f"{TASKS}::test_the_caller_hangs_up_while_a_worker_is_looked_for",
        ),
        Ending(
            "the customer hangs up first, the task is open",
            "`task.completed`, or a timer",
            "no command; `call.wrap_up`, then `call.ended`",
            f"{WRAP_UP}::test_the_call_ends_when_the_worker_has_finished",
        ),
        Ending(
            "a transfer finds nobody",
            "`task.canceled`",
            "`failed`; the customer is given back",
            f"{TASKS}::test_a_transfer_to_a_queue_that_finds_nobody_gives_the_customer_back",
        ),
    ),
)

POLICY = WRITES_UP + '["+15550100"]\nroute = "enqueue:support"\n'


async def _queues(play: Play) -> None:
    """The caller is in the queue before anybody is free."""
    await play.worker("Offline")
    await play.dials_in()
    await play.worker("Available")


async def _enqueued(play: Play) -> None:
    await _queues(play)
    await play.answers("agent-1")
    await play.sends("call.hold")
    await play.sends("call.resume")


async def _enqueued_transfer(play: Play) -> None:
    await _queues(play)
    await play.answers("agent-1")
    play.begins("customer-1 and agent-1 are in TaskRouter's conference")
    await play.sends("call.transfer", "--mode", "cold", "--target", OTHER)
    await play.answers("target-1")


async def _enqueued_gives_up(play: Play) -> None:
    await _queues(play)
    await play.hangs_up("customer-1")


async def _enqueued_max_wait(play: Play) -> None:
    await play.worker("Offline")
    await play.dials_in()
    await play.waits_for("call.ended")


ENQUEUED_PAGE = Page(
    "enqueued",
    "A caller in TaskRouter's own queue",
    """
    With `route = "enqueue:NAME"` the number answers with `<Enqueue>`: the caller waits in TaskRouter's queue, and in no
    room yet. Cordboard answers the assignment callback with the `conference` instruction. TaskRouter dials the worker
    into a conference that is named after the task, moves the caller there, and accepts the reservation. Cordboard
    knows the two by their CallSids, from the worker's callbacks and from the task's attributes, and from then on it is
    a call like any other: hold, transfer, supervision and end work on it.

    Callers whom others have put into a queue, by a `<Enqueue>` that is not Cordboard's, are adopted in the same way
    once TaskRouter tells of their task. Such a call is named after its task: its id is the `WT…`, which stands in the
    task's attribute `call_id` too. The workspace's event callback URL must be `/v1/taskrouter/events` (`task.*` and
    `reservation.*` are needed, others do no harm). The workflow's assignment callback URL may be
    `/v1/taskrouter/assignment`, or your own: then give your instruction `/v1/voice/conference` as its
    ConferenceStatusCallback with all events.

    Of TaskRouter's conference Twilio tells no `participant-modify`. Cordboard looks at the participants instead, right
    after it has changed who ends the room or who coaches whom.
    """,
    (
        Flow("The worker answers", "Then the caller is held and resumed.", _enqueued, POLICY),
        Flow("A cold transfer", "The worker is released, and the original task wraps.", _enqueued_transfer, POLICY),
        Flow("The caller gives up", "The worker's phone stops ringing.", _enqueued_gives_up, POLICY),
        Flow(
            "Nobody comes in time",
            "After `max_wait_s` the caller is taken out of the queue, here to a goodbye.",
            _enqueued_max_wait,
            POLICY + "max_wait_s = 4\n",
        ),
    ),
    (
        Ending("together", "both joined", "no command; `call.connected`", "The worker answers"),
        Ending("transferred", "the worker's `participant-leave`", "`applied`", "A cold transfer"),
        Ending("the caller hangs up", "the action of `<Enqueue>`", "`call.abandoned`", "The caller gives up"),
        Ending("nobody comes", "the timer max_wait", "what `max_wait` says", "Nobody comes in time"),
        Ending(
            "the worker does not answer",
            "call status, `reservation.rejected`",
            "the caller keeps the place",
            f"{FLOWS}::test_a_worker_who_does_not_answer_is_followed_by_another",
        ),
        Ending(
            "the reservation is taken back",
            "`reservation.timeout`, `.rescinded`, `.canceled`",
            "the caller keeps the place",
            f"{ENQUEUED}::test_a_reservation_that_is_lost_leaves_the_caller_in_the_queue",
        ),
        Ending(
            "the workflow cancels the task",
            "`task.canceled`",
            "what `max_wait` says",
            f"{ENQUEUED}::test_nobody_is_found_and_the_policy_says_what_then",
        ),
        Ending(
            "the queue is full, or fails",
            "the action of `<Enqueue>`",
            "the caller comes into a room, a task is made by REST",
            f"{ENQUEUED}::test_a_queue_that_gives_the_caller_back",
        ),
        Ending(
            "enqueued by others",
            "`task.created` and the attributes",
            "adopted",
            f"{FLOWS}::test_a_call_that_others_have_enqueued_is_adopted",
        ),
        Ending(
            "enqueued by others, who end it",
            "`task.canceled`",
            "`call.abandoned`; nothing is asked of Twilio",
            f"{FLOWS}::test_others_end_it_in_their_queue",
        ),
    ),
)

QUEUE_PAGES = (QUEUE, ENQUEUED_PAGE)
