"""The local Twilio as a process of its own, which writes down everything for the checker.

    python -m chaos.twilio HOST:PORT PUBLIC_URL FOLDER SEED

`exchanges.jsonl` and `rest.jsonl` grow as things happen. SIGUSR1 writes the world as it is into `world.json`: every
call that there ever was, with the URL that it reports to, and every room that is not over. SIGTERM does so once more.
"""

import asyncio
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from chaos.centre import centre, draw_workers
from chaos.plan import APPLICATION, NUMBERS
from chaos.stalls import Stall, watch_stalls
from emulator import ApplicationConfig, EmulatorConfig, NumberConfig, Person, serve
from emulator.entities import Call, Conference
from emulator.journal import Exchange, RestRequest
from emulator.taskrouter.entities import Task
from emulator.world import World
from schemas.routes import Route, callback_url

_SWEEP_S = 0.25
_REMEMBERED = 50_000
_ALL = 10_000_000
_GOES_ELSEWHERE = "<Redirect"
WORLD_FILE, EXCHANGES_FILE, REST_FILE = "world.json", "exchanges.jsonl", "rest.jsonl"


class Told(msgspec.Struct, frozen=True):
    """One request of Twilio's, when it was over. `status` None: no answer."""

    kind: str
    resource: str
    url: str
    event: str
    params: dict[str, str]
    at: float
    done_at: float | None
    status: int | None
    error: str | None
    attempts: int
    put_off: bool
    """Answered with a document that only says: ask again."""


class Asked(msgspec.Struct, frozen=True):
    """One REST request."""

    at: float
    method: str
    path: str
    status: int
    code: int | None
    fault: str | None
    duration_s: float


class LineSeen(msgspec.Struct, frozen=True):
    """One Twilio call. `url` is where its progress is told: it names our call, leg and action."""

    sid: str
    direction: str
    status: str
    url: str
    label: str
    created_at: float


class PlaceSeen(msgspec.Struct, frozen=True):
    """Somebody who is in a room."""

    call_sid: str
    label: str
    hold: bool
    muted: bool
    end_on_exit: bool


class TaskSeen(msgspec.Struct, frozen=True):
    """One task of TaskRouter's that is not over, and the call among its attributes."""

    call_id: str
    name: str
    status: str


class WorldSeen(msgspec.Struct, frozen=True):
    """The world at one moment. `rooms` by friendly name, those that are not over."""

    at: float
    calls: tuple[LineSeen, ...]
    rooms: dict[str, tuple[PlaceSeen, ...]]
    dropped: int
    """Entries of the ledgers that were lost: not one may be."""
    stalls: tuple[Stall, ...] = ()
    """When this Twilio itself stood still."""
    tasks: tuple[TaskSeen, ...] = ()


class _Writer:
    """Follows the journals of the world into files."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._exchanges: BinaryIO = (folder / EXCHANGES_FILE).open("ab")
        self._rest: BinaryIO = (folder / REST_FILE).open("ab")
        self._seen = {"exchanges": 0, "rest": 0}
        self._open: list[Exchange] = []
        self._asked: list[RestRequest] = []
        self._dropped = 0
        self.stalls: list[Stall] = []

    async def follow(self) -> None:
        """Write for as long as it is not cancelled."""
        while True:
            self.sweep()
            await asyncio.sleep(_SWEEP_S)

    def sweep(self, *, everything: bool = False) -> None:
        """Write what is over since the last time; `everything`: what is not over too."""
        self._open += self._news("exchanges", self._world.exchanges.entries, self._world.exchanges.total)
        still: list[Exchange] = []
        for entry in self._open:
            if everything or entry.done_at is not None or entry.error is not None:
                self._exchanges.write(msgspec.json.encode(_told(entry)) + b"\n")
            else:
                still.append(entry)
        self._open = still
        self._asked += self._news("rest", self._world.rest.entries, self._world.rest.total)
        for request in self._asked:
            if everything or request.status:
                self._rest.write(msgspec.json.encode(_asked(request)) + b"\n")
        self._asked = [] if everything else [request for request in self._asked if not request.status]
        self._exchanges.flush()
        self._rest.flush()

    def show(self) -> None:
        """Write the world as it is, all of it or nothing."""
        self.sweep()
        world = self._world
        seen = WorldSeen(
            at=world.clock.now(),
            calls=tuple(_line(call) for call in world.calls.values()),
            rooms={room.name: _places(room) for room in world.conferences.values() if room.status.value != "completed"},
            dropped=self._dropped,
            stalls=tuple(self.stalls),
            tasks=tuple(_task(t) for space in world.workspaces.values() for t in space.tasks.values() if t.open),
        )
        partial = self._folder / f"{WORLD_FILE}.partial"
        partial.write_bytes(msgspec.json.encode(seen))
        partial.rename(self._folder / WORLD_FILE)

    def _news(self, name: str, entries: Any, total: int) -> list[Any]:
        new = total - self._seen[name]
        self._seen[name] = total
        self._dropped += max(0, new - len(entries))
        return list(entries)[-new:] if new else []


def _told(entry: Exchange) -> Told:
    return Told(
        kind=entry.kind, resource=entry.resource, url=entry.url, event=entry.event, params=entry.params, at=entry.at,
        done_at=entry.done_at, status=entry.status, error=entry.error, attempts=entry.attempts,
        put_off=_GOES_ELSEWHERE in (entry.body or ""),
    )  # fmt: skip


def _asked(request: RestRequest) -> Asked:
    return Asked(
        at=request.at, method=request.method, path=request.path, status=request.status, code=request.code,
        fault=request.fault, duration_s=request.duration_s,
    )  # fmt: skip


def _line(call: Call) -> LineSeen:
    label = call.participant.label if call.participant is not None else ""
    url = call.progress.url
    return LineSeen(call.sid, call.direction.value, call.status.value, url, label, call.created_at)


def _task(task: Task) -> TaskSeen:
    known = task.attributes
    return TaskSeen(str(known.get("call_id", "")), str(known.get("task", "of the queue")), task.status.value)


def _places(room: Conference) -> tuple[PlaceSeen, ...]:
    return tuple(
        PlaceSeen(inside.call.sid, inside.label, inside.hold, inside.muted, inside.end_on_exit)
        for inside in room.joined()
    )


async def _main(bind: str, public_url: str, folder: Path, seed: int) -> None:
    host, _, port = bind.partition(":")
    number = NumberConfig(
        voice_url=callback_url(public_url, Route.TWIML), status_callback=callback_url(public_url, Route.STATUS)
    )
    browsers = ApplicationConfig(voice_url=number.voice_url, status_callback=number.status_callback)
    config = EmulatorConfig(
        host=host, port=int(port), numbers=dict.fromkeys(NUMBERS, number), applications={APPLICATION: browsers},
        taskrouter=centre(public_url, seed), people={w.contact_uri: w.person for w in draw_workers(seed).values()},
        default_person=Person(ring_s=0.3), seed=1, journal_size=_REMEMBERED, history_size=_ALL,
    )  # fmt: skip
    stop = asyncio.Event()
    async with serve(config) as running:
        writer = _Writer(running.world, folder)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, writer.show)
        following = asyncio.create_task(writer.follow())
        watching = asyncio.create_task(watch_stalls(writer.stalls))
        await stop.wait()
        following.cancel()
        watching.cancel()
        writer.sweep(everything=True)
        writer.show()


def _run(arguments: Iterable[str]) -> None:
    import uvloop  # noqa: PLC0415 - the process only, not who reads its files

    bind, public_url, folder, seed = arguments
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_main(bind, public_url, Path(folder), int(seed)))


if __name__ == "__main__":
    _run(sys.argv[1:])
