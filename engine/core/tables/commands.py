"""Which commands each state of a call takes. What is not here is rejected, with this list as `allowed`."""

from schemas.state import Call, CallState

NEVER: tuple[str, ...] = ()
_LEGS = ("call.add", "call.remove", "call.mute", "call.unmute", "call.announce")
_STEER = ("supervision.switch", "supervision.leave", "supervision.takeover")
_RECORD = ("recording.start", "recording.pause", "recording.resume", "recording.stop")
_TALK = ("call.connect", "call.hold", "call.resume", *_LEGS, "call.transfer", "call.supervise", *_STEER, *_RECORD,
         "call.end")  # fmt: skip

ALLOWED: dict[CallState, tuple[str, ...]] = {
    CallState.RINGING: ("call.connect", "call.end"),
    CallState.WAITING: ("call.connect", "call.hold", "call.resume", *_LEGS, *_RECORD, "call.end"),
    CallState.IN_CONFERENCE: _TALK,
    CallState.HELD: _TALK,
    CallState.TRANSFERRING: (
        "transfer.complete",
        "transfer.cancel",
        "transfer.swap",
        "transfer.merge",
        *_LEGS,
        "call.supervise",
        "supervision.switch",
        "supervision.leave",
        *_RECORD,
        "call.end",
    ),
    CallState.ORPHANED: ("call.connect", "call.hold", "call.resume", *_LEGS, *_STEER, *_RECORD, "call.end"),
    CallState.WRAP_UP: ("call.end",),
    CallState.ENDED: NEVER,
}
IN_CONVERSATION: tuple[str, ...] = ("call.end",)
"""While a Conversations service has the call there is no room, whatever the state."""


def allowed_in(call: Call) -> tuple[str, ...]:
    """The commands that the call takes as it is."""
    return IN_CONVERSATION if call.in_conversation else ALLOWED[call.state]
