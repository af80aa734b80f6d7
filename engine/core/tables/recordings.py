"""The recording machine, a small region of the call (state-machines.md section 7).

It is moved by Twilio's word only. Beginning and end are told by callbacks. Pausing and resuming are not: for the
recording of a call Twilio sends no callback then, so the status in the answer to the request is the fact
(twilio-facts.md 2.7). `settled` is tried after every record where the policy records by itself.
"""

from engine.core.table import Row
from schemas.state import RecordingState

OFF, STARTING, ON, PAUSED = "off", "starting", "on", "paused"
STOPPING, DONE, FAILED, ABSENT = "stopping", "done", "failed", "absent"
STATES = [state.value for state in RecordingState]
RUNNING = [ON, PAUSED]
ACTIVE = [STARTING, *RUNNING, STOPPING]

RECORDING_ROWS: tuple[Row, ...] = (
    # Asked for by a command, or by the policy once.
    {"trigger": "start", "source": [OFF, DONE, FAILED, ABSENT], "dest": STARTING, "after": ["begin"]},
    {"trigger": "settled", "source": OFF, "dest": STARTING, "conditions": ["policy_wants"], "after": ["begin"]},
    # Asked for in the TwiML of a conversation, which records by itself once somebody is there.
    {"trigger": "expected", "source": OFF, "dest": STARTING},
    {"trigger": "not_begun", "source": STARTING, "dest": OFF},
    # The answer tells the SID and no more; that it records is told by its callback, which may have been lost.
    {"trigger": "created", "source": STARTING, "dest": STARTING, "after": ["await_callback"]},
    {"trigger": "doubtful", "source": STARTING, "dest": STARTING, "after": ["await_callback"]},
    {"trigger": "refused", "source": STARTING, "dest": FAILED, "after": ["tell_failed"]},
    {"trigger": "overdue", "source": STARTING, "dest": ON, "conditions": ["sid_known", "leg_is_over"],
     "after": ["tell_started", "await_file"]},
    {"trigger": "overdue", "source": STARTING, "dest": ON, "conditions": ["sid_known"], "after": ["tell_started"]},
    {"trigger": "overdue", "source": STARTING, "dest": FAILED, "after": ["blame_unknown", "tell_failed"]},
    {"trigger": "in_progress", "source": [STARTING, FAILED], "dest": ON, "after": ["tell_started"]},
    {"trigger": "in_progress", "source": [*RUNNING, STOPPING], "dest": "="},
    # A pause ends by itself.
    {"trigger": "pause", "source": ON, "dest": ON, "after": ["request_pause"]},
    {"trigger": "paused", "source": ON, "dest": PAUSED, "after": ["begin_pause"]},
    {"trigger": "paused", "source": PAUSED, "dest": PAUSED},
    {"trigger": "resume", "source": PAUSED, "dest": PAUSED, "after": ["request_resume"]},
    {"trigger": "pause_over", "source": RUNNING, "dest": "=", "after": ["request_resume"]},
    {"trigger": "pause_over", "source": STOPPING, "dest": STOPPING},
    {"trigger": "resumed", "source": PAUSED, "dest": ON, "after": ["end_pause"]},
    {"trigger": "resumed", "source": ON, "dest": ON},
    # A change that was refused, or of which nothing is known: as it was.
    {"trigger": "refused", "source": ON, "dest": ON, "after": ["keep_on"]},
    {"trigger": "refused", "source": PAUSED, "dest": PAUSED, "after": ["keep_paused"]},
    {"trigger": "refused", "source": STOPPING, "dest": PAUSED, "conditions": ["was_paused"], "after": ["keep_paused"]},
    {"trigger": "refused", "source": STOPPING, "dest": ON, "after": ["keep_on"]},
    # The end: asked for, or come by itself with the leg.
    {"trigger": "stop", "source": RUNNING, "dest": STOPPING, "after": ["request_stop"]},
    {"trigger": "stopped", "source": [*RUNNING, STOPPING], "dest": STOPPING, "after": ["note_stopped", "await_file"]},
    # Its last callback may have been lost: then the file is looked for, some time after the end, and not for ever.
    {"trigger": "leg_over", "source": [*RUNNING, STOPPING], "dest": "=", "after": ["await_file"]},
    {"trigger": "leg_over", "source": STARTING, "dest": STARTING},
    {"trigger": "overdue", "source": [*RUNNING, STOPPING], "dest": FAILED, "conditions": ["looked_enough"],
     "after": ["blame_no_file", "tell_failed"]},
    {"trigger": "overdue", "source": [*RUNNING, STOPPING], "dest": "=", "after": ["look_for_file", "await_file"]},
    {"trigger": "completed", "source": ACTIVE, "dest": DONE, "after": ["tell_completed"]},
    {"trigger": "absent", "source": ACTIVE, "dest": ABSENT, "after": ["tell_absent"]},
    {"trigger": "failed", "source": ACTIVE, "dest": FAILED, "after": ["blame_twilio", "tell_failed"]},
)  # fmt: skip
