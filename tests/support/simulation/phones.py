"""Twilio as far as Cordboard can tell: calls, conferences, people; and its ledger of what was done (twilio-facts.md 6).

Synchronous: a change and what is told of it are one step. It shares no code with the local Twilio in `emulator`, nor
with what it tests. How requests come in is `rest.py`; how callbacks go out is `callbacks.py`.
"""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from simulation.plan import Person, Picks

ACCOUNT = "AC" + "5" * 32
OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
INBOUND, OUTBOUND = "inbound", "outbound-api"
_RING_GRACE_S, _OUT_OF_ROOM_S = 5.0, 10.0

Later = Callable[[float, Callable[[], None]], None]
Tell = Callable[[str, dict[str, str]], None]
"""Sends a callback: URL and form."""


class Line:
    """One Twilio call."""

    def __init__(self, sid: str, from_: str, to: str, direction: str, created_s: float) -> None:
        self.sid = sid
        self.from_ = from_
        self.to = to
        self.direction = direction
        self.created_s = created_s
        self.status = "queued"
        self.status_url = ""
        self.action = ""
        """The action that created it, as its callback URL says."""
        self.twiml_url: str | None = None
        self.place: Place | None = None
        self.via_api = False
        self.told = 0
        self.turn = 0
        """Grows with every document that the call begins to run."""
        self.hung_up, self.rooms = False, 0
        """Whether the person at the other end has ended it, and how many rooms it has come into."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in OVER


class Place:
    """A participant: somebody's place in a room, before it is answered too."""

    def __init__(self, line: Line, room: "Room", label: str) -> None:
        self.line = line
        self.room = room
        self.label = label
        self.joined = False
        self.hold = False
        self.muted = False
        self.end_on_exit = False
        self.coached: str | None = None


class Room:
    """A conference."""

    def __init__(self, sid: str, name: str, callback_url: str) -> None:
        self.sid = sid
        self.name = name
        self.callback_url = callback_url
        self.status = "init"
        self.sequence = 0
        self.places: dict[str, Place] = {}
        self.ever_joined = False
        self.untold: frozenset[str] = frozenset()
        """Events that its callback is not subscribed to."""

    def inside(self) -> list[Place]:
        """Those who are in."""
        return [place for place in self.places.values() if place.joined]


class Recording:
    """A recording of one call."""

    def __init__(self, sid: str, line: Line, callback_url: str) -> None:
        self.sid = sid
        self.line = line
        self.callback_url = callback_url
        self.status = "in-progress"


class Done(NamedTuple):
    """One thing that a request has brought about. `action` is the one that asked for it."""

    at_s: float
    action: str
    what: str
    call_sid: str


class Refused(Exception):  # noqa: N818 - Twilio's refusal, not our error
    """An answer of Twilio's that is no success."""

    def __init__(self, status: int, code: int) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


class Phones:
    """The world of one account. `now` in seconds; `later` calls back after seconds."""

    def __init__(self, now: Callable[[], float], later: Later, tell: Tell, people: dict[str, Person]) -> None:
        self.lines: dict[str, Line] = {}
        self.rooms: dict[str, Room] = {}
        self.recordings: dict[str, Recording] = {}
        self.done: list[Done] = []
        self.thrown_out: list[tuple[Line, int]] = []
        """Whose call went on when their room was lost, and how many rooms they had been in."""
        self.wrongs: list[tuple[str, str]] = []
        """What must never happen at Twilio, seen as it happened: call and words."""
        self.fetch: Callable[[Line, str], None] = lambda _line, _url: None
        """Fetches the TwiML of a call and runs it."""
        self.over: Callable[[Line], None] = lambda _line: None
        """Told of a call that has ended."""
        self.now = now
        self._later = later
        self._tell = tell
        self._people = people
        self._made = 0

    # Calls

    def new_sid(self, prefix: str) -> str:
        """The next SID."""
        self._made += 1
        return f"{prefix}{0xABC0000 + self._made:032x}"

    def place_call(self, sid: str, from_: str, to: str, voice_url: str) -> Line:
        """Somebody calls our number, or a browser calls out: its TwiML is fetched at once."""
        line = Line(sid, from_, to, INBOUND, self.now())
        line.status = "ringing"
        self.lines[sid] = line
        self.fetch(line, voice_url)
        return line

    def dial(self, line: Line, timeout_s: float) -> None:
        """Ring somebody."""
        self.lines[line.sid] = line
        query = parse_qs(urlsplit(line.status_url).query)
        line.action = query.get("a", [""])[0]
        self._progress(line, "initiated")
        person = self._people.get(line.to, Person(line.to))
        self._later(0.05, lambda: self._ring(line, person, timeout_s))

    def _ring(self, line: Line, person: Person, timeout_s: float) -> None:
        if line.is_over:
            return
        if person.picks is Picks.FAILS:
            self.finish(line, "failed")
            return
        self._progress(line, "ringing")
        self._later(timeout_s + _RING_GRACE_S, lambda: self._unanswered(line))
        if person.picks is not Picks.NO_ANSWER:
            self._later(person.after_s, lambda: self._pick(line, person))

    def _unanswered(self, line: Line) -> None:
        if line.status == "ringing":
            self.finish(line, "no-answer")

    def _pick(self, line: Line, person: Person) -> None:
        if line.status != "ringing":
            return
        if person.picks in {Picks.BUSY, Picks.REJECTS}:
            self.finish(line, "busy")
            return
        self._progress(line, "in-progress")
        if person.talks_s:
            self._later(person.talks_s, lambda: self.hang_up(line))
        if line.place is not None:
            place = line.place
            self._later(0.02, lambda: self.join(place))
        elif line.twiml_url is not None:
            self.fetch(line, line.twiml_url)

    def hang_up(self, line: Line) -> None:
        """The person at the other end hangs up."""
        if not line.is_over:
            line.hung_up = True
            waiting = line.direction == INBOUND and line.status == "ringing"
            self.finish(line, "no-answer" if waiting else "completed")

    def answer_inbound(self, line: Line) -> None:
        """The first document that needs it answers an incoming call."""
        if line.status == "ringing":
            line.status = "in-progress"

    def finish(self, line: Line, status: str, reason: str = "participant_hung_up") -> None:
        """The call is over."""
        if line.is_over:
            return
        line.status = status
        line.turn += 1
        for recording in self.recordings.values():
            if recording.line is line:
                self.record(recording, "completed")
        if line.place is not None:
            place = line.place
            self.leave(place, reason if place.joined else "participant_add_failed", status)
        self._progress(line, status)
        self.over(line)

    def _progress(self, line: Line, status: str) -> None:
        line.status = "queued" if status == "initiated" else status
        if not line.status_url:
            return
        line.told += 1
        form = {
            "AccountSid": ACCOUNT, "CallSid": line.sid, "CallStatus": status, "From": line.from_, "To": line.to,
            "Direction": line.direction, "SequenceNumber": str(line.told - 1), "CallbackSource": "call-progress-events",
        }  # fmt: skip
        self._tell(line.status_url, form)

    def record(self, recording: Recording, status: str) -> None:
        """A recording changes; Twilio tells of its beginning and its end."""
        if recording.status == "completed" and status != "in-progress":
            return
        recording.status = "completed" if status == "stopped" else status
        if status == "paused" or not recording.callback_url:
            return
        form = {"AccountSid": ACCOUNT, "RecordingSid": recording.sid, "RecordingStatus": recording.status,
                "CallSid": recording.line.sid, "RecordingDuration": "3"}  # fmt: skip
        self._tell(recording.callback_url, form)

    # Rooms

    def room_of(self, key: str, callback_url: str = "") -> Room:
        """The active room of that SID or name; a name makes one. Raises `Refused`."""
        if key.startswith("CF"):
            found = self.rooms.get(key)
            if found is None or found.status == "completed":
                raise Refused(404, 16022)
            return found
        active = self.active(key)
        if active is None:
            active = Room(self.new_sid("CF"), key, callback_url)
            self.rooms[active.sid] = active
        return active

    def active(self, name: str) -> Room | None:
        """The active room of that name."""
        return next((room for room in self.rooms.values() if room.name == name and room.status != "completed"), None)

    def enter(self, line: Line, room: Room, label: str, *, end_on_exit: bool, muted: bool = False) -> Place:
        """A place for a call. Raises `Refused` when an active participant has that label."""
        if label and any(other.label == label for other in room.places.values()):
            raise Refused(400, 16026)
        place = Place(line, room, label)
        place.end_on_exit, place.muted = end_on_exit, muted
        room.places[line.sid] = place
        line.place = place
        return place

    def join(self, place: Place) -> None:
        """Come in."""
        room = place.room
        if place.joined or place.line.place is not place or place.line.is_over:
            return
        place.joined = room.ever_joined = True
        place.line.rooms += 1
        self.emit(room, "participant-join", place)
        if room.status == "init" and len(room.inside()) > 1:
            room.status = "in-progress"
            self.emit(room, "conference-start")

    def leave(self, place: Place, reason: str, status: str) -> None:
        """Go out; whoever ends the room by leaving does so."""
        room = place.room
        if room.places.pop(place.line.sid, None) is None:
            return
        place.line.place = None
        told = {"ReasonParticipantLeft": reason, "ParticipantCallStatus": status}
        self.emit(room, "participant-leave", place, told)
        if room.status == "completed":
            return
        if place.joined and place.end_on_exit:
            self.end_room(room, "participant-with-end-conference-on-exit-left", place)
        elif not room.places:
            self.end_room(room, "last-participant-left", place)
        place.joined = False

    def end_room(self, room: Room, reason: str, ender: Place | None = None) -> None:
        """The room is over for all: legs of the API are hung up, others go on with their document."""
        room.status = "completed"
        for place in list(room.places.values()):
            del room.places[place.line.sid]
            place.line.place = None
            why = "conference_ended_via_api" if ender is None else "moderator_ended_conference"
            status = self.after_room_status(place)
            self.emit(room, "participant-leave", place, {"ReasonParticipantLeft": why, "ParticipantCallStatus": status})
            self.after_room(place)
        extra = {"ReasonConferenceEnded": reason}
        if ender is not None:
            extra["CallSidEndingConference"] = ender.line.sid
        if room.ever_joined:
            self.emit(room, "conference-end", None, extra)

    def after_room_status(self, place: Place) -> str:
        """What a participant's call is when the room is over: a leg of the API ends with it, any other goes on."""
        if not place.joined:
            return "canceled"
        return "completed" if place.line.via_api else "in-progress"

    def after_room(self, place: Place) -> None:
        """A call that goes on runs our `action` document: it waits a while, and hangs up."""
        line = place.line
        if (status := self.after_room_status(place)) != "in-progress":
            self.finish(line, status)
            return
        line.turn = turn = line.turn + 1
        self._later(_OUT_OF_ROOM_S, lambda: self.finish(line, "completed") if line.turn == turn else None)

    def emit(self, room: Room, event: str, place: Place | None = None, extra: dict[str, str] | None = None) -> None:
        """Tell of a conference event."""
        form = {
            "AccountSid": ACCOUNT, "ConferenceSid": room.sid, "FriendlyName": room.name, "StatusCallbackEvent": event,
            "SequenceNumber": str(room.sequence),
        }  # fmt: skip
        room.sequence += 1
        if place is not None:
            form.update(
                CallSid=place.line.sid, Muted=_text(place.muted), Hold=_text(place.hold),
                Coaching=_text(place.coached is not None), EndConferenceOnExit=_text(place.end_on_exit),
            )  # fmt: skip
            if place.label:
                form["ParticipantLabel"] = place.label
            if place.coached:
                form["CallSidToCoach"] = place.coached
        if event not in room.untold:
            self._tell(room.callback_url, {**form, **(extra or {})})

    def note(self, action: str, what: str, call_sid: str = "") -> None:
        """Write into the ledger what a request has brought about."""
        self.done.append(Done(self.now(), action, what, call_sid))


def _text(value: bool) -> str:
    return "true" if value else "false"
