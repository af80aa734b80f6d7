"""The supervision machine, one per supervisor leg (state-machines.md section 7).

A supervisor comes in muted and is switched by one participant update at a time. `settled` is tried after every record:
it asks whether Twilio shows the mode that is wanted. Any doubt mutes; whoever cannot be muted is taken out.
"""

from engine.core.table import Row
from schemas.state import SupervisionState

DIALING, SWITCHING = "dialing", "switching"
MONITORING, COACHING, BARGED = "monitoring", "coaching", "barged"
TAKING_OVER, LEAVING = "taking_over", "leaving"
LEFT, FAILED, TAKEN_OVER = "left", "failed", "taken_over"
STATES = [state.value for state in SupervisionState]
MODES = [MONITORING, COACHING, BARGED]
INSIDE = [SWITCHING, *MODES]
ACTIVE = [DIALING, *INSIDE, TAKING_OVER, LEAVING]

SUPERVISION_ROWS: tuple[Row, ...] = (
    # Into the room, muted.
    {"trigger": "joined", "source": DIALING, "dest": MONITORING, "conditions": ["wants_monitor", "mode_shown"],
     "after": ["reached"]},
    {"trigger": "joined", "source": DIALING, "dest": SWITCHING, "after": ["switch"]},
    {"trigger": "joined", "source": [LEFT, FAILED], "dest": "=", "after": ["out"]},
    {"trigger": "gone", "source": DIALING, "dest": LEFT, "conditions": ["call_over"], "after": ["tell_ended"]},
    {"trigger": "gone", "source": DIALING, "dest": FAILED, "after": ["tell_unreached"]},
    # From mode to mode: reached when Twilio shows it.
    {"trigger": "mode", "source": MODES, "dest": SWITCHING, "after": ["switch"]},
    {"trigger": "settled", "source": [*INSIDE, TAKING_OVER], "dest": LEAVING, "conditions": ["leg_leaving"],
     "after": ["disarm"]},
    {"trigger": "settled", "source": SWITCHING, "dest": MONITORING,
     "conditions": ["wants_monitor", "mode_shown", "acknowledged"], "after": ["reached"]},
    {"trigger": "settled", "source": SWITCHING, "dest": COACHING,
     "conditions": ["wants_coach", "mode_shown", "answered"], "after": ["reached"]},
    {"trigger": "settled", "source": SWITCHING, "dest": BARGED, "conditions": ["wants_barge", "mode_shown"],
     "after": ["reached"]},
    # Refused, or not shown in time: mute, look, say so. What cannot be muted goes out.
    {"trigger": "refused", "source": SWITCHING, "dest": LEAVING, "conditions": ["given_up"], "after": ["out"]},
    {"trigger": "refused", "source": SWITCHING, "dest": SWITCHING, "after": ["silence"]},
    {"trigger": "overdue", "source": SWITCHING, "dest": LEAVING, "conditions": ["given_up"], "after": ["out"]},
    {"trigger": "overdue", "source": SWITCHING, "dest": SWITCHING, "after": ["blame_deadline", "silence"]},
    # Heard differently from what the mode says, and nobody asked here.
    {"trigger": "settled", "source": MODES, "dest": SWITCHING, "unless": ["mode_shown"],
     "after": ["blame_drift", "silence"]},
    # The coached agent has gone: nobody else may hear what was meant for them.
    {"trigger": "coach_left", "source": [COACHING, SWITCHING], "dest": SWITCHING,
     "conditions": ["follows", "other_agent"], "after": ["coach_other", "switch"]},
    {"trigger": "coach_left", "source": [COACHING, SWITCHING], "dest": SWITCHING,
     "after": ["blame_coach_left", "silence"]},
    {"trigger": "coach_left", "source": DIALING, "dest": DIALING, "conditions": ["follows", "other_agent"],
     "after": ["coach_other"]},
    {"trigger": "coach_left", "source": DIALING, "dest": LEAVING, "after": ["blame_coach_left", "out"]},
    # The call goes its way.
    {"trigger": "customer_held", "source": [*INSIDE, TAKING_OVER], "dest": "=", "after": ["tell_customer_held"]},
    {"trigger": "transferred", "source": INSIDE, "dest": SWITCHING, "conditions": ["follows", "lost_its_agent"],
     "after": ["coach_new", "switch"]},
    {"trigger": "transferred", "source": [DIALING, *INSIDE], "dest": "=", "conditions": ["follows"]},
    {"trigger": "transferred", "source": INSIDE, "dest": LEAVING, "after": ["blame_transferred", "out"]},
    {"trigger": "transferred", "source": DIALING, "dest": "="},
    # The supervisor becomes the agent: first nothing may end with the former one, then that one goes.
    {"trigger": "takeover", "source": BARGED, "dest": TAKING_OVER, "after": ["take_over"]},
    {"trigger": "settled", "source": TAKING_OVER, "dest": TAKEN_OVER, "conditions": ["former_gone"],
     "after": ["tell_taken_over"]},
    {"trigger": "settled", "source": TAKING_OVER, "dest": TAKING_OVER, "conditions": ["former_let_go"],
     "unless": ["former_leaving"], "after": ["remove_former"]},
    {"trigger": "overdue", "source": TAKING_OVER, "dest": TAKING_OVER, "conditions": ["former_leaving"],
     "after": ["look_up", "watch"]},
    {"trigger": "overdue", "source": TAKING_OVER, "dest": BARGED, "after": ["blame_deadline", "give_back"]},
    # Out.
    {"trigger": "leave", "source": [DIALING, *INSIDE], "dest": LEAVING, "after": ["out"]},
    {"trigger": "gone", "source": [*INSIDE, TAKING_OVER, LEAVING], "dest": LEFT, "after": ["disarm", "tell_ended"]},
)  # fmt: skip
