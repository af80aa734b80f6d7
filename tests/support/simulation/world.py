"""One run: everything put together, the plan carried out, and what there is to be judged afterwards.

The order of a run: calls and faults; then no more faults, and time to heal; then everybody who is left goes home; then
silence. What must be true at the end of each is said in `invariants.py`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from random import Random
from typing import Any

import msgspec

from cordboard.errors import AppendFailedError, LogError, LogUnavailableError
from cordboard.log.faults import Operation, Point
from cordboard.log.port import Entry
from engine.partition import EnginePartition
from schemas.actions import Action
from schemas.commands import type_of
from schemas.ids import dialled_call_id
from schemas.times import rfc3339
from schemas.topics import Topic
from simulation.centre import Centre
from simulation.loop import CURRENT, EPOCH_S, KilledError, SimLoop
from simulation.network import PUBLIC_URL, Network, UnsignedIngress
from simulation.nodes import ALL, NUMBER, Node
from simulation.ordered import OrderedLog
from simulation.phones import Phones
from simulation.plan import Begins, CallPlan, Effect, Fault, Plan, Said, Where
from simulation.process import Process
from simulation.rest import Rest
from simulation.script import Script
from simulation.service import Service

WORLD: ContextVar["World"] = ContextVar("simulated_world")
SOURCE = "/simulation"
CUSTOMER = "+1555{:03d}9999"
_DELAYS_S = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, 0.004, 0.02, 0.2)


class Sent(msgspec.Struct, frozen=True):
    """A worker began to send an action, right after its last check. `doubtful`: the group had thrown it out before."""

    at_ms: int
    action: Action
    process: str
    doubtful: bool


class World:
    """The run of a plan."""

    def __init__(self, plan: Plan, loop: SimLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.rng = Random(f"latency-{plan.seed}")  # noqa: S311 - not for secrets
        self.session_s = self.rng.choice((2.0, 6.0))
        self.script = Script(plan.faults)
        self.log = OrderedLog(plan.partitions, clock=loop.clock_ms, eager=self.rng.random() < 0.5)
        self.log.parted, self.log.away = plan.parted, Counter()
        self.log.faults.hook = self._hook
        self.network = Network(self)
        people = {person.address: person for call in plan.calls for person in call.people}
        self.phones = Phones(loop.time, self.later, self.network.tell, people)
        self.phones.fetch = self.network.fetch
        self.centre = Centre(self)
        self.phones.over = lambda line: self.centre.leave(line, "hangup")
        self.service = Service(self)
        self.rest = Rest(self.phones, self.centre, self.later, self.network.tell, plan.machines)
        self.owners: dict[int, list[EnginePartition]] = {}
        """Everybody who has ever had each partition."""
        self.sent: list[Sent] = []
        self.overdue: list[str] = []
        """What the nodes did wrong as processes."""
        self.lines: list[str] = []
        self.logged: list[dict[str, Any]] = []
        self.thrown_out: set[str] = set()
        self.strays: set[tuple[str, float]] = set()
        """Actions, and when a request took effect that was slept on after its check, or kept by the network."""
        self._checked: dict[tuple[str, str], int] = {}
        """How often a process had stood still when it last checked whether an action may be sent."""
        self.assigned: Counter[tuple[Topic, int]] = Counter()
        """How often each partition was assigned to somebody."""
        self.nodes = self._make_nodes()
        self._errands: set[asyncio.Task[Any]] = set()
        self._striking: dict[object, Fault] = {}

    def _make_nodes(self) -> list[Node]:
        names = range(self.plan.nodes)
        if not self.plan.split:
            return [Node(self, f"n{number}", ALL) for number in names]
        return [Node(self, f"{role}{number}", (role,)) for number in names for role in ALL]

    def live(self, partition: int) -> EnginePartition | None:
        """The owner of a partition: whose claim is the latest, not who was made last."""
        return max(self.owners.get(partition, ()), key=_token, default=None)

    # What everybody uses

    def trace(self, text: str) -> None:
        """Write a line of the story."""
        self.lines.append(f"{self.loop.now_s - EPOCH_S:9.3f} {text}")

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back outside every process."""
        context = self._outside()
        self.loop.call_later(seconds, callback, context=context)

    def outside(self, work: Awaitable[object]) -> None:
        """Do something outside every process."""
        task = self.loop.create_task(work, context=self._outside())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _outside(self) -> Any:
        return self._base.copy()

    def an_ingress(self) -> tuple[Process | None, UnsignedIngress | None]:
        """An ingress that takes connections now, by chance one of several."""
        running = [
            (node.process, node.ingress)
            for node in self.nodes
            if node.ingress is not None and node.process is not None and not (node.process.dead or node.process.paused)
        ]
        return self.rng.choice(running) if running else (None, None)

    def note_sent(self, action: Action) -> None:
        """A worker is about to send."""
        process = self._current()
        self._checked[process.name, action.id] = process.freezes
        doubtful = process.name in self.thrown_out
        self.sent.append(Sent(self.loop.clock_ms(), action, process.name, doubtful))

    def has_slept_since_its_check(self, process: Process, action_id: str) -> bool:
        """Whether a process has stood still between the last check for an action and now."""
        return process.freezes > self._checked.get((process.name, action_id), process.freezes)

    def _current(self) -> Process:
        process = CURRENT.get()
        assert isinstance(process, Process)
        return process

    # Processes in trouble

    def kill(self, process: Process) -> None:
        """End at once the node whose process this is."""
        node = next((node for node in self.nodes if node.process is process), None)
        if node is not None:
            node.kill(self.rng.choice((0.2, 1.0, 4.0)))

    def pause(self, process: Process, seconds: float) -> None:
        """SIGSTOP, SIGCONT; the group gives up on it when its session is over."""
        if process.dead or process.paused:
            return
        self.trace(f"{process.name} stands still for {seconds:g} s")
        process.freezes += 1
        self.loop.pause(process)
        if seconds > self.session_s:
            self.later(self.session_s, lambda: self.evict(process))
            self.later(seconds + 0.5, lambda: self.rejoin(process))
        self.later(seconds, lambda: self.wake(process))

    def wake(self, process: Process) -> None:
        """SIGCONT."""
        if process.paused and not process.dead:
            self.trace(f"{process.name} goes on")
            self.loop.resume(process)

    def evict(self, process: Process) -> None:
        """The group has not heard from it for too long."""
        self.thrown_out.add(process.name)
        self.trace(f"the groups give up on {process.name}")
        for subscription in process.subscriptions:
            self.outside(subscription.evict())

    def rejoin(self, process: Process) -> None:
        """It asks for a new assignment, as soon as it can do anything."""
        if process.dead:
            return
        if process.paused:
            self.later(0.5, lambda: self.rejoin(process))
            return
        self.trace(f"{process.name} rejoins")
        for subscription in process.subscriptions:
            self.outside(subscription.group.rejoin(subscription.inner.membership))

    # Faults

    async def _hook(self, on: Operation, point: Point, topic: Topic, partition: int) -> None:
        task = asyncio.current_task()
        process = CURRENT.get()
        if not isinstance(process, Process):
            return
        if point is Point.BEFORE:
            fault = self.script.next(Where.LOG, on.value, topic.value)
            if fault is not None:
                self.trace(f"{process.name} {on.value} {topic.value}[{partition}] [{fault.effect.value}]")
                self._striking[task] = fault
        else:
            fault = self._striking.pop(task, None)
        delay_s = self.rng.choice(_DELAYS_S)
        if delay_s:
            await asyncio.sleep(delay_s * self.rng.random())
        if fault is not None:
            await self._strike(fault, process, on, point, topic, partition)

    async def _strike(
        self, fault: Fault, process: Process, on: Operation, point: Point, topic: Topic, partition: int
    ) -> None:
        error: type[LogError] = AppendFailedError if on is Operation.APPEND else LogUnavailableError
        match fault.effect, point:
            case (Effect.REFUSED, Point.BEFORE) | (Effect.LOST_ACK, Point.AFTER):
                raise error(f"simulated: {fault.effect.value}")
            case (Effect.CRASH_BEFORE, Point.BEFORE) | (Effect.CRASH_AFTER, Point.AFTER):
                self.kill(process)
                raise KilledError
            case (Effect.PAUSE_BEFORE, Point.BEFORE) | (Effect.PAUSE_AFTER, Point.AFTER):
                self.pause(process, fault.seconds)
                await asyncio.sleep(0)
            case (Effect.DELAY, Point.BEFORE):
                await asyncio.sleep(fault.seconds)
            case (Effect.TWICE, Point.BEFORE) if on is Operation.PUBLISH:
                self.log.faults.deliver_again(topic, partition)
            case _:
                return

    def _node_fault(self, fault: Fault) -> None:
        if not self.script.armed:
            return
        node = self.nodes[fault.node % len(self.nodes)]
        process = node.process
        if process is None or process.dead:
            return
        self.script.struck.append(fault)
        match fault.effect:
            case Effect.KILL:
                node.kill(fault.seconds)
            case Effect.PAUSE:
                self.pause(process, fault.seconds)
            case Effect.EVICT:
                self.evict(process)
                self.later(fault.seconds, lambda: self.rejoin(process))
            case Effect.REJOIN:
                self.rejoin(process)
            case _:
                self.outside(node.drain(fault.seconds))

    def _go_away(self, fault: Fault) -> None:
        if not self.script.armed:
            return
        self.trace(f"the log is away{f' in partition {fault.node}' if fault.node >= 0 else ''} for {fault.seconds:g} s")
        self.script.struck.append(fault)
        self.log.away[fault.node] += 1
        self.later(fault.seconds, lambda: self._come_back(fault))

    def _come_back(self, fault: Fault) -> None:
        if self.log.away[fault.node]:
            self.log.away[fault.node] -= 1
            self.trace("the log is back")

    def _room_fault(self, fault: Fault) -> None:
        if self.script.armed:
            self.script.struck.append(fault)
            call = self.plan.calls[fault.node % len(self.plan.calls)]
            self.trace(f"call {call.number} loses its room")
            self._lose_room(call_id_of(call))

    def _lose_room(self, call_id: str) -> None:
        phones = self.phones
        room = next((r for r in phones.rooms.values() if r.status != "completed" and r.name.endswith(call_id)), None)
        if room is not None:
            inside = [place for place in room.inside() if phones.after_room_status(place) == "in-progress"]
            phones.thrown_out += [(place.line, place.line.rooms) for place in inside]
            phones.end_room(room, "conference-ended-via-api")

    # The run

    async def run(self) -> None:
        """Carry the plan out."""
        self._base = copy_context()
        for node in self.nodes:
            node.start()
        for call in self.plan.calls:
            self.later(call.at_s, lambda call=call: self._begin(call))  # type: ignore[misc]
        strikes = {Where.NODE: self._node_fault, Where.AWAY: self._go_away, Where.ROOM: self._room_fault}
        for fault in self.plan.faults:
            if fault.where in strikes:
                self.later(fault.at_s, partial(strikes[fault.where], fault))
        await asyncio.sleep(35.0)

    def _begin(self, call: CallPlan) -> None:
        call_id = call_id_of(call)
        self.trace(f"call {call.number} begins: {call.begins.value}")
        if call.begins is Begins.DIAL:
            data = {"agent": "client:" + call.people[0].address.removeprefix("client:"), "to": phone_of(call)}
            self._say(call, 0, Said(0.0, "call.dial", data), None)
        else:
            caller = CUSTOMER.format(call.number) if call.begins is Begins.INBOUND else call.people[0].address
            to = NUMBER if call.begins is Begins.INBOUND else call.people[1].address
            line = self.phones.place_call(call_id, caller, to, f"{PUBLIC_URL}/v1/voice/twiml")
            line.status_url = f"{PUBLIC_URL}/v1/voice/status"
            if call.talks_s:
                self.later(call.talks_s, lambda: self.phones.hang_up(line))
        at_s = 0.5
        for number, said in enumerate(call.commands, 1):
            at_s += said.after_s
            self.later(at_s, lambda number=number, said=said: self._say(call, number, said, call_id))  # type: ignore[misc]

    def _say(self, call: CallPlan, number: int, said: Said, subject: str | None) -> None:
        self.trace(f"call {call.number}: {said.name} {said.data}{f' x{said.times}' if said.times > 1 else ''}")
        event: dict[str, object] = {
            "specversion": "1.0", "id": f"{call.number}-{number}", "source": SOURCE, "type": type_of(said.name),
            "data": said.data,
        }  # fmt: skip
        if subject is not None:
            event["subject"] = subject
        if said.deadline_s:
            event["deadline"] = rfc3339(self.loop.clock_ms() + int(said.deadline_s * 1000))
        body = msgspec.json.encode(event)
        partition = (call.number + number) % self.plan.partitions
        entries: Sequence[Entry] = [Entry(partition, b"any", body)] * said.times
        self.outside(self._publish(entries))

    async def _publish(self, entries: Sequence[Entry]) -> None:
        """As any producer does: again, until it is acknowledged."""
        while True:
            try:
                await self.log.publish(Topic.COMMANDS, entries)
            except LogUnavailableError:
                await asyncio.sleep(0.2)
            else:
                return


def _token(owner: EnginePartition) -> int:
    fenced = owner._fenced
    return -1 if fenced is None else fenced.token


def call_id_of(call: CallPlan) -> str:
    """The id that a call will have."""
    return dialled_call_id(SOURCE, f"{call.number}-0") if call.begins is Begins.DIAL else f"CA{call.number + 1:032x}"


def phone_of(call: CallPlan) -> str:
    """Whom an outbound call is for."""
    return f"phone:{call.people[1].address}"
