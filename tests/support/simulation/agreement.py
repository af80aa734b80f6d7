"""What Cordboard and Twilio show of the same calls at one moment, and where they differ."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from schemas.codec import decode_state
from schemas.state import Call, CallState, LegState
from schemas.topics import Topic
from simulation.phones import Line
from simulation.world import World


class Agreed:
    """What both sides showed when everything had healed and before everybody was sent home."""

    def __init__(self, world: World) -> None:
        self.at_ms = world.loop.clock_ms()
        self.calls = {call.call_id: call for call in calls_of(world)}
        self.lines: dict[str, dict[str, str]] = {}
        """By call, the lines that are not over: what each of them is."""
        self.places: dict[str, dict[str, tuple[bool, bool, bool]]] = {}
        """By room and CallSid, who is in: hold, muted, end on exit. Not by label: a second call may come under one."""
        for line in world.phones.lines.values():
            if not line.is_over:
                label = line.place.label if line.place is not None else line.sid[-6:]
                self.lines.setdefault(call_of_line(line), {})[line.sid] = f"{label} ({line.status})"
        for room in world.phones.rooms.values():
            if room.status != "completed":
                shown = {place.line.sid[-8:]: (place.hold, place.muted, place.end_on_exit) for place in room.inside()}
                self.places[room.name] = shown

    def disagreements(self) -> Iterator[str]:
        """Where the two differ."""
        for call_id, call in self.calls.items():
            lines = self.lines.get(call_id, {})
            if call.state is CallState.ENDED and lines:
                yield f"{call_id[-8:]} has ended and at Twilio there is still {sorted(lines.values())}"
            if call.state is not CallState.ENDED and not lines:
                yield f"{call_id[-8:]} is {call.state.value} and nobody is left at Twilio"
            if call.state is not CallState.ENDED:
                yield from _same_legs(call, self.places.get(call.room.name, {}))
        for call_id, lines in self.lines.items():
            if call_id not in self.calls and lines:
                yield f"{call_id[-8:]} is unknown and at Twilio there is {sorted(lines.values())}"


def _same_legs(call: Call, places: dict[str, tuple[bool, bool, bool]]) -> Iterator[str]:
    ours = {
        (leg.call_sid or leg.leg)[-8:]: (leg.observed.hold, leg.observed.muted, leg.observed.end_on_exit)
        for leg in call.legs
        if leg.state is LegState.JOINED
    }
    if ours != places:
        yield f"{call.call_id[-8:]} {call.state.value}: we see {ours}, Twilio has {places} (hold, muted, end on exit)"
    for leg in call.legs:
        if leg.state is LegState.JOINED and leg.desired != leg.observed:
            yield f"{call.call_id[-8:]}: {leg.leg} is wanted {leg.desired} and seen {leg.observed}"


def call_of_line(line: Line) -> str:
    """The call that a line at Twilio belongs to: its own SID for one that began a call."""
    return parse_qs(urlsplit(line.status_url).query).get("call", [line.sid])[0]


def calls_of(world: World) -> list[Call]:
    """Every call as its last state record has it."""
    last: dict[bytes, bytes | None] = {}
    for partition in range(world.plan.partitions):
        for record in world.log.records(Topic.STATE, partition):
            if record.key is not None and not record.key.startswith(b"~"):
                last[record.key] = record.value
    found = (decode_state(value).call for value in last.values() if value is not None)
    return [call for call in found if isinstance(call, Call)]
