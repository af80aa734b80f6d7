"""The callback URLs of an action. Pure. What the paths mean is `schemas.routes`; who answers them is `ingress/`."""

from schemas.actions import Action, CreateCall, RejoinRoom
from schemas.prompts import Prompt
from schemas.routes import Route, callback_url


class Urls:
    """Callback URLs under one public URL."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")

    def _of(self, route: Route, action: Action, **query: str | None) -> str:
        return callback_url(self._public_url, route, call=action.call_id, leg=action.leg, **query)

    def status(self, action: Action) -> str:
        """Progress of the dialled call. `a` is the proof that this action reached Twilio."""
        return self._of(Route.STATUS, action, a=action.id)

    def machine(self, action: Action) -> str:
        """The verdict of answering-machine detection."""
        return self._of(Route.AMD, action, a=action.id)

    def recording(self, action: Action) -> str:
        """How a recording goes on."""
        return self._of(Route.RECORDING, action, a=action.id)

    def conference(self, action: Action) -> str:
        """Conference events. The same on every join: only the first participant's counts (twilio-facts.md 7, 1)."""
        return callback_url(self._public_url, Route.CONFERENCE, call=action.call_id)

    def wait(self, action: Action) -> str:
        """What is heard before the conference starts: music for a customer, silence for anybody else.

        The same rule as in the TwiML of `ingress.twiml`: anybody else waits for a ringing phone. Empty is silence.
        """
        return self._of(Route.WAIT, action) if (action.leg or "").startswith("customer-") else ""

    def hold(self, action: Action, audio: str | None) -> str:
        """What a held participant hears; `audio` is the URL of a file, None the policy's own."""
        return self._of(Route.HOLD, action, audio=audio)

    def announce(self, action: Action, prompt: Prompt) -> str:
        """An announcement."""
        return self._of(Route.ANNOUNCE, action, say=prompt.say, play=prompt.play)

    def voicemail(self, action: Action, prompt: Prompt) -> str:
        """A prompt, and what is said after it is recorded."""
        return self._of(Route.VOICEMAIL, action, say=prompt.say, play=prompt.play)

    def join(self, action: CreateCall, whisper: Prompt | None) -> str:
        """TwiML that lets a dialled leg into the room, after a whisper if there is one."""
        say, play = (whisper.say, whisper.play) if whisper else (None, None)
        return self._of(Route.JOIN, action, a=action.id, say=say, play=play, room=action.room or None)

    def rejoin(self, action: RejoinRoom) -> str:
        """TwiML that lets a leg into another room of its call."""
        return self._of(Route.JOIN, action, a=action.id, room=action.room, audio=action.wait_audio)
