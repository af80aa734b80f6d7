"""A chaos run from the first broker to the last verdict.

Take-overs are measured; then load and faults; then no more faults, and time to heal; then both sides are compared;
then everybody goes home, the services leave, and the checker reads what is left.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec

from chaos.blows import Blows
from chaos.brokers import Brokers
from chaos.commit import running_commit
from chaos.evidence import Facts, agreement, call_of_told, is_acknowledged, tells
from chaos.feed import Commander, Feed
from chaos.load import Load
from chaos.options import Options
from chaos.plan import Part, draw_call, draw_faults
from chaos.policy import core_of
from chaos.recorder import Recorder
from chaos.said import read_said
from chaos.services import PARTITIONS, Services
from chaos.stalls import Stall, watch_stalls
from chaos.takeover import TakeOvers, measure
from chaos.twilio import WorldSeen
from cordboard.clock import system_clock
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from schemas.codec import decode_state
from schemas.state import Call, CallState
from schemas.topics import Topic

_MISBEHAVES = {
    "callback_double": 0.05, "callback_delay": 0.05, "max_delay_s": 5.0, "rest_too_many": 0.005,
    "rest_error_before": 0.005, "rest_error_after": 0.005, "rest_answer_lost": 0.005,
}  # fmt: skip
"""Of the local Twilio, by chance: callbacks twice and late, REST requests refused, done and not answered."""
_LOOK_S = 0.5
_HEAL_S = 30.0
_READY_S = 90.0
_LOOKS = 20
_LOOK_AGAIN_S = 3.0
_HOME_S = 120.0
_IN_HAND_S = 2.0


class Done(msgspec.Struct, kw_only=True):
    """What a run has left for the checker and the report. Times in epoch seconds."""

    options: Options
    facts: Facts
    takeovers: TakeOvers
    load_began: float
    load_ended: float
    begun: int
    commit: str
    """What ran."""
    lost_calls: int
    """Calls of which Twilio had given up a callback when all had healed."""
    blows: dict[str, int]
    healed_in_s: float
    """From the last fault until nothing was behind."""


class ChaosRun:
    """One run, in `folder`. `say` is told what happens, line by line."""

    def __init__(self, options: Options, folder: Path, say: Callable[[str], None]) -> None:
        self.options = options
        self.folder = folder
        self._say = say
        self.heard = 0
        """Callbacks that Twilio has delivered since the load began."""
        self.brokers = Brokers(folder, options.brokers)
        self.services = Services(folder, self.brokers.linked, options.seed, together=options.together)
        self.load: Load | None = None
        self.blows = Blows(draw_faults(options), self.brokers, self.services, self.progress, say)
        self.stalls: list[Stall] = []
        """Of the driver, and with it of the links."""
        self._ends_at = 0.0
        self._commit = running_commit()

    def progress(self) -> float:
        """How much of the load is done, 0 to 1: by webhooks, or by time where that ends it."""
        by_time = 0.0
        if self._ends_at:
            by_time = 1 - max(0.0, self._ends_at - time.time()) / (self.options.minutes * 60)
        return min(1.0, max(self.heard / self.options.webhooks, by_time))

    async def run(self) -> Done:
        """Run it. Raises what keeps it from coming to its end."""
        async with AsyncExitStack() as stack:
            self._say(f"starting {self.options.brokers} broker(s)")
            await stack.enter_async_context(self.brokers.running())
            self._say("starting the services")
            await stack.enter_async_context(self.services.running())
            log = KafkaLog(KafkaSettings(bootstrap=tuple(self.brokers.direct.split(",")), partitions=PARTITIONS))
            stack.push_async_callback(log.aclose)
            recorder = Recorder(log, self.folder / "topics")
            await stack.enter_async_context(recorder.running())
            watching = asyncio.create_task(watch_stalls(self.stalls))
            stack.callback(watching.cancel)
            return await self._live(log, recorder)

    async def _live(self, log: KafkaLog, recorder: Recorder) -> Done:
        feed, commander = Feed(), Commander(log)
        recorder.listeners[Topic.EVENTS].append(feed.hear)
        listen = recorder.listeners[Topic.EVENTS].append
        takeovers = await measure(log, listen, self.services, self.options.takeovers, self._say)
        del recorder.listeners[Topic.EVENTS][1:]
        self.load = Load(self.options, self.services, feed, commander)
        began = time.time()
        calling = asyncio.create_task(self.load.run())
        await self._under_load(self.load, calling)
        ended = time.time()
        behind, healed_in_s = await self._heal(recorder)
        not_ready = [unit.name for unit in self.services.all if not await self.services.is_ready(unit, _READY_S)]
        await calling
        facts = Facts(
            folder=self.folder, partitions=PARTITIONS, world=WorldSeen(0, (), {}, 0), said=read_said(()),
            commands=commander.durable, struck=self.blows.struck, behind=behind,
            troubles=[f"{name} is not ready {_READY_S:.0f} s after the last fault" for name in not_ready],
            numbers=frozenset(n for i in range(self.load.begun) for n in draw_call(self.options.seed, i).numbers),
            core=core_of(self.services.policy_file),
        )  # fmt: skip
        lost = await self._compare(recorder, facts)
        await self._everybody_goes_home(recorder, commander, lost)
        facts.ended_ms = system_clock()
        await self._everybody_leaves(recorder)
        await recorder.caught_up()
        self._finish(facts, recorder)
        return Done(
            options=self.options, facts=facts, takeovers=takeovers, load_began=began, load_ended=ended,
            begun=self.load.begun, commit=self._commit, lost_calls=len(lost), healed_in_s=healed_in_s,
            blows={f"{blow} {part}": count for (blow, part), count in sorted(self.blows.counts().items())},
        )  # fmt: skip

    async def _under_load(self, load: Load, calling: "asyncio.Task[None]") -> None:
        """Faults under load, until enough webhooks were heard or the time is over, and every fault has passed."""
        await self.services.twilio("PUT", "/chaos", _MISBEHAVES)
        self._ends_at = time.time() + self.options.minutes * 60
        striking = asyncio.create_task(self.blows.run())
        while self.progress() < 1:
            await asyncio.sleep(_LOOK_S)
            self.heard = await self._delivered()
            for task in (calling, striking):
                if task.done():
                    task.result()
        await striking
        await self.blows.over()
        load.stop()
        await self.services.twilio("PUT", "/chaos", {})
        self._say("no more faults; the last callers finish")

    async def _delivered(self) -> int:
        try:
            health = await self.services.twilio("GET", "/health")
        except (aiohttp.ClientError, TimeoutError):
            return self.heard
        counts: dict[str, int] = msgspec.convert(health["callbacks"], dict[str, int])
        return counts["delivered"]

    async def _heal(self, recorder: Recorder) -> tuple[dict[str, int], float]:
        """What is still behind 30 s after the last fault, and how long it took until nothing was."""
        began = time.time()
        while True:
            ends = {partition: recorder.inbox_end(partition) for partition in range(PARTITIONS)}
            await asyncio.sleep(_IN_HAND_S)
            covered = recorder.covered
            behind = {f"inbox[{p}]": end - covered[p] for p, end in ends.items() if covered[p] < end}
            for unit in self.services.units[Part.INGRESS]:
                spooled = await self.services.spooled(unit)
                if spooled != 0:
                    behind[f"the spool of {unit.name}"] = -1 if spooled is None else spooled
            took_s = time.time() - began
            if not behind or took_s > _HEAL_S:
                return behind, took_s

    async def _compare(self, recorder: Recorder, facts: Facts) -> set[str]:
        """Compare both sides until they agree, or have been asked often enough. Gives the calls with lost callbacks."""
        lost: set[str] = set()
        for _ in range(_LOOKS):
            await asyncio.sleep(_LOOK_AGAIN_S)  # something may be under way just now
            await recorder.caught_up()
            world = msgspec.json.decode(await self.services.show_twilio(), type=WorldSeen)
            lost = {str(call) for call in await asyncio.to_thread(_given_up, self.folder)}
            shown = agreement(world, recorder.calls)
            differing = set(shown.differing()) - lost
            facts.healed_ms = shown.at_ms
            facts.healed = {call_id: call for call_id, call in shown.calls.items() if call_id not in lost}
            facts.disagreed = [line for call_id in differing for line in shown.about(call_id)]
            if not differing:
                break
        live = sum(call.state is not CallState.ENDED for call in facts.healed.values())
        self._say(f"both sides compared: {live} live calls, {len(facts.disagreed)} differences, {len(lost)} left out")
        return lost

    async def _everybody_goes_home(self, recorder: Recorder, commander: Commander, lost: set[str]) -> None:
        """Everybody hangs up. Calls of which a callback was given up are ended by command, as an operator would."""
        world = msgspec.json.decode(await self.services.show_twilio(), type=WorldSeen)
        for line in world.calls:
            if line.status in {"in-progress", "ringing", "queued"}:
                await self.services.twilio("POST", f"/calls/{line.sid}/hangup")
        over: set[bytes] = set()
        for call_id in sorted(lost & {call.call_id for call in _live(recorder, over)}):
            await commander.send(f"operator-{call_id}", "call.end", call_id, {})
        end = time.time() + _HOME_S
        while any(True for _ in _live(recorder, over)) and time.time() < end:
            await asyncio.sleep(_LOOK_S)

    async def _everybody_leaves(self, recorder: Recorder) -> None:
        """SIGTERM for all: the engines last, when they have dealt with what the others had left to say."""
        for part in (Part.INGRESS, Part.ACTIONS):
            for unit in self.services.units[part]:
                if not unit.service.dead:
                    await unit.stop()
        end = time.time() + _HEAL_S
        await recorder.caught_up()
        while any(recorder.covered[p] < recorder.inbox_end(p) for p in range(PARTITIONS)) and time.time() < end:
            await asyncio.sleep(_LOOK_S)
        for unit in self.services.units[Part.ENGINE]:
            if not unit.service.dead:
                await unit.stop()
        await self.services.end_twilio()

    def _finish(self, facts: Facts, recorder: Recorder) -> None:
        facts.world = msgspec.json.decode((self.folder / "world.json").read_bytes(), type=WorldSeen)
        facts.said = read_said(self.services.logs())
        facts.stalls = [*self.stalls, *facts.world.stalls]
        facts.troubles += [*recorder.missed, *self.services.wrong()]
        if facts.world.dropped:
            facts.troubles.append(f"the local Twilio's ledgers lack {facts.world.dropped} entries")


def _live(recorder: Recorder, over: set[bytes]) -> Iterator[Call]:
    """Calls that have not ended, or still want something; those that are `over` are noted and asked no more."""
    for key in recorder.calls.keys() - over:
        call = decode_state(recorder.calls[key]).call
        if isinstance(call, Call) and (call.state is not CallState.ENDED or call.pending):
            yield call
        else:
            over.add(key)


def _given_up(folder: Path) -> set[str | None]:
    return {call_of_told(told) for told in tells(folder) if not is_acknowledged(told) and not told.put_off}
