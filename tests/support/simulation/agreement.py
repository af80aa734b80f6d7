"""What the simulated Twilio and the log show of the same calls at one moment."""

from collections import defaultdict
from urllib.parse import parse_qs, urlsplit

from checker.agreement import Agreement, Place
from schemas.codec import decode_state
from schemas.state import Call
from schemas.topics import Topic
from simulation.phones import Line
from simulation.service import Dialled
from simulation.world import World


class Agreed(Agreement):
    """What both sides showed, out of the world's memory."""

    def __init__(self, world: World) -> None:
        lines: dict[str, dict[str, str]] = defaultdict(dict)
        for line in world.phones.lines.values():
            if not line.is_over:
                label = line.place.label if line.place is not None else line.sid[-6:]
                lines[call_of_line(line)][line.sid] = f"{label} ({line.status})"
        places: dict[str, dict[str, Place]] = {}
        for room in world.phones.rooms.values():
            if room.status != "completed":
                shown = {place.line.sid: (place.hold, place.muted, place.end_on_exit) for place in room.inside()}
                places[room.name] = shown
        super().__init__(world.loop.clock_ms(), {call.call_id: call for call in calls_of(world)}, lines, places)


def call_of_line(line: Line) -> str:
    """The call that a line at Twilio belongs to: its own SID for one that began a call."""
    if isinstance(line, Dialled):
        return line.caller.sid
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
