"""What Twilio says to an action once, and what becomes of it while the log is away.

A leg that is there holds the line and asks again: what was said goes along in the query. One that is not there cannot.
"""

from ingress.reading import Incoming
from ingress.twiml import CALL_OVER
from schemas.webhooks import LED_AWAY

_NAMES = (
    "Result", "WorkerInitiated", "DialCallStatus", "DialCallSid", "DialCallDuration", "RecordingSid",
    "RecordingDuration", "QueueResult", "QueueTime",
)  # fmt: skip


def nobody_listens(incoming: Incoming) -> bool:
    """Whether Twilio only tells us something, and the leg is not there to run a document."""
    fields = incoming.fields
    return fields.get("CallStatus") in CALL_OVER or fields.get("QueueResult") in LED_AWAY


def to_carry(incoming: Incoming) -> dict[str, str]:
    """What the URL needs at which a leg that holds the line asks again."""
    fields = joined(incoming)
    return {name: fields[name] for name in _NAMES if name in fields}


def joined(incoming: Incoming) -> dict[str, str]:
    """Twilio's fields, and those of the first request where this one comes from a document that held the line."""
    held = {name: incoming.query[name] for name in _NAMES if name in incoming.query}
    return {**held, **incoming.fields} if held else incoming.fields
