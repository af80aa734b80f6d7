"""Delivery of callbacks: one queue per resource, so attempts start in order and nothing in the world waits for them.

What a callback says is ``payloads.py``; how one request is made is ``exchange.py``.
"""

import asyncio
from collections import deque

import structlog

from emulator.errors import Alert
from emulator.exchange import ExchangeFailedError
from emulator.faults import Effect, Fault
from emulator.journal import Exchange
from emulator.world import World

log = structlog.get_logger("emulator")
QUEUE_BOUND = 1_000
CONFERENCE_KIND = "conference"


class Callbacks:
    """Sends callbacks in the background and records each with its attempts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queues: dict[str, deque[tuple[Exchange, str]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.delivered = 0
        self.failed = 0
        self.dropped = 0

    def send(
        self,
        kind: str,
        resource: str,
        url: str,
        method: str,
        params: dict[str, str],
        account_sid: str,
        event: str = "",
    ) -> None:
        """Queue one callback about ``resource`` (a SID). Returns at once."""
        world = self._world
        entry = Exchange(
            number=world.exchanges.total + 1,
            at=world.clock.now(),
            kind=kind,
            resource=resource,
            url=url,
            method=method,
            params=params,
            event=event,
        )
        world.exchanges.add(entry)
        fault = world.faults.for_callback(method, url, kind, event)
        if fault is None:
            self._enqueue(entry, account_sid)
        else:
            self._misbehave(fault, entry, account_sid)

    def _misbehave(self, fault: Fault, entry: Exchange, account_sid: str) -> None:
        entry.fault = fault.effect.value
        if fault.effect is Effect.DROP:
            entry.error, entry.cause = "dropped by a fault", "fault"
            self.dropped += 1
        elif fault.effect is Effect.WRONG_SIGNATURE:
            self._enqueue(entry, account_sid)
        elif fault.effect is Effect.DOUBLE:
            self._enqueue(entry, account_sid)
            self._enqueue(entry, account_sid)
        else:
            self._world.start(self._later(fault.delay_s, entry, account_sid), "delayed-callback")

    async def _later(self, delay_s: float, entry: Exchange, account_sid: str) -> None:
        await self._world.clock.sleep(delay_s)
        await self._deliver(entry, account_sid)

    def _enqueue(self, entry: Exchange, account_sid: str) -> None:
        queue = self._queues.get(entry.resource)
        if queue is None:
            queue = self._queues[entry.resource] = deque()
            self._idle.clear()
            queue.append((entry, account_sid))
            self._world.start(self._drain(entry.resource, queue), "callbacks")
        elif len(queue) < QUEUE_BOUND:
            queue.append((entry, account_sid))
        else:
            self._give_up(entry, "the callback queue is full")

    def _expired(self, entry: Exchange) -> bool:
        limit_s = self._world.switches.callback_expiry_s
        return limit_s > 0 and self._world.clock.now() - entry.at > limit_s

    def _give_up(self, entry: Exchange, why: str) -> None:
        entry.error, entry.code = "expired in the queue", int(Alert.CALLBACK_EXPIRED)
        self.dropped += 1
        self._world.alert(Alert.CALLBACK_EXPIRED, why, entry.resource, entry.url)

    async def _drain(self, resource: str, queue: deque[tuple[Exchange, str]]) -> None:
        try:
            while queue:
                entry, account_sid = queue.popleft()
                if self._expired(entry):
                    self._give_up(entry, "the callback has waited too long behind slow answers")
                else:
                    await self._deliver(entry, account_sid)
        finally:
            del self._queues[resource]
            if not self._queues:
                self._idle.set()

    async def _deliver(self, entry: Exchange, account_sid: str) -> None:
        try:
            await self._world.exchanger.run(entry, account_sid)
        except ExchangeFailedError as error:
            self.failed += 1
            conference = entry.kind == CONFERENCE_KIND
            code = Alert.CONFERENCE_CALLBACK_FAILED if conference else Alert.CALLBACK_FAILED
            self._world.alert(code, f"{entry.event or entry.kind}: {error.detail}", entry.resource, entry.url)
        else:
            self.delivered += 1
            log.debug("emulator.callback_delivered", kind=entry.kind, event_name=entry.event, resource=entry.resource)

    @property
    def under_way(self) -> int:
        """How many resources have a callback under way."""
        return len(self._queues)

    @property
    def waiting(self) -> int:
        """How many callbacks are queued behind those under way."""
        return sum(len(queue) for queue in self._queues.values())

    async def settled(self, timeout_s: float) -> bool:
        """Wait until no callback is queued or under way; tell whether that came in time."""
        try:
            await self._world.clock.within(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True
