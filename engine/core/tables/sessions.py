"""The session machine: a call that a Conversations service has by `<Connect><Conversation>` (twilio-facts.md 2.9).

The service finds a worker, dials and bridges; we are told. Status callbacks may be lost, for Twilio sends them once:
so every later fact is taken in every earlier state, the request to the action decides, and a look at the waiting leg's
call stands in for that.
"""

from engine.core.table import Row
from schemas.sessions import SessionState

CONNECTING, DIALING, RINGING, TALKING = "connecting", "dialing", "ringing", "talking"
CLOSING, SUCCEEDED, FAILED, ABANDONED = "closing", "succeeded", "failed", "abandoned"
STATES = [state.value for state in SessionState]
COMING = [CONNECTING, DIALING, RINGING]
LIVE = [*COMING, TALKING, CLOSING]

SESSION_ROWS: tuple[Row, ...] = (
    # Status callbacks, about the leg that the service dials.
    {"trigger": "initiated", "source": CONNECTING, "dest": DIALING, "after": ["tell_dialing"]},
    {"trigger": "ringing", "source": [CONNECTING, DIALING], "dest": RINGING, "after": ["tell_ringing"]},
    {"trigger": "answered", "source": COMING, "dest": TALKING, "after": ["begin_talk"]},
    {"trigger": "completed", "source": [*COMING, TALKING], "dest": CLOSING, "after": ["await_result"]},
    # The request to the action: the result, and what we have answered.
    {"trigger": "connected", "source": LIVE, "dest": SUCCEEDED, "after": ["end_talk", "end_call"]},
    {"trigger": "unreached", "source": LIVE, "dest": ABANDONED, "conditions": ["caller_gone"],
     "after": ["end_unreached", "tell_abandoned", "end_call"]},
    {"trigger": "unreached", "source": LIVE, "dest": FAILED, "conditions": ["led_into_room"],
     "after": ["end_unreached", "let_into_room"]},
    {"trigger": "unreached", "source": LIVE, "dest": FAILED,
     "after": ["end_unreached", "tell_unanswered", "end_call"]},
    # The waiting leg's call is over, as its own status callback or a look says: the result is on its way, or was lost.
    {"trigger": "caller_left", "source": LIVE, "dest": CLOSING, "after": ["await_result"]},
    {"trigger": "overdue", "source": LIVE, "dest": SUCCEEDED, "conditions": ["caller_gone", "talked"],
     "after": ["end_talk", "end_call"]},
    {"trigger": "overdue", "source": LIVE, "dest": ABANDONED, "conditions": ["caller_gone"],
     "after": ["end_unreached", "tell_abandoned", "end_call"]},
    # It takes longer than it can: look. Nobody is hung up for a callback that was lost.
    {"trigger": "overdue", "source": LIVE, "dest": "=", "after": ["look"]},
    {"trigger": "end_asked", "source": LIVE, "dest": "=", "after": ["hang_up", "await_result"]},
)  # fmt: skip
