"""The reaper: no call lives on hope. Twilio is looked at now and then, and a call that has nobody left is ended."""

from engine.core import enqueued, flags, tasks
from engine.core.turn import CALL, Turn
from schemas.state import CallState

REAP = "reap"
REAP_EVERY_MS = 600_000
REAP_TALKING_EVERY_MS = 3_600_000
_TALKING = frozenset({CallState.IN_CONFERENCE, CallState.HELD})


def due(turn: Turn) -> None:
    """Look first; only a call that has not even a leg to look for is ended without."""
    if turn.live():
        flags.look_up(turn)
    else:
        _tell(turn)
        turn.stimulate(CALL, "everybody_gone")
    turn.arm(REAP, REAP_TALKING_EVERY_MS if turn.call.state in _TALKING else REAP_EVERY_MS)


def looked(turn: Turn, asked_at: int) -> None:
    """The reaper is armed anew with each look of its own: of that one, tell when it has found nobody."""
    if turn.call.timers.get(REAP) in {asked_at + REAP_EVERY_MS, asked_at + REAP_TALKING_EVERY_MS} and not turn.live():
        _tell(turn)


def _tell(turn: Turn) -> None:
    call = turn.call
    expected = call.state is CallState.ENDED or call.room.ending or tasks.is_open(turn)
    if not expected and not enqueued.customer_to_come(turn, ""):
        turn.set(reason=call.reason or "lost")
        turn.tell_call("call.reaped", reason="lost")
