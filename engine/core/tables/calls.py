"""The call machine: the spine `ringing → in_conference → held → transferring → ended` (state-machines.md section 5).

A call moves on what its legs and its transfer do. `held`, `transferring` and `orphaned` are entered by facts only.
"""

from engine.core.table import Row
from schemas.state import CallState

RINGING, WAITING, IN_CONFERENCE, HELD = "ringing", "waiting", "in_conference", "held"
TRANSFERRING, ORPHANED, WRAP_UP, ENDED = "transferring", "orphaned", "wrap_up", "ended"
STATES = [state.value for state in CallState]
LIVE = [state for state in STATES if state != ENDED]
TALKING = [IN_CONFERENCE, HELD]
SERVED = [*TALKING, TRANSFERRING, ORPHANED]

CALL_ROWS: tuple[Row, ...] = (
    {"trigger": "customer_joined", "source": [RINGING, WAITING], "dest": IN_CONFERENCE, "conditions": ["agent_present"],
     "after": ["connect"]},
    {"trigger": "customer_joined", "source": ORPHANED, "dest": IN_CONFERENCE, "conditions": ["agent_present"],
     "after": ["recover", "connect"]},
    {"trigger": "customer_joined", "source": ORPHANED, "dest": ORPHANED, "conditions": ["agent_returning"],
     "after": ["await_agent"]},
    {"trigger": "customer_joined", "source": ORPHANED, "dest": ORPHANED, "after": ["comfort_orphan"]},
    {"trigger": "customer_joined", "source": RINGING, "dest": WAITING, "after": ["begin_waiting"]},
    # The caller waits in TaskRouter's own queue, and comes into a room with the worker, or alone when given back.
    {"trigger": "enqueued", "source": RINGING, "dest": WAITING, "after": ["begin_queueing"]},
    {"trigger": "given_back", "source": WAITING, "dest": RINGING, "after": ["stop_queueing"]},
    {"trigger": "customer_joined", "source": WAITING, "dest": WAITING, "after": ["serve_alone"]},
    {"trigger": "customer_joined", "source": [*TALKING, TRANSFERRING], "dest": "="},
    {"trigger": "agent_joined", "source": [RINGING, WAITING], "dest": IN_CONFERENCE, "conditions": ["customer_present"],
     "after": ["connect"]},
    {"trigger": "agent_joined", "source": RINGING, "dest": RINGING, "conditions": ["outbound"],
     "after": ["dial_customer"]},
    {"trigger": "agent_joined", "source": ORPHANED, "dest": IN_CONFERENCE, "conditions": ["customer_present"],
     "after": ["recover", "connect"]},
    {"trigger": "agent_joined", "source": [RINGING, WAITING, *SERVED, WRAP_UP], "dest": "="},
    {"trigger": "agent_failed", "source": WAITING, "dest": WAITING, "after": ["next_route"]},
    {"trigger": "agent_failed", "source": ORPHANED, "dest": ORPHANED, "conditions": ["orphan_alone"],
     "after": ["next_orphan_step"]},
    {"trigger": "agent_failed", "source": RINGING, "dest": ENDED, "conditions": ["outbound", "nobody_coming"],
     "after": ["blame_agent", "tell_cancelled", "end"]},
    {"trigger": "agent_failed", "source": [RINGING, ORPHANED, *TALKING, TRANSFERRING, WRAP_UP], "dest": "="},
    {"trigger": "agents_gone", "source": TALKING, "dest": "=", "conditions": ["ending"]},
    {"trigger": "agents_gone", "source": TALKING, "dest": ORPHANED, "after": ["end_hold", "comfort_orphan"]},
    {"trigger": "agents_gone", "source": RINGING, "dest": ENDED, "conditions": ["outbound"],
     "after": ["blame_agent", "tell_cancelled", "end"]},
    {"trigger": "agents_gone", "source": WRAP_UP, "dest": ENDED, "after": ["end"]},
    {"trigger": "agents_gone", "source": ORPHANED, "dest": ORPHANED, "conditions": ["orphan_alone"],
     "after": ["comfort_orphan"]},
    {"trigger": "agents_gone", "source": [RINGING, WAITING, TRANSFERRING, ORPHANED], "dest": "="},
    {"trigger": "customer_failed", "source": [RINGING, WAITING, *SERVED], "dest": WRAP_UP,
     "conditions": ["tells_agent"], "after": ["tell_unanswered", "say_unanswered"]},
    {"trigger": "customer_failed", "source": [RINGING, WAITING, *SERVED], "dest": ENDED,
     "after": ["tell_unanswered", "end"]},
    {"trigger": "customer_left", "source": LIVE, "dest": ENDED, "conditions": ["ending"], "after": ["end"]},
    {"trigger": "customer_left", "source": WAITING, "dest": ENDED, "conditions": ["sent_off"], "after": ["end"]},
    {"trigger": "customer_left", "source": [RINGING, WAITING], "dest": ENDED, "after": ["tell_abandoned", "end"]},
    {"trigger": "customer_left", "source": TRANSFERRING, "dest": WRAP_UP, "conditions": ["consult_abandoned"],
     "after": ["tell_customer_left", "begin_last_words"]},
    {"trigger": "customer_left", "source": SERVED, "dest": WRAP_UP, "conditions": ["wraps_up", "agent_present"],
     "after": ["tell_customer_left", "begin_wrap_up"]},
    {"trigger": "customer_left", "source": SERVED, "dest": ENDED, "after": ["tell_customer_left", "end"]},
    {"trigger": "customer_held", "source": IN_CONFERENCE, "dest": HELD, "after": ["begin_hold"]},
    {"trigger": "customer_held", "source": [WAITING, HELD, TRANSFERRING, ORPHANED], "dest": "="},
    {"trigger": "customer_unheld", "source": HELD, "dest": IN_CONFERENCE, "after": ["end_hold", "guard_customer"]},
    {"trigger": "customer_unheld", "source": IN_CONFERENCE, "dest": IN_CONFERENCE, "after": ["guard_customer"]},
    {"trigger": "customer_unheld", "source": [WAITING, TRANSFERRING, ORPHANED], "dest": "="},
    {"trigger": "customer_detected", "source": IN_CONFERENCE, "dest": IN_CONFERENCE, "after": ["guard_customer"]},
    {"trigger": "transfer_started", "source": TALKING, "dest": TRANSFERRING, "after": ["end_hold"]},
    {"trigger": "transfer_over", "source": TRANSFERRING, "dest": WAITING, "conditions": ["requeues"],
     "after": ["requeue"]},
    {"trigger": "transfer_over", "source": TRANSFERRING, "dest": ORPHANED, "unless": ["agent_present"],
     "after": ["comfort_orphan"]},
    {"trigger": "transfer_over", "source": TRANSFERRING, "dest": HELD, "conditions": ["customer_is_held"],
     "after": ["begin_hold"]},
    {"trigger": "transfer_over", "source": TRANSFERRING, "dest": IN_CONFERENCE, "after": ["guard_customer"]},
    {"trigger": "max_wait", "source": WAITING, "dest": WAITING, "after": ["blame_max_wait", "overflow"]},
    {"trigger": "orphan_due", "source": ORPHANED, "dest": ORPHANED, "conditions": ["orphan_alone"],
     "after": ["next_orphan_step"]},
    {"trigger": "orphan_due", "source": ORPHANED, "dest": ORPHANED, "after": ["comfort_orphan"]},
    {"trigger": "reminder_due", "source": HELD, "dest": HELD, "after": ["remind"]},
    {"trigger": "hold_due", "source": HELD, "dest": WAITING, "conditions": ["requeues_hold"], "after": ["requeue"]},
    {"trigger": "hold_due", "source": HELD, "dest": HELD, "after": ["hold_too_long"]},
    {"trigger": "requeue", "source": [*TALKING, ORPHANED], "dest": WAITING, "after": ["requeue"]},
    {"trigger": "requeued", "source": WAITING, "dest": WAITING, "after": ["begin_waiting"]},
    # A Conversations service has the call (the session machine); after it, it is over, or a caller like any other.
    {"trigger": "session_talking", "source": RINGING, "dest": IN_CONFERENCE},
    {"trigger": "session_waits", "source": RINGING, "dest": RINGING},
    {"trigger": "session_waits", "source": IN_CONFERENCE, "dest": WAITING, "after": ["begin_waiting"]},
    {"trigger": "session_over", "source": [RINGING, IN_CONFERENCE], "dest": ENDED, "after": ["end"]},
    {"trigger": "wrapped", "source": WRAP_UP, "dest": ENDED, "after": ["end"]},
    # A conference that nobody here wanted to end: whose call is up goes on in the next room (state-machines.md 8).
    {"trigger": "hub_lost", "source": [RINGING, WAITING], "dest": "=", "conditions": ["rescuable"],
     "after": ["rescue"]},
    {"trigger": "hub_lost", "source": SERVED, "dest": ORPHANED, "conditions": ["rescuable"],
     "after": ["end_hold", "recover", "rescue"]},
    {"trigger": "hub_ended", "source": LIVE, "dest": ENDED, "after": ["blame_hub", "end"]},
    {"trigger": "everybody_gone", "source": LIVE, "dest": ENDED, "after": ["end"]},
    {"trigger": "end_asked", "source": LIVE, "dest": "=", "after": ["end_room"]},
)  # fmt: skip
