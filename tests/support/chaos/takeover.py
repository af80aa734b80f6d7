"""How long a partition stands still when its engine goes: after kill -9, and after SIGTERM. Measured before the load.

Twenty times a second a command for a call that is not there goes into the inbox of every partition, and is answered
`rejected(unknown_call)` by whoever owns it. The take-over is the longest time in which some partition answered nothing.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from chaos.feed import SOURCE
from chaos.plan import Part
from chaos.services import PARTITIONS, Services
from cordboard.clock import system_clock
from cordboard.errors import LogUnavailableError
from cordboard.log.port import Entry, Log, Record
from schemas.codec import encode
from schemas.commands import type_of
from schemas.records import Command
from schemas.results import RESULT_TYPE
from schemas.topics import Topic, partition_of

_PROBE_S = 0.05
_STEADY_S = 2.0
_DEADLINE_MS = 60_000
_KILLED_WITHIN_S = 40.0
_LEFT_WITHIN_S = 5.0
_BACK_S = 60.0


class TakeOvers(msgspec.Struct, frozen=True):
    """Seconds, one for each time: of partitions whose engine was killed, and of any while one left in order."""

    killed_s: tuple[float, ...] = ()
    planned_s: tuple[float, ...] = ()


class _Probes:
    """Asks and hears."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._calls = dict(_call_in_each())
        self.heard: dict[int, list[float]] = defaultdict(list)

    def hear(self, records: Sequence[Record]) -> None:
        """Note the answers."""
        now = asyncio.get_running_loop().time()
        for record in records:
            if (
                record.key is not None
                and record.key.startswith(b"probe-")
                and RESULT_TYPE.encode() in (record.value or b"")
            ):
                self.heard[record.partition].append(now)

    async def ask(self) -> None:
        """Ask for as long as it is not cancelled."""
        number = 0
        while True:
            number += 1
            entries = [self._probe(partition, call_id, number) for partition, call_id in self._calls.items()]
            try:
                await self._log.publish(Topic.INBOX, entries)
            except LogUnavailableError as error:
                raise RuntimeError("the brokers are to be left alone while take-overs are measured") from error
            await asyncio.sleep(_PROBE_S)

    def forget(self) -> None:
        """Keep no answers but the latest."""
        for partition, times in self.heard.items():
            self.heard[partition] = times[-1:]

    def silence(self, since: float) -> float:
        """The longest time without an answer in any partition, from `since` to now."""
        now = asyncio.get_running_loop().time()
        longest = 0.0
        for times in self.heard.values():
            inside = [since, *(at for at in times if at > since), now]
            longest = max(longest, *(later - earlier for earlier, later in itertools.pairwise(inside)))
        return longest

    def all_answered(self, since: float) -> bool:
        """Whether every partition has answered since then."""
        return len(self.heard) == PARTITIONS and all(times[-1] > since for times in self.heard.values())

    @staticmethod
    def _probe(partition: int, call_id: str, number: int) -> Entry:
        name, command_id = "call.hold", f"{call_id}-{number}"
        now = system_clock()
        command = Command(
            id=f"probe.{command_id}", call_id=call_id, at=now, command_id=command_id, command_source=f"{SOURCE}/probe",
            command_type=type_of(name), data=msgspec.Raw(b"{}"), deadline=now + _DEADLINE_MS, name=name,
        )  # fmt: skip
        return Entry(partition, call_id.encode(), encode(command))


def _call_in_each() -> dict[int, str]:
    """For each partition a call that is not there."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < PARTITIONS:
        call_id = f"probe-{number}"
        found.setdefault(partition_of(call_id.encode(), PARTITIONS), call_id)
        number += 1
    return found


async def measure(
    log: Log, listen: Callable[[Callable[[Sequence[Record]], None]], None], services: Services, times: int,
    say: Callable[[str], None],
) -> TakeOvers:  # fmt: skip
    """Measure `times` of each kind, with two engines and nothing else to do."""
    if not times:
        return TakeOvers()
    probes = _Probes(log)
    listen(probes.hear)
    asking = asyncio.create_task(probes.ask())
    killed: list[float] = []
    planned: list[float] = []
    try:
        for number in range(times):
            unit = services.units[Part.ENGINE][number % 2]
            await _steady(probes, services)
            killed.append(await _gone(probes, unit.die, _KILLED_WITHIN_S))
            await _start_again(services, number % 2)
            await _steady(probes, services)
            planned.append(await _gone(probes, unit.stop, _LEFT_WITHIN_S))
            await _start_again(services, number % 2)
            say(f"take-over after kill -9 {killed[-1]:.2f} s, planned {planned[-1]:.2f} s")
    finally:
        asking.cancel()
    return TakeOvers(tuple(killed), tuple(planned))


async def _steady(probes: _Probes, services: Services) -> None:
    """Wait until the engines share the partitions, and every partition answers without a pause."""
    now = asyncio.get_running_loop().time
    began = since = now()
    while now() < since + _STEADY_S or probes.silence(since) > _STEADY_S / 2:
        await asyncio.sleep(_PROBE_S)
        live = [await services.live_partitions(unit) for unit in services.units[Part.ENGINE]]
        if sum(live) != PARTITIONS or not all(live) or not probes.all_answered(now() - _STEADY_S / 2):
            since = now()
        if now() > began + _BACK_S:
            raise TimeoutError(f"not every partition answers again {_BACK_S:.0f} s after a restart: {live}")


async def _gone(probes: _Probes, go: Callable[[], Awaitable[None]], within_s: float) -> float:
    """Let an engine go; the silence that follows, until every partition has answered after it for a while."""
    loop = asyncio.get_running_loop()
    probes.forget()
    began = loop.time()
    await go()
    left = loop.time()
    while loop.time() < left + within_s:
        await asyncio.sleep(_PROBE_S)
        if probes.all_answered(loop.time() - 10 * _PROBE_S) and loop.time() > left + _STEADY_S:
            break
    return probes.silence(began)


async def _start_again(services: Services, which: int) -> None:
    unit = services.units[Part.ENGINE][which]
    unit.start()
    if not await services.is_ready(unit):
        raise TimeoutError(f"{unit.name} is not ready a minute after its start")
