"""The leg machine: everything that moves a leg is in this table (state-machines.md section 4).

A leg is one Twilio call. Facts may overtake one another, so later facts are taken in every earlier state, and a
terminal state takes none but those that prove that a call is still up which nobody expects.
"""

from engine.core.table import Row
from schemas.state import LegState

PLANNED, DIALING, RINGING, ANSWERED = "planned", "dialing", "ringing", "answered"
JOINED, LEAVING, LEFT, FAILED, LOST = "joined", "leaving", "left", "failed", "lost"
STATES = [state.value for state in LegState]
CALLED = [DIALING, RINGING, ANSWERED]
NOT_IN = [PLANNED, *CALLED]

LEG_ROWS: tuple[Row, ...] = (
    # Twilio has made the call: its SID is known.
    {"trigger": "created", "source": PLANNED, "dest": DIALING, "after": ["await_answer"]},
    {"trigger": "created", "source": [*CALLED, JOINED, LEFT], "dest": "="},
    {"trigger": "created", "source": LEAVING, "dest": LEAVING, "after": ["hang_up"]},
    {"trigger": "created", "source": [FAILED, LOST], "dest": "=", "after": ["hang_up"]},
    # Twilio has refused to make it, or too late.
    {"trigger": "create_failed", "source": [PLANNED, LEAVING], "dest": FAILED, "after": ["close"]},
    # It cannot be said whether Twilio has made it: look once more, then give up, never dial again on a guess.
    {"trigger": "create_doubtful", "source": PLANNED, "dest": PLANNED, "unless": ["doubted"],
     "after": ["doubt", "look_up", "await_look"]},
    {"trigger": "create_doubtful", "source": PLANNED, "dest": FAILED, "conditions": ["doubted"],
     "after": ["blame_create", "close"]},
    {"trigger": "create_doubtful", "source": LEAVING, "dest": LEAVING, "after": ["look_up"]},
    # Call progress.
    {"trigger": "dialing", "source": PLANNED, "dest": DIALING, "after": ["await_answer"]},
    {"trigger": "ringing", "source": [PLANNED, DIALING], "dest": RINGING, "after": ["await_answer", "rang"]},
    {"trigger": "answered", "source": [PLANNED, DIALING, RINGING], "dest": ANSWERED, "after": ["await_join"]},
    {"trigger": "joined", "source": [*NOT_IN, LEFT, LOST], "dest": JOINED, "after": ["enter"]},
    {"trigger": "joined", "source": LEAVING, "dest": LEAVING, "after": ["enter_late", "remove"]},
    {"trigger": "joined", "source": FAILED, "dest": FAILED, "after": ["remove"]},
    {"trigger": "ended", "source": ANSWERED, "dest": LEFT, "conditions": ["was_in"], "after": ["close"]},
    {"trigger": "ended", "source": NOT_IN, "dest": FAILED, "after": ["close"]},
    {"trigger": "ended", "source": JOINED, "dest": LEFT, "after": ["close"]},
    {"trigger": "ended", "source": LEAVING, "dest": LEFT, "conditions": ["was_in"], "after": ["close"]},
    {"trigger": "ended", "source": LEAVING, "dest": FAILED, "unless": ["was_in"], "after": ["close"]},
    # The conference says that it left, or that it could never be added.
    {"trigger": "left", "source": NOT_IN, "dest": FAILED, "conditions": ["never_added"], "after": ["close"]},
    {"trigger": "left", "source": [*NOT_IN, JOINED], "dest": LEFT, "after": ["close"]},
    {"trigger": "left", "source": LEAVING, "dest": FAILED, "conditions": ["never_added"], "after": ["close"]},
    {"trigger": "left", "source": LEAVING, "dest": LEFT, "after": ["close"]},
    # Answering-machine detection, where no machine is wanted; a customer's may be left a message.
    {"trigger": "machine", "source": [*CALLED, JOINED], "dest": LEAVING, "conditions": ["takes_message"],
     "after": ["blame_machine", "ours", "leave_message", "await_message"]},
    {"trigger": "machine", "source": [*CALLED, JOINED], "dest": LEAVING,
     "after": ["blame_machine", "hang_up", "await_leave"]},
    # We want it gone.
    {"trigger": "remove", "source": PLANNED, "dest": LEAVING, "after": ["ours", "hang_up", "await_leave"]},
    {"trigger": "remove", "source": CALLED, "dest": LEAVING, "after": ["ours", "hang_up", "await_leave"]},
    {"trigger": "remove", "source": JOINED, "dest": LEAVING, "after": ["ours", "remove", "await_leave"]},
    # We have ended the room: it goes with it.
    {"trigger": "ending", "source": JOINED, "dest": LEAVING, "after": ["ours", "await_leave"]},
    # Twilio knows no such participant or call (404 on removal, or a look at the room).
    {"trigger": "gone", "source": [JOINED], "dest": LEFT, "after": ["blame_gone", "close"]},
    {"trigger": "gone", "source": LEAVING, "dest": LEFT, "conditions": ["was_in"], "after": ["blame_gone", "close"]},
    {"trigger": "gone", "source": LEAVING, "dest": FAILED, "unless": ["was_in"], "after": ["blame_gone", "close"]},
    {"trigger": "gone", "source": PLANNED, "dest": FAILED, "conditions": ["doubted"],
     "after": ["blame_create", "close"]},
    {"trigger": "gone", "source": ANSWERED, "dest": LEFT, "conditions": ["was_in"], "after": ["blame_gone", "close"]},
    {"trigger": "gone", "source": CALLED, "dest": LOST, "after": ["close"]},
    # The leg's own timer: how long it may stay in a state.
    {"trigger": "overdue", "source": PLANNED, "dest": PLANNED, "unless": ["doubted"],
     "after": ["doubt", "look_up", "await_look"]},
    {"trigger": "overdue", "source": PLANNED, "dest": FAILED, "conditions": ["doubted"],
     "after": ["blame_create", "close"]},
    # Before anybody is hung up for not answering, a look: the callbacks may have been lost.
    {"trigger": "overdue", "source": CALLED, "dest": "=", "unless": ["doubted"],
     "after": ["doubt", "look_up", "await_look"]},
    {"trigger": "overdue", "source": [DIALING, RINGING], "dest": LEAVING,
     "after": ["blame_no_answer", "ours", "hang_up", "await_leave"]},
    {"trigger": "overdue", "source": ANSWERED, "dest": LEAVING,
     "after": ["blame_never_joined", "ours", "hang_up", "await_leave"]},
    {"trigger": "overdue", "source": LEAVING, "dest": LOST, "conditions": ["given_up"], "after": ["close"]},
    {"trigger": "overdue", "source": LEAVING, "dest": LEAVING, "after": ["doubt", "look_up", "hang_up", "await_leave"]},
    # The conference was lost, and the leg goes on in the next one.
    {"trigger": "rescued", "source": [RINGING, ANSWERED, JOINED], "dest": ANSWERED,
     "after": ["leave_behind", "rejoin"]},
    # The conference has ended for all.
    {"trigger": "hub_ended", "source": JOINED, "dest": LEFT, "after": ["blame_hub", "close"]},
    {"trigger": "hub_ended", "source": LEAVING, "dest": LEFT, "conditions": ["was_in"],
     "after": ["blame_hub", "close"]},
    {"trigger": "hub_ended", "source": NOT_IN, "dest": LEAVING,
     "after": ["blame_hub", "ours", "hang_up", "await_leave"]},
)  # fmt: skip
