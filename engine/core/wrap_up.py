"""What becomes of a call whose customer has gone: agents who keep the room for a while, tasks that are still open.

Guards and effects of the call machine, like those in `calls`. An open task keeps the call in `wrap_up` after everybody
has left, until TaskRouter says that the worker is done; the policy's `wrap_up_s`, or `tasks.WRAP_WITHIN_MS`, bounds it.
"""

from engine.core import tasks
from engine.core.flags import FLAGS_WITHIN_MS
from engine.core.table import Act, Guard
from engine.core.turn import LEG, TALKING_ROLES, TASK, Turn
from schemas.actions import AnnounceAll
from schemas.prompts import CUSTOMER_GONE
from schemas.state import TransferState
from schemas.task_states import OPEN_TASK_STATES

TIMER = "wrap_up"


def keeps_agents(turn: Turn) -> bool:
    """Whether the policy lets agents stay after the customer has gone."""
    return turn.call.policy.wrap_up_s > 0 or turn.call.policy.customer_left == "keep_agents"


def wraps_up(turn: Turn, leg_id: str) -> bool:
    """The same, as a guard."""
    return keeps_agents(turn)


def consult_abandoned(turn: Turn, leg_id: str) -> bool:
    """Whether the customer has gone from under two who were consulting, and the policy lets them finish."""
    transfer = turn.call.transfer
    abandoned = transfer is not None and transfer.state is TransferState.ABANDONED
    return abandoned and len(turn.talking()) > 1 and turn.call.policy.abandoned_consult_s > 0


def task_open(turn: Turn, leg_id: str) -> bool:
    """Whether a worker has not finished with a task of the call."""
    return tasks.is_open(turn)


def task_awaits_write_up(turn: Turn, leg_id: str) -> bool:
    """Whether the worker of an open task has been talking until now: their time for writing it up begins only here."""
    agents = len(turn.talking())
    return tasks.is_open(turn) and (agents > 1 or (agents > 0 and not turn.call.policy.wrap_up_s))


def agents_talk(turn: Turn, leg_id: str) -> bool:
    """Whether two are still in the room with something to say to one another."""
    return len(turn.talking()) > 1


def nobody_live(turn: Turn, leg_id: str) -> bool:
    """Whether every leg is over."""
    return not turn.live()


def begin_wrap_up(turn: Turn, leg_id: str) -> None:
    """The agents keep the room where the policy says so, everybody else leaves it."""
    stay = keeps_agents(turn)
    for leg in turn.live():
        if not stay or leg.role not in TALKING_ROLES:
            turn.stimulate(LEG, "remove", leg.leg)
    if turn.call.policy.wrap_up_s or not (stay and turn.talking()):
        turn.arm(TIMER, tasks.wrap_within_ms(turn))


def begin_last_words(turn: Turn, leg_id: str) -> None:
    """Two agents whose customer has gone are told so, and may finish what they were saying."""
    call = turn.call
    if call.room.sid is not None:
        turn.request(
            AnnounceAll(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                        deadline=turn.at + FLAGS_WITHIN_MS, conference_sid=call.room.sid, announce=CUSTOMER_GONE)
        )  # fmt: skip
    turn.arm(TIMER, turn.call.policy.abandoned_consult_s * 1000)


def release_agents(turn: Turn, leg_id: str) -> None:
    """They have said their last words; the work on the task goes on outside the room."""
    for leg in turn.live():
        turn.stimulate(LEG, "remove", leg.leg)
    turn.arm(TIMER, tasks.wrap_within_ms(turn))


def await_tasks(turn: Turn, leg_id: str) -> None:
    """Nobody is left in the room, and a worker writes it up: not for ever."""
    if TIMER not in turn.call.timers:
        turn.arm(TIMER, tasks.wrap_within_ms(turn))


def finish_tasks(turn: Turn, leg_id: str) -> None:
    """The time for writing up is over."""
    for item in turn.call.tasks:
        if item.state in OPEN_TASK_STATES:
            turn.stimulate(TASK, "finish", item.task)


WRAP_UP_GUARDS: dict[str, Guard] = {
    "wraps_up": wraps_up,
    "consult_abandoned": consult_abandoned,
    "task_open": task_open,
    "task_awaits_write_up": task_awaits_write_up,
    "agents_talk": agents_talk,
    "nobody_live": nobody_live,
}
WRAP_UP_EFFECTS: dict[str, Act] = {
    "begin_wrap_up": begin_wrap_up,
    "begin_last_words": begin_last_words,
    "release_agents": release_agents,
    "await_tasks": await_tasks,
    "finish_tasks": finish_tasks,
}
