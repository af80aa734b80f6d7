"""Carrying out the plan's faults, each when its share of the load is done."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from chaos.brokers import Brokers
from chaos.links import Link
from chaos.plan import Blow, Fault, Part
from chaos.services import Services, Unit
from kafka_broker import BrokerFailedError, KafkaBroker

_LOOK_S = 0.05
_DELAY_S = 0.3


class Struck(msgspec.Struct, frozen=True):
    """A fault that has happened, from when to when (epoch seconds): until the part was up again."""

    fault: Fault
    began: float
    ended: float


class Blows:
    """Strikes. `progress` says how much of the load is done, 0 to 1; `say` tells who watches."""

    def __init__(
        self, faults: Sequence[Fault], brokers: Brokers, services: Services, progress: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._faults = faults
        self._brokers = brokers
        self._services = services
        self._progress = progress
        self._say = say
        self._locks = {broker.node_id: asyncio.Lock() for broker in brokers.all}
        self.struck: list[Struck] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Strike until every fault has happened; to be cancelled when the load is over."""
        for fault in self._faults:
            while self._progress() < fault.at:
                await asyncio.sleep(_LOOK_S)
            task = asyncio.get_running_loop().create_task(self._strike(fault))
            self._under_way.add(task)

    async def over(self) -> None:
        """Wait until everything that was struck is up again."""
        if self._under_way:
            await asyncio.gather(*self._under_way)

    def counts(self) -> Counter[tuple[str, str]]:
        """How often what happened to whom."""
        return Counter((struck.fault.blow.value, struck.fault.part.value) for struck in self.struck)

    async def _strike(self, fault: Fault) -> None:
        began = await self._hit(fault)
        self.struck.append(Struck(fault, began, time.time()))

    async def _hit(self, fault: Fault) -> float:
        """Do it; gives when it began."""
        if fault.blow in {Blow.CUT, Blow.DELAY}:
            return await self._disturb(fault, self._link(fault))
        if fault.blow is Blow.ROLL:
            return await self._roll(fault)
        if fault.part is Part.BROKER:
            broker = self._brokers.all[fault.which]
            async with self._locks[broker.node_id]:
                return await self._hit_broker(fault, broker)
        unit = self._services.units[fault.part][fault.which]
        async with unit.busy:
            return await self._hit_unit(fault, unit)

    def _link(self, fault: Fault) -> Link:
        return self._services.to_twilio if fault.part is Part.TO_TWILIO else self._brokers.links[fault.which]

    async def _disturb(self, fault: Fault, link: Link) -> float:
        began = self._tell(fault)
        if fault.blow is Blow.CUT:
            link.cut()
        else:
            link.delay_s = _DELAY_S
        await asyncio.sleep(fault.seconds)
        link.heal()
        return began

    async def _hit_unit(self, fault: Fault, unit: Unit) -> float:
        began = self._tell(fault)
        if fault.blow is Blow.KILL:
            unit.kill()
            await asyncio.sleep(fault.seconds)
            unit.start()
        else:
            unit.service.signal(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            unit.service.signal(signal.SIGCONT)
        return began

    async def _hit_broker(self, fault: Fault, broker: KafkaBroker) -> float:
        began = self._tell(fault)
        if fault.blow is Blow.KILL:
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(fault.seconds)
            await self._bring_back(broker)
        else:
            broker.pause()
            await asyncio.sleep(fault.seconds)
            broker.resume()
        return began

    async def _bring_back(self, broker: KafkaBroker) -> None:
        """Start it, once more if need be: a controller that is being voted out may end the first attempt."""
        try:
            await asyncio.to_thread(broker.start)
        except BrokerFailedError as failed:
            self._say(f"broker {broker.node_id} did not come back, once more: {str(failed)[:200]}")
            await asyncio.to_thread(broker.start)

    async def _roll(self, fault: Fault) -> float:
        began = self._tell(fault)
        if fault.part is Part.BROKER:
            for broker in self._brokers.all:
                async with self._locks[broker.node_id]:
                    await asyncio.to_thread(broker.stop)
                    await self._bring_back(broker)
            return began
        for unit in self._services.units[fault.part]:
            async with unit.busy:
                await self._services.is_alive(unit)
                await unit.stop()
                unit.start()
                if not await self._services.is_ready(unit):
                    self._say(f"{unit.name} is not ready a minute after its restart; rolling on")
        return began

    def _tell(self, fault: Fault) -> float:
        self._say(str(fault))
        return time.time()
