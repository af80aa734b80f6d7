"""The event stream: server-sent events straight from `call.events`, resumed where a client left off.

The `id:` of an event is the whole position behind it, `partition:next offset` for every partition that is read, so that
`Last-Event-ID` goes on at the very next event on whichever process answers. Source of the format: WHATWG HTML, 9.2.
"""

from collections.abc import AsyncGenerator, Mapping

import msgspec

from cordboard.log.port import Bounds, Log, Record
from observe.envelopes import TypeFilter, heading_of
from schemas.topics import Topic, partition_of

_POLL_S = 0.25
_SILENT_POLLS = 40
_CATCHING_UP_S = 0.05
_BATCH = 200


class InvalidPositionError(ValueError):
    """A `Last-Event-ID` that this stream has not given."""


class Gap(msgspec.Struct, frozen=True):
    """Told to a client that comes back too late: these offsets of a partition are no longer in the log."""

    partition: int
    from_offset: int
    to_offset: int


def positions_after(last_event_id: str, partitions: frozenset[int]) -> dict[int, int]:
    """The next offsets that an `id:` stands for. Raises `InvalidPositionError`."""
    try:
        pairs = [part.split(":") for part in last_event_id.split(",")]
        positions = {int(partition): int(offset) for partition, offset in pairs}
    except ValueError:
        positions = {}
    if set(positions) != partitions or min(positions.values()) < 0:
        raise InvalidPositionError(
            f"Last-Event-ID {last_event_id[:80]!r} is no id of this stream: expected the `id:` of an event that came "
            "with the same `call`"
        )
    return positions


def position_id(positions: Mapping[int, int]) -> str:
    """Positions as an `id:`."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(positions.items()))


class EventStream:
    """One client's view of `call.events`: from where, and which events."""

    def __init__(self, log: Log, *, types: TypeFilter, call_id: str | None) -> None:
        self._log = log
        self._types = types
        self._call_id = call_id
        one = None if call_id is None else partition_of(call_id.encode(), log.partitions)
        self.partitions = frozenset(range(log.partitions)) if one is None else frozenset({one})

    async def start(self, *, earliest: bool, last_event_id: str | None) -> tuple[dict[int, int], tuple[Gap, ...]]:
        """Where to begin, and what has been deleted in between. Raises `InvalidPositionError`, `LogError`."""
        bounds = await self._log.bounds(Topic.EVENTS)
        if last_event_id:
            wanted = positions_after(last_event_id, self.partitions)
            return {p: max(at, bounds[p].earliest) for p, at in wanted.items()}, tuple(_gaps(wanted, bounds))
        return {p: bounds[p].earliest if earliest else bounds[p].end for p in self.partitions}, ()

    async def frames(self, positions: dict[int, int]) -> AsyncGenerator[bytes, None]:
        """Encoded events from `positions` on, without end; empty bytes now and then where there is nothing to send.

        The comment `caught up` stands once behind everything that was in the log when the stream began.
        """
        silent = 0
        ends: dict[int, int] | None = {p: b.end for p, b in (await self._log.bounds(Topic.EVENTS)).items()}
        yield _begin(positions)
        async with self._log.reader(Topic.EVENTS, positions) as reader:
            while True:
                frames = []
                for record in await reader.poll(_POLL_S if ends is None else _CATCHING_UP_S, _BATCH):
                    positions[record.partition] = record.offset + 1
                    if self._takes(record):
                        frames.append(_frame(record.value or b"", position_id(positions)))
                if ends is not None and all(at >= ends[p] for p, at in positions.items()):
                    ends = None
                    frames.append(b": caught up\n\n")
                silent = 0 if frames else silent + 1
                if silent >= _SILENT_POLLS:
                    # The id moves on although nothing was for this client, so that it does not read all that again.
                    silent = 0
                    frames.append(_begin(positions))
                yield b"".join(frames)

    def _takes(self, record: Record) -> bool:
        heading = heading_of(record.value)
        if heading is None:
            return False
        return self._types.takes(heading.type) and self._call_id in {None, heading.subject}


def gap_frame(gap: Gap) -> bytes:
    """The event `gap`: nothing is left out in silence."""
    return b"event: gap\ndata: " + msgspec.json.encode(gap) + b"\n\n"


def _gaps(wanted: Mapping[int, int], bounds: Mapping[int, Bounds]) -> list[Gap]:
    return [Gap(p, at, bounds[p].earliest) for p, at in sorted(wanted.items()) if at < bounds[p].earliest]


def _begin(positions: Mapping[int, int]) -> bytes:
    return f": alive\nid: {position_id(positions)}\n\n".encode()


def _frame(value: bytes, event_id: str) -> bytes:
    return b"id: " + event_id.encode() + b"\ndata: " + value.replace(b"\n", b"\ndata: ") + b"\n\n"
