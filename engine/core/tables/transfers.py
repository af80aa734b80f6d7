"""The transfer machine (state-machines.md section 6): a child of the call with its own id; cold transfers.

`settled` is tried after every record: it asks whether all that the state waits for has been observed.
"""

from engine.core.table import Row
from schemas.state import TransferState

PREPARING, DIALING, AWAITING_TARGET = "preparing", "dialing", "awaiting_target"
COMPLETING, CANCELLING, FALLBACK = "completing", "cancelling", "fallback"
COMPLETED, CANCELLED, FAILED, ABANDONED = "completed", "cancelled", "failed", "abandoned"
STATES = [state.value for state in TransferState]
ACTIVE = [PREPARING, DIALING, AWAITING_TARGET, COMPLETING, CANCELLING, FALLBACK]
TERMINAL = [COMPLETED, CANCELLED, FAILED, ABANDONED]
REACHING = [DIALING, AWAITING_TARGET]

TRANSFER_ROWS: tuple[Row, ...] = (
    # Nothing may take the customer along when the initiator goes: flags first, confirmed (N2).
    {"trigger": "settled", "source": PREPARING, "dest": DIALING, "conditions": ["flags_clear"],
     "after": ["disarm", "dial_target", "release_at_once"]},
    {"trigger": "overdue", "source": PREPARING, "dest": CANCELLING, "after": ["blame_prepare", "undo"]},
    {"trigger": "initiator_left", "source": PREPARING, "dest": AWAITING_TARGET,
     "after": ["disarm", "comfort", "dial_target"]},
    {"trigger": "cancel", "source": PREPARING, "dest": CANCELLING, "after": ["undo"]},
    # Reaching the target.
    {"trigger": "target_joined", "source": REACHING, "dest": COMPLETING, "after": ["hand_over"]},
    {"trigger": "target_ringing", "source": DIALING, "dest": DIALING, "conditions": ["releases_on_ring"],
     "after": ["release_initiator"]},
    {"trigger": "target_ringing", "source": REACHING, "dest": "="},
    {"trigger": "target_failed", "source": REACHING, "dest": "=", "conditions": ["more_targets"],
     "after": ["tell_attempt_failed", "dial_target"]},
    {"trigger": "target_failed", "source": REACHING, "dest": FALLBACK, "after": ["tell_attempt_failed", "fall_back"]},
    {"trigger": "initiator_left", "source": DIALING, "dest": AWAITING_TARGET, "after": ["comfort"]},
    {"trigger": "initiator_left", "source": [AWAITING_TARGET, COMPLETING, FALLBACK], "dest": "="},
    {"trigger": "cancel", "source": DIALING, "dest": CANCELLING, "after": ["undo"]},
    {"trigger": "cancel", "source": AWAITING_TARGET, "dest": FALLBACK,
     "after": ["blame_cancel", "drop_target", "fall_back"]},
    # Everything is on its way; success is told only when it has been observed together.
    {"trigger": "settled", "source": COMPLETING, "dest": COMPLETED, "conditions": ["handed_over"],
     "after": ["adopt_target"]},
    {"trigger": "overdue", "source": COMPLETING, "dest": COMPLETING, "after": ["look_up", "hand_over"]},
    {"trigger": "target_failed", "source": COMPLETING, "dest": CANCELLING, "conditions": ["initiator_present"],
     "after": ["undo"]},
    {"trigger": "target_failed", "source": COMPLETING, "dest": FALLBACK, "after": ["tell_attempt_failed", "fall_back"]},
    # Back to where it was.
    {"trigger": "settled", "source": CANCELLING, "dest": FALLBACK, "conditions": ["target_gone"],
     "unless": ["initiator_present"],
     "after": ["disarm", "fall_back"]},
    {"trigger": "settled", "source": CANCELLING, "dest": FAILED, "conditions": ["undone", "blamed"],
     "after": ["finish"]},
    {"trigger": "settled", "source": CANCELLING, "dest": CANCELLED, "conditions": ["undone"], "after": ["finish"]},
    {"trigger": "target_joined", "source": [CANCELLING, FALLBACK], "dest": "=", "after": ["tell_race", "drop_target"]},
    {"trigger": "target_failed", "source": [CANCELLING, FALLBACK], "dest": "="},
    {"trigger": "target_ringing", "source": [CANCELLING, FALLBACK, COMPLETING], "dest": "="},
    {"trigger": "initiator_left", "source": CANCELLING, "dest": "="},
    {"trigger": "overdue", "source": CANCELLING, "dest": CANCELLING, "after": ["look_up", "undo"]},
    # Nobody could be reached.
    {"trigger": "settled", "source": FALLBACK, "dest": FAILED, "conditions": ["returned"], "after": ["finish"]},
    {"trigger": "settled", "source": FALLBACK, "dest": FAILED, "conditions": ["sent_off"], "after": ["finish"]},
    {"trigger": "settled", "source": FALLBACK, "dest": FALLBACK, "conditions": ["return_lost"], "after": ["fall_back"]},
    {"trigger": "recalled", "source": FALLBACK, "dest": FALLBACK, "after": ["unhold_customer"]},
    {"trigger": "recall_failed", "source": FALLBACK, "dest": FALLBACK, "after": ["send_off"]},
    {"trigger": "overdue", "source": FALLBACK, "dest": FALLBACK, "after": ["look_up", "unhold_customer"]},
    # The customer, or the room, is gone.
    {"trigger": "customer_left", "source": ACTIVE, "dest": ABANDONED, "after": ["drop_target", "finish"]},
    {"trigger": "hub_ended", "source": ACTIVE, "dest": FAILED, "after": ["blame_hub", "drop_target", "finish"]},
)  # fmt: skip
