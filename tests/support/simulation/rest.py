"""The part of Twilio's REST API that the workers use, over `phones.py`. Synchronous; bodies as Twilio spells them."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

from simulation.centre import PREFIX as TASKROUTER
from simulation.centre import Centre
from simulation.detection import Detection
from simulation.phones import ACCOUNT, OUTBOUND, Later, Line, Phones, Place, Recording, Refused, Room, Tell

Body = dict[str, object]
Fields = dict[str, str]
PREFIX = f"/2010-04-01/Accounts/{ACCOUNT}/"


class Rest:
    """Answers requests. `answer` gives status and body, or raises `Refused`."""

    def __init__(self, phones: Phones, centre: Centre, later: Later, tell: Tell, machines: tuple[str, ...]) -> None:
        self._phones = phones
        self._centre = centre
        self._detection = Detection(later, tell, machines)

    def answer(self, method: str, path: str, fields: Fields, action: str) -> tuple[int, Body]:
        """Carry out a request for `action` (its id, for the ledger); `fields` are query and form together."""
        if path.startswith(TASKROUTER):
            return self._centre.answer(method, path, fields, action)
        parts = path.removeprefix(PREFIX).removesuffix(".json").split("/")
        handlers: dict[tuple[str, int], Callable[[str, list[str], Fields, str], tuple[int, Body]]] = {
            ("Calls", 1): self._calls,
            ("Calls", 2): self._call,
            ("Calls", 3): self._recordings,
            ("Calls", 4): self._recording,
            ("Conferences", 1): self._rooms,
            ("Conferences", 2): self._room,
            ("Conferences", 3): self._participants,
            ("Conferences", 4): self._participant,
        }
        handler = handlers.get((parts[0], len(parts)))
        if handler is None:
            raise Refused(404, 20404)
        return handler(method, parts[1:], fields, action)

    def _calls(self, method: str, _: list[str], fields: Fields, action: str) -> tuple[int, Body]:
        if method == "GET":
            found = [
                line
                for line in self._phones.lines.values()
                if line.to == fields.get("To", line.to) and line.from_ == fields.get("From", line.from_)
            ]
            return 200, _page("calls", [_call_body(line) for line in reversed(found)])
        line = self._new_line(fields)
        line.twiml_url = fields["Url"]
        self._phones.note(action, "create", line.sid)
        self._phones.dial(line, float(fields.get("Timeout", "60")))
        return 201, _call_body(line)

    def _new_line(self, fields: Fields) -> Line:
        phones = self._phones
        line = Line(phones.new_sid("CA"), fields["From"], fields["To"], OUTBOUND, phones.now())
        line.status_url = fields.get("StatusCallback", "")
        self._detection.listen(line, fields)
        return line

    def _call(self, method: str, parts: list[str], fields: Fields, action: str) -> tuple[int, Body]:
        line = self._phones.lines.get(parts[0])
        if line is None:
            raise Refused(404, 20404)
        if method == "GET":
            return 200, _call_body(line)
        if line.is_over:
            raise Refused(400, 21220)
        if fields.get("Status") == "completed":
            self._phones.note(action, "hang_up", line.sid)
            self._phones.finish(line, "completed" if line.status == "in-progress" else "canceled")
        elif "Url" in fields:
            self._phones.note(action, "redirect", line.sid)
            if line.place is not None:
                self._phones.leave(line.place, "participant_updated_via_api", "in-progress")
            self._phones.fetch(line, fields["Url"])
        return 200, _call_body(line)

    def _recordings(self, method: str, parts: list[str], fields: Fields, action: str) -> tuple[int, Body]:
        phones, line = self._phones, self._phones.lines.get(parts[0])
        if line is None:
            raise Refused(404, 20404)
        if method == "GET":
            found = [_recording_body(item) for item in phones.recordings.values() if item.line is line]
            return 200, _page("recordings", found)
        if line.status != "in-progress":
            raise Refused(400, 21220)
        recording = Recording(phones.new_sid("RE"), line, fields.get("RecordingStatusCallback", ""))
        phones.recordings[recording.sid] = recording
        phones.note(action, "record", line.sid)
        phones.record(recording, "in-progress")
        return 201, _recording_body(recording)

    def _recording(self, method: str, parts: list[str], fields: Fields, action: str) -> tuple[int, Body]:
        recording = self._phones.recordings.get(parts[2])
        if recording is None:
            raise Refused(404, 20404)
        if method != "GET":
            if recording.status == "completed":
                raise Refused(400, 21220)
            self._phones.note(action, "update_recording", recording.line.sid)
            if fields["Status"] == "in-progress":
                recording.status = "in-progress"
            else:
                self._phones.record(recording, fields["Status"])
        return 200, _recording_body(recording)

    def _rooms(self, _method: str, _: list[str], fields: Fields, _action: str) -> tuple[int, Body]:
        found = [
            room
            for room in self._phones.rooms.values()
            if room.name == fields.get("FriendlyName", room.name) and room.status == fields.get("Status", room.status)
        ]
        return 200, _page("conferences", [_room_body(room) for room in found])

    def _room(self, method: str, parts: list[str], fields: Fields, action: str) -> tuple[int, Body]:
        room = self._phones.rooms.get(parts[0])
        if room is None:
            raise Refused(404, 20404)
        if method == "GET":
            return 200, _room_body(room)
        if room.status == "completed":
            raise Refused(404, 20404)
        if fields.get("Status") == "completed":
            if room.status == "init":
                raise Refused(400, 20001)
            self._phones.note(action, "end_conference", room.sid)
            self._phones.end_room(room, "conference-ended-via-api")
        else:
            self._phones.note(action, "announce", room.sid)
        return 200, _room_body(room)

    def _participants(self, method: str, parts: list[str], fields: Fields, action: str) -> tuple[int, Body]:
        phones = self._phones
        if method == "GET":
            room = phones.room_of(parts[0])
            return 200, _page("participants", [_place_body(place) for place in room.places.values()])
        room = phones.room_of(parts[0], fields.get("ConferenceStatusCallback", ""))
        line = self._new_line(fields)
        line.via_api = True
        place = phones.enter(
            line, room, fields.get("Label", ""),
            end_on_exit=_flag(fields.get("EndConferenceOnExit", "")), muted=_flag(fields.get("Muted", "")),
        )  # fmt: skip
        self._watch_transfer(place)
        phones.note(action, "create", line.sid)
        phones.dial(line, float(fields.get("Timeout", "60")))
        return 201, _place_body(place)

    def _watch_transfer(self, created: Place) -> None:
        """Nobody may take the customer along by leaving while a transfer's target is being reached (N2)."""
        ending = [place.label for place in created.room.inside() if place.end_on_exit]
        if created.label.startswith("target-") and len(created.room.inside()) > 1 and ending:
            wrong = f"{created.room.name}: {created.label} is dialled while {ending} ends the room"
            call = parse_qs(urlsplit(created.line.status_url).query)["call"][0]
            self._phones.wrongs.append((call, wrong))

    def _participant(self, method: str, parts: list[str], fields: Fields, action: str) -> tuple[int, Body]:
        room = self._phones.rooms.get(parts[0])
        place = None if room is None or room.status == "completed" else _find(room, parts[2])
        if place is None:
            raise Refused(404, 20404)
        if method == "GET":
            return 200, _place_body(place)
        if method == "DELETE":
            self._phones.note(action, "remove", place.line.sid)
            self._phones.leave(place, "participant_updated_via_api", self._phones.after_room_status(place))
            self._phones.after_room(place)
            return 204, {}
        self._update(place, fields, action)
        return 200, _place_body(place)

    def _update(self, place: Place, fields: Fields, action: str) -> None:
        phones, room = self._phones, place.room
        if not place.joined:
            raise Refused(404, 20404)
        phones.note(action, "update", place.line.sid)
        if "Hold" in fields and place.hold is not _flag(fields["Hold"]):
            place.hold = _flag(fields["Hold"])
            phones.emit(room, "participant-hold" if place.hold else "participant-unhold", place)
        if "Muted" in fields and place.muted is not _flag(fields["Muted"]):
            place.muted = _flag(fields["Muted"])
            phones.emit(room, "participant-mute" if place.muted else "participant-unmute", place)
        if "EndConferenceOnExit" in fields and not place.hold:  # N2: ignored while held
            place.end_on_exit = _flag(fields["EndConferenceOnExit"])
            phones.emit(room, "participant-modify", place)
        if "Coaching" in fields:
            place.coached = fields.get("CallSidToCoach") if _flag(fields["Coaching"]) else None
            phones.emit(room, "participant-modify", place)


def _flag(text: str) -> bool:
    return text.lower() == "true"


def _find(room: Room, key: str) -> Place | None:
    return room.places.get(key) or next((place for place in room.places.values() if place.label == key), None)


def _page(name: str, items: list[Body]) -> Body:
    return {name: items, "page": 0, "page_size": 50, "next_page_uri": None, "first_page_uri": "", "uri": ""}


def _call_body(line: Line) -> Body:
    return {
        "sid": line.sid, "account_sid": ACCOUNT, "to": line.to, "from": line.from_, "status": line.status,
        "direction": line.direction, "date_created": format_datetime(datetime.fromtimestamp(line.created_s, UTC)),
    }  # fmt: skip


def _recording_body(recording: Recording) -> Body:
    return {
        "sid": recording.sid, "account_sid": ACCOUNT, "call_sid": recording.line.sid, "status": recording.status,
    }  # fmt: skip


def _room_body(room: Room) -> Body:
    return {"sid": room.sid, "account_sid": ACCOUNT, "friendly_name": room.name, "status": room.status}


def _place_body(place: Place) -> Body:
    status = "connected" if place.joined else ("ringing" if place.line.status == "ringing" else "queued")
    return {
        "account_sid": ACCOUNT, "call_sid": place.line.sid, "conference_sid": place.room.sid,
        "label": place.label or None, "hold": place.hold, "muted": place.muted,
        "end_conference_on_exit": place.end_on_exit, "coaching": place.coached is not None,
        "call_sid_to_coach": place.coached, "status": status,
    }  # fmt: skip
