"""The live events as one caller lives them, in lines of plain text. Pure; ``caller.py`` reads the stream."""

from collections import deque

from emulator.journal import Event

ENDED = frozenset({"call.completed", "call.busy", "call.failed", "call.no-answer", "call.canceled"})
OWN = {
    "conference.participant-join": "you are in the conference {name}{label}",
    "conference.participant-leave": "you have left the conference",
    "conference.participant-hold": "you are on hold",
    "conference.participant-unhold": "you are off hold",
    "conference.participant-mute": "you are muted",
    "conference.participant-unmute": "you are unmuted",
    "session.started": "an agent of the application is with you ({noun})",
    "session.ended": "the application's agent has gone",
    "gather": "they wait for you: {what}",
    "record": "they record you; {what}",
    "queue.entered": "you wait in the queue {queue}, place {position}",
    "queue.left": "your turn in the queue {queue}",
    "bridge.ended": "you have parted",
    "alert": "(debugger, {code}: {detail})",
    "recording.in-progress": "your call is being recorded",
    "recording.paused": "the recording pauses",
    "recording.completed": "the recording is over",
}
OTHERS = {
    "conference.participant-join": "{label} has joined",
    "conference.participant-leave": "{label} has left",
    "conference.participant-hold": "{label} is on hold",
    "conference.participant-unhold": "{label} is off hold",
    "conference.participant-mute": "{label} is muted",
    "conference.participant-unmute": "{label} is unmuted",
}
ROOM = {"conference.conference-start": "the conference begins", "conference.conference-end": "the conference is over"}


class Story:
    """Tells what one caller notices, and keeps what it needs for that: the conference, and who could be answered."""

    def __init__(self, call_sid: str) -> None:
        self.call_sid = call_sid
        self.ended = ""
        """The call's last status, empty while it lives."""
        self.asking: deque[tuple[str, str]] = deque(maxlen=100)
        """CallSid and address of dialled parties that wait for somebody to answer for them."""
        self._room = ""
        self._answered_at = 0.0

    def line(self, event: Event) -> str | None:
        """Return what the event is to the caller, None when it is nothing."""
        if event.call_sid == self.call_sid:
            return self._own(event)
        if event.kind == "asks":
            self.asking.append((event.call_sid, str(event.data["to"])))
            return f"{event.data['to']} rings and waits: key a answers for them"
        self._forget_ringing(event)
        if not self._room or event.conference_sid != self._room:
            return None
        if event.kind in ROOM:
            return ROOM[event.kind]
        label = event.data.get("label") or "somebody"
        return OTHERS[event.kind].format(label=label) if event.kind in OTHERS else None

    def _forget_ringing(self, event: Event) -> None:
        if event.kind in ENDED or event.kind == "call.in-progress":
            kept = [item for item in self.asking if item[0] != event.call_sid]
            self.asking = deque(kept, maxlen=100)

    def _own(self, event: Event) -> str | None:
        if event.kind in ENDED:
            self.ended = event.kind.removeprefix("call.")
            lasted = f" after {event.at - self._answered_at:.0f} s" if self._answered_at else ""
            return f"the call is over: {self.ended}{lasted}"
        if event.kind == "call.ringing":
            return f"it rings at {event.data['to'] or 'the application'}"
        if event.kind == "call.in-progress":
            self._answered_at = event.at
            return "answered"
        if event.kind == "hears":
            return self._hears(event)
        if event.kind == "conference.participant-join":
            self._room = event.conference_sid
        if event.kind == "conference.participant-leave":
            self._room = ""
        return self._from_table(event)

    def _from_table(self, event: Event) -> str | None:
        text = OWN.get(event.kind)
        if text is None:
            return None
        given = event.data.get("label")
        return text.format(**{**event.data, "label": f" as {given}" if given else ""})

    @staticmethod
    def _hears(event: Event) -> str:
        people = event.data.get("people")
        if isinstance(people, list) and people:
            return f"you talk with {', '.join(people)}"
        return f"you hear {event.data['what']}"
