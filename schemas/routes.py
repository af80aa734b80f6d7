"""Our routes at Twilio's side and the URLs that we hand out to them (contracts.md section 5, design.md section 6).

Every URL carries `call`, `leg` where there is one, the action that asked for it, and Twilio's connection overrides in
the fragment: Twilio's whole budget is 15 s, and without `rp` a 503 is not tried again (twilio-facts.md 1.9).
"""

from enum import StrEnum
from urllib.parse import urlencode

RETRY_FRAGMENT = "#rc=3&rp=all&ct=2000&rt=4000&tt=15000"
OUT_OF_ROOM_S = 10
"""How long a leg that comes out of its conference stays on the line, for the engine to say what becomes of it."""

CALL_EVENTS = ("initiated", "ringing", "answered", "completed")
CONFERENCE_EVENTS = ("start", "end", "join", "leave", "mute", "hold", "modify", "announcement")


class Route(StrEnum):
    """Paths under the public URL."""

    TWIML = "/v1/voice/twiml"
    JOIN = "/v1/voice/conference-join"
    STATUS = "/v1/voice/status"
    CONFERENCE = "/v1/voice/conference"
    RECORDING = "/v1/voice/recording"
    AMD = "/v1/voice/amd"
    DIAL_ACTION = "/v1/voice/dial-action"
    ENQUEUE_ACTION = "/v1/voice/enqueue-action"
    CONVERSATION_ACTION = "/v1/voice/conversation-action"
    CONVERSATION_STATUS = "/v1/voice/conversation-status"
    WAIT = "/v1/voice/wait"
    HOLD = "/v1/voice/hold"
    ANNOUNCE = "/v1/voice/announce"
    WHISPER = "/v1/voice/whisper"
    VOICEMAIL = "/v1/voice/voicemail"
    ASSIGNMENT = "/v1/taskrouter/assignment"
    TASK_EVENTS = "/v1/taskrouter/events"


def callback_url(public_url: str, route: Route, **query: str | None) -> str:
    """The URL of `route` under `public_url` (no trailing slash) with the query fields that are not None."""
    fields = {name: value for name, value in query.items() if value is not None}
    return f"{public_url}{route.value}{'?' if fields else ''}{urlencode(fields)}{RETRY_FRAGMENT}"
