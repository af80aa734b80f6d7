"""Every command that this version carries out, by its short name."""

from collections.abc import Callable
from typing import Any

from engine.core.turn import Turn
from engine.core.verbs.announce import announce
from engine.core.verbs.connect import add, connect
from engine.core.verbs.end import end
from engine.core.verbs.recording import pause, start, stop
from engine.core.verbs.recording import resume as resume_recording
from engine.core.verbs.remove import remove
from engine.core.verbs.supervise import leave, supervise, switch, takeover
from engine.core.verbs.switches import hold, mute, resume, unmute
from engine.core.verbs.transfer import steer, transfer
from schemas.records import Command

Verb = Callable[[Turn, Command, Any], None]

VERBS: dict[str, Verb] = {
    "call.connect": connect,
    "call.add": add,
    "call.remove": remove,
    "call.hold": hold,
    "call.resume": resume,
    "call.mute": mute,
    "call.unmute": unmute,
    "call.announce": announce,
    "call.transfer": transfer,
    "transfer.complete": steer,
    "transfer.cancel": steer,
    "transfer.swap": steer,
    "transfer.merge": steer,
    "call.supervise": supervise,
    "supervision.switch": switch,
    "supervision.leave": leave,
    "supervision.takeover": takeover,
    "recording.start": start,
    "recording.pause": pause,
    "recording.resume": resume_recording,
    "recording.stop": stop,
    "call.end": end,
}
