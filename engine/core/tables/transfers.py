"""The transfer machine (state-machines.md section 6): a child of the call with its own id.

`settled` is tried after every record: it asks whether all that the state waits for has been observed.
"""

from engine.core.table import Row
from schemas.state import TransferState

PREPARING, DIALING, AWAITING_TARGET = "preparing", "dialing", "awaiting_target"
CONSULTING, SWAPPED, THREE_WAY = "consulting", "swapped", "three_way"
COMPLETING, CANCELLING, FALLBACK = "completing", "cancelling", "fallback"
COMPLETED, CANCELLED, FAILED, ABANDONED = "completed", "cancelled", "failed", "abandoned"
STATES = [state.value for state in TransferState]
TERMINAL = [COMPLETED, CANCELLED, FAILED, ABANDONED]
ACTIVE = [state for state in STATES if state not in TERMINAL]
REACHING = [DIALING, AWAITING_TARGET]
TOGETHER = [CONSULTING, SWAPPED, THREE_WAY]

TRANSFER_ROWS: tuple[Row, ...] = (
    # Nothing may take the customer along when the initiator goes: flags first, then the hold, both confirmed (N2).
    {"trigger": "settled", "source": PREPARING, "dest": DIALING, "conditions": ["flags_clear", "customer_ready"],
     "after": ["disarm", "dial_target", "release_at_once"]},
    {"trigger": "overdue", "source": PREPARING, "dest": CANCELLING, "after": ["blame_prepare", "undo"]},
    {"trigger": "initiator_left", "source": PREPARING, "dest": AWAITING_TARGET,
     "after": ["disarm", "comfort", "dial_target"]},
    {"trigger": "cancel", "source": PREPARING, "dest": CANCELLING, "after": ["undo"]},
    # Reaching the target.
    {"trigger": "target_joined", "source": DIALING, "dest": CONSULTING, "conditions": ["consults"],
     "after": ["begin_consult"]},
    {"trigger": "target_joined", "source": REACHING, "dest": COMPLETING, "after": ["hand_over"]},
    {"trigger": "target_ringing", "source": DIALING, "dest": DIALING, "conditions": ["releases_on_ring"],
     "unless": ["consults"], "after": ["release_initiator"]},
    {"trigger": "target_ringing", "source": ACTIVE, "dest": "="},
    {"trigger": "target_failed", "source": REACHING, "dest": "=", "conditions": ["more_targets"],
     "after": ["tell_attempt_failed", "dial_target"]},
    {"trigger": "target_failed", "source": REACHING, "dest": FALLBACK, "after": ["tell_attempt_failed", "fall_back"]},
    {"trigger": "initiator_left", "source": DIALING, "dest": AWAITING_TARGET, "after": ["comfort"]},
    {"trigger": "complete", "source": DIALING, "dest": AWAITING_TARGET, "after": ["comfort", "release_initiator"]},
    {"trigger": "swap", "source": DIALING, "dest": SWAPPED, "after": ["talk_to_customer"]},
    {"trigger": "merge", "source": DIALING, "dest": THREE_WAY, "after": ["join_all"]},
    {"trigger": "initiator_left", "source": [AWAITING_TARGET, COMPLETING, FALLBACK], "dest": "="},
    {"trigger": "cancel", "source": DIALING, "dest": CANCELLING, "after": ["undo"]},
    {"trigger": "cancel", "source": AWAITING_TARGET, "dest": FALLBACK,
     "after": ["blame_cancel", "drop_target", "fall_back"]},
    # Initiator and target talk, the customer is held.
    {"trigger": "complete", "source": CONSULTING, "dest": COMPLETING, "after": ["stop_consult_limit", "hand_over_all"]},
    {"trigger": "initiator_left", "source": CONSULTING, "dest": COMPLETING,
     "after": ["stop_consult_limit", "hand_over_all"]},
    {"trigger": "swap", "source": CONSULTING, "dest": SWAPPED, "after": ["stop_consult_limit", "talk_to_customer"]},
    {"trigger": "merge", "source": CONSULTING, "dest": THREE_WAY, "after": ["stop_consult_limit", "join_all"]},
    {"trigger": "cancel", "source": CONSULTING, "dest": CANCELLING, "after": ["stop_consult_limit", "undo"]},
    {"trigger": "target_failed", "source": CONSULTING, "dest": CANCELLING,
     "after": ["stop_consult_limit", "blame_target_left", "undo"]},
    {"trigger": "consult_due", "source": CONSULTING, "dest": CONSULTING, "conditions": ["alerts"],
     "after": ["tell_consult_limit"]},
    {"trigger": "consult_due", "source": CONSULTING, "dest": THREE_WAY, "conditions": ["merges"],
     "after": ["join_all"]},
    {"trigger": "consult_due", "source": CONSULTING, "dest": CANCELLING, "after": ["blame_consult_limit", "undo"]},
    # Initiator and customer talk again, the target is held or still rings.
    {"trigger": "swap", "source": SWAPPED, "dest": CONSULTING, "conditions": ["target_in"],
     "after": ["talk_to_target", "begin_consult"]},
    {"trigger": "swap", "source": SWAPPED, "dest": DIALING, "after": ["comfort"]},
    {"trigger": "target_joined", "source": SWAPPED, "dest": SWAPPED, "after": ["hold_target", "tell_arrival"]},
    {"trigger": "target_failed", "source": SWAPPED, "dest": CANCELLED, "after": ["blame_target_left", "finish"]},
    {"trigger": "complete", "source": SWAPPED, "dest": COMPLETING, "conditions": ["target_in"],
     "after": ["hand_over_all"]},
    {"trigger": "complete", "source": SWAPPED, "dest": AWAITING_TARGET, "after": ["comfort", "release_initiator"]},
    {"trigger": "initiator_left", "source": SWAPPED, "dest": COMPLETING, "conditions": ["target_in"],
     "after": ["hand_over_all"]},
    {"trigger": "initiator_left", "source": SWAPPED, "dest": AWAITING_TARGET, "after": ["comfort"]},
    {"trigger": "merge", "source": SWAPPED, "dest": THREE_WAY, "after": ["join_all"]},
    {"trigger": "cancel", "source": SWAPPED, "dest": CANCELLING, "after": ["undo"]},
    # All three talk.
    {"trigger": "target_joined", "source": THREE_WAY, "dest": THREE_WAY, "after": ["tell_arrival"]},
    {"trigger": "complete", "source": THREE_WAY, "dest": COMPLETING, "conditions": ["target_in"],
     "after": ["hand_over_all"]},
    {"trigger": "complete", "source": THREE_WAY, "dest": AWAITING_TARGET, "after": ["comfort", "release_initiator"]},
    {"trigger": "initiator_left", "source": THREE_WAY, "dest": COMPLETING, "conditions": ["target_in"],
     "after": ["hand_over_all"]},
    {"trigger": "initiator_left", "source": THREE_WAY, "dest": AWAITING_TARGET, "after": ["comfort"]},
    {"trigger": "target_failed", "source": THREE_WAY, "dest": CANCELLED, "after": ["blame_target_left", "finish"]},
    {"trigger": "cancel", "source": THREE_WAY, "dest": CANCELLING, "after": ["undo"]},
    {"trigger": "overdue", "source": TOGETHER, "dest": "=", "after": ["look_up"]},
    # Everything is on its way; success is told only when it has been observed together.
    {"trigger": "settled", "source": COMPLETING, "dest": COMPLETED, "conditions": ["handed_over"],
     "after": ["adopt_target"]},
    {"trigger": "overdue", "source": COMPLETING, "dest": COMPLETING, "after": ["look_up", "hand_over_all"]},
    {"trigger": "target_failed", "source": COMPLETING, "dest": CANCELLING, "conditions": ["initiator_present"],
     "after": ["blame_target_left", "undo"]},
    {"trigger": "target_failed", "source": COMPLETING, "dest": FALLBACK, "after": ["tell_attempt_failed", "fall_back"]},
    # Back to where it was.
    {"trigger": "settled", "source": CANCELLING, "dest": FALLBACK, "conditions": ["target_gone"],
     "unless": ["initiator_present"], "after": ["disarm", "fall_back"]},
    {"trigger": "settled", "source": CANCELLING, "dest": FAILED, "conditions": ["undone", "blamed"],
     "after": ["finish"]},
    {"trigger": "settled", "source": CANCELLING, "dest": CANCELLED, "conditions": ["undone"], "after": ["finish"]},
    {"trigger": "target_joined", "source": [CANCELLING, FALLBACK], "dest": "=", "after": ["tell_race", "drop_target"]},
    {"trigger": "target_failed", "source": [CANCELLING, FALLBACK], "dest": "="},
    {"trigger": "initiator_left", "source": CANCELLING, "dest": "="},
    {"trigger": "overdue", "source": CANCELLING, "dest": CANCELLING, "after": ["look_up", "undo"]},
    # Nobody could be reached.
    {"trigger": "settled", "source": FALLBACK, "dest": FAILED, "conditions": ["returned"], "after": ["finish"]},
    {"trigger": "settled", "source": FALLBACK, "dest": FAILED, "conditions": ["sent_off"], "after": ["finish"]},
    {"trigger": "settled", "source": FALLBACK, "dest": FALLBACK, "conditions": ["return_lost"], "after": ["fall_back"]},
    {"trigger": "recalled", "source": FALLBACK, "dest": FALLBACK, "after": ["unhold_customer"]},
    {"trigger": "recall_failed", "source": FALLBACK, "dest": FALLBACK, "after": ["send_off"]},
    {"trigger": "overdue", "source": FALLBACK, "dest": FALLBACK, "after": ["look_up", "unhold_customer"]},
    # The customer, or the room, is gone. Agents who were consulting may go on; nobody else keeps ringing.
    {"trigger": "customer_left", "source": [CONSULTING, SWAPPED, THREE_WAY], "dest": ABANDONED,
     "conditions": ["target_in"], "after": ["stop_consult_limit", "keep_agents", "finish"]},
    {"trigger": "customer_left", "source": ACTIVE, "dest": ABANDONED, "after": ["drop_target", "finish"]},
    {"trigger": "hub_ended", "source": ACTIVE, "dest": FAILED, "after": ["blame_hub", "drop_target", "finish"]},
)  # fmt: skip
