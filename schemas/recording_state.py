"""The recording of a call as its state holds it (state-machines.md section 7); `schemas.state` gives it out."""

from enum import StrEnum

import msgspec


class RecordingState(StrEnum):
    """Where the recording is (state-machines.md section 7)."""

    OFF = "off"
    STARTING = "starting"
    ON = "on"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    ABSENT = "absent"


class Recording(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The recording of the customer's leg. `wanted` is what was asked last: `on`, `paused` or `stopping`.

    `max_pause_s` bounds every pause and `pause_s` the present one (0: not said); `paused_at` is when it began (ms).
    `request` is the action that began it, `action` the one that is under way. `stopped`: Twilio has said that it is,
    and finishes the file. `duration_s` is the file's. `looks` counts how often it was looked for after its end.
    """

    state: RecordingState
    sid: str | None = None
    leg: str | None = None
    wanted: RecordingState = RecordingState.ON
    max_pause_s: int = 0
    pause_s: int = 0
    paused_at: int | None = None
    request: str | None = None
    action: str | None = None
    duration_s: int | None = None
    stopped: bool = False
    reason: str | None = None
    looks: int = 0


NO_RECORDING = Recording(RecordingState.OFF)
