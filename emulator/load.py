"""Load: thousands of calls at a stated rate, from a stated mix of callers, and what became of them.

Open loop: calls come when they are due, whatever the application under test makes of the earlier ones. Figures are the
emulator's own counts, read before and after (``statistics.py``).
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import msgspec

from emulator.desk import Desk, RefusedError
from emulator.people import Share, draw
from emulator.scenario import Load
from emulator.statistics import Statistics, Tally

LOOK_S = 0.25
MAX_AT_ONCE = 200
"""Control requests under way at the same time; more wait, and their calls are late."""
INBOUND = "inbound"


@dataclass(slots=True)
class Course:
    """How far a load has come. ``found`` is what was counted since its beginning."""

    calls: int
    started: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    by_caller: Counter[str] = field(default_factory=Counter)
    lateness: Tally = field(default_factory=Tally)
    """By how much calls began behind their time, real seconds; in virtual time nothing is late."""
    found: Statistics = field(default_factory=Statistics)
    waiting: int = 0
    """Callbacks that are queued or under way."""
    seconds: float = 0.0
    """How long it has taken, in the emulator's time."""
    real_s: float = 0.0

    def ended(self, status: str | None = None) -> int:
        """Return how many incoming calls have ended, with this status or any."""
        keys = [key for key in self.found.calls if key.startswith(f"{INBOUND} ") and key != f"{INBOUND} begun"]
        return sum(self.found.calls[key] for key in keys if status is None or key == f"{INBOUND} {status}")

    @property
    def over(self) -> bool:
        """Whether every call that was started has ended and every callback is through."""
        return self.started + self.refused.total() == self.calls and self.ended() >= self.started and not self.waiting


def plan(load: Load) -> Iterator[tuple[float, Share, str]]:
    """Yield when each call is due (seconds from the beginning), who calls, and from where; the same for one seed."""
    chance = random.Random(load.seed)  # noqa: S311 - chance for tests, repeatable by its seed
    due_s, first = 0.0, int(load.from_.removeprefix("+"))
    for number in range(load.calls):
        from_ = f"client:load-{number}" if load.application_sid else f"+{first + number}"
        yield due_s, draw(load.callers, chance), from_
        due_s += chance.expovariate(load.rate) if load.arrivals == "poisson" else 1 / load.rate


async def run_load(
    base_url: str, load: Load, *, told: Callable[[Course], None] = lambda _: None, drain_s: float = 60.0
) -> Course:
    """Place the calls against the emulator at ``base_url``, and wait at most ``drain_s`` seconds for the last to end.

    ``told`` hears how far it has come, some times a second.

    Raises:
        RefusedError, aiohttp.ClientError: there is no emulator, or it does not answer any more.

    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    connector = aiohttp.TCPConnector(limit=MAX_AT_ONCE)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        desk = Desk(session, base_url)
        await desk.open()
        return await _Run(desk, load, told, await _look(desk)).run(drain_s)


@dataclass(frozen=True, slots=True)
class _Look:
    """One reading of the emulator."""

    statistics: Statistics
    waiting: int
    now: float


async def _look(desk: Desk) -> _Look:
    read = await desk.control("GET", "/statistics")
    return _Look(
        msgspec.convert(read["statistics"], Statistics, strict=False),
        int(read["callbacks_waiting"]),
        float(read["now"]),
    )


class _Run:
    """One load under way."""

    def __init__(self, desk: Desk, load: Load, told: Callable[[Course], None], before: _Look) -> None:
        self._desk = desk
        self._load = load
        self._told = told
        self._before = before
        self._began = time.perf_counter()
        self.course = Course(load.calls)

    async def run(self, drain_s: float) -> Course:
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._watch())
            if self._desk.virtual:
                await self._in_order()
            else:
                await self._in_real_time()
            looking.cancel()
        left_s = drain_s
        await self._measure()
        while not self.course.over and left_s > 0:
            await self._desk.wait(LOOK_S)
            left_s -= LOOK_S
            await self._measure()
        return self.course

    async def _in_order(self) -> None:
        """Virtual time: one call after the other, each when everything before it has come to rest."""
        last_s = 0.0
        for due_s, share, from_ in plan(self._load):
            await self._desk.wait(due_s - last_s)
            last_s = due_s
            await self._place(share, from_)

    async def _in_real_time(self) -> None:
        async with asyncio.TaskGroup() as group:
            for due_s, share, from_ in plan(self._load):
                await self._desk.wait(self._began + due_s - time.perf_counter())
                group.create_task(self._place(share, from_, self._began + due_s))

    async def _place(self, share: Share, from_: str, due_at: float | None = None) -> None:
        wish = {"from": from_, "to": self._load.to, "person": share.person}
        if self._load.application_sid:
            wish["application_sid"] = self._load.application_sid
        try:
            await self._desk.control("POST", "/calls", wish)
        except (RefusedError, aiohttp.ClientError) as error:
            self.course.refused[str(error) or type(error).__name__] += 1
            return
        self.course.started += 1
        self.course.by_caller[share.name or "caller"] += 1
        self.course.lateness.add(0.0 if due_at is None else max(time.perf_counter() - due_at, 0.0))

    async def _watch(self) -> None:
        while True:
            with suppress(aiohttp.ClientError):  # those who place calls tell of it
                await self._measure()
            await asyncio.sleep(LOOK_S)

    async def _measure(self) -> None:
        look = await _look(self._desk)
        self.course.found = look.statistics - self._before.statistics
        self.course.waiting = look.waiting
        self.course.seconds = look.now - self._before.now
        self.course.real_s = time.perf_counter() - self._began
        self._told(self.course)
