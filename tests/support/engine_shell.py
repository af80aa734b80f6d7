"""What the tests of the engine's shell share: a small honest stepper over real calls, and a rig of one partition.

The stepper knows a few commands (`begin`, `count`, `act`, `arm`, `forget`, `grow`, `boom`), drops repeated ids, parks
callbacks of unknown calls and takes timers and reports as the core does. It is not the core: it only makes every effect
happen.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from cordboard.log.faults import Operation, Point
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, Record
from cordboard.stop_rule import StopRule
from engine.applier import Stepper
from engine.core.effects import (
    CancelTimer,
    Effect,
    Emit,
    Ignore,
    Park,
    Reply,
    RequestAction,
    ScheduleTimer,
    Step,
    Unplaced,
)
from engine.limits import EngineLimits
from engine.partition import EnginePartition
from schemas.actions import HangUp
from schemas.codec import decode_action, decode_state, encode
from schemas.events import CallEvent
from schemas.ids import action_id, result_id, room_of
from schemas.records import ActionOutcome, ActionReport, Command, Inbox, Resumed, TimerDue, Webhook
from schemas.results import Outcome, Result
from schemas.state import DEFINITION, Call, CallState, Direction, PendingAction, Room, StateRecord
from schemas.topics import CLAIM_KEY, Topic, partition_of
from schemas.webhooks import Source

PARTITIONS = 4
PARKED_FOR_MS = 10_000
_SEEN = 256


class CrashError(BaseException):
    """The process died here: no handler of `Exception` may save it."""


class ManualClock:
    """Milliseconds that pass when a test says so. `monotonic` is another clock, in seconds."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.now_ms = now_ms
        self.monotonic_s = 1000.0

    def __call__(self) -> int:
        """Now."""
        return self.now_ms

    def monotonic(self) -> float:
        """Seconds."""
        return self.monotonic_s


def counting_step(call: Call | None, record: Inbox, refused: Sequence[Command] = ()) -> Step:  # noqa: ARG001 as `step`
    """Count what was applied in `call.routed` and make the effect that the record asks for."""
    if isinstance(record, Command) and record.name == "boom":
        raise ValueError("boom")
    if call is None:
        return _without_call(record)
    if isinstance(record, Resumed):
        return Step(call, (Ignore("resumed"),))
    digest = record.id.encode().ljust(48, b".")[-48:]
    if digest in [call.seen[i : i + 48] for i in range(0, len(call.seen), 48)]:
        return Step(call, (Ignore("duplicate"),))
    counted = msgspec.structs.replace(
        call, version=call.version + 1, routed=call.routed + 1, seen=(call.seen + digest)[-48 * _SEEN :]
    )
    after, effects = _with_call(counted, record)
    return Step(after, (Emit("call.held", CallEvent(cause=record.id)), *effects))


def _without_call(record: Inbox) -> Step:
    if isinstance(record, Webhook):
        return Step(None, (Unplaced(),) if record.parked else (Park(record.at + PARKED_FOR_MS),))
    if isinstance(record, Command) and record.name == "begin":
        call = Call(
            call_id=record.call_id, state=CallState.WAITING, direction=Direction.INBOUND, account_sid="AC0",
            created_at=record.at, definition=DEFINITION, room=Room(room_of(record.call_id)), version=1,
        )  # fmt: skip
        return Step(call, (Emit("call.created", CallEvent(cause=record.id)), _reply(record, Outcome.APPLIED)))
    if isinstance(record, Command):
        return Step(None, (Ignore("unknown_call"), _reply(record, Outcome.REJECTED)))
    return Step(None, (Ignore("unknown_call"),))


def _with_call(call: Call, record: Inbox) -> tuple[Call | None, tuple[Effect, ...]]:
    if isinstance(record, Command):
        return _command(call, record)
    if isinstance(record, TimerDue):
        if call.timers.get(record.name) != record.due:
            return call, (Ignore("stale_timer"),)
        if record.name == "forget":
            return None, ()
        left = {name: due for name, due in call.timers.items() if name != record.name}
        return msgspec.structs.replace(call, timers=left), (CancelTimer(record.name),)
    if isinstance(record, ActionReport):
        kept = tuple(p for p in call.pending if p.action.id != record.action)
        return msgspec.structs.replace(call, pending=kept), ()
    return call, ()


def _command(call: Call, record: Command) -> tuple[Call, tuple[Effect, ...]]:
    data: dict[str, Any] = msgspec.json.decode(record.data) or {}
    if record.name == "act":
        action = HangUp(
            id=action_id(call.call_id, call.version, 0), call_id=call.call_id, account_sid="AC0", at=record.at,
            deadline=record.at + 60_000, call_sid="CA0",
        )  # fmt: skip
        pending = (*call.pending, PendingAction(action, record.at))
        return msgspec.structs.replace(call, pending=pending), (RequestAction(action),)
    if record.name == "arm":
        timers = {**call.timers, data["timer"]: data["due"]}
        return msgspec.structs.replace(call, timers=timers), (ScheduleTimer(data["timer"], data["due"]),)
    if record.name == "forget":
        ended = msgspec.structs.replace(call, state=CallState.ENDED, timers={"forget": data["due"]})
        return ended, (ScheduleTimer("forget", data["due"]), _reply(record, Outcome.APPLIED))
    if record.name == "grow":
        return msgspec.structs.replace(call, context={"big": "x" * data["size"]}), ()
    return call, (_reply(record, Outcome.APPLIED),)


def _reply(record: Command, outcome: Outcome) -> Reply:
    result = Result(
        command_id=record.command_id, command_source=record.command_source, command_type=record.command_type,
        outcome=outcome,
    )  # fmt: skip
    return Reply(result_id(record.command_source, record.command_id), result)


def command(name: str, call_id: str, number: int, at: int = 1_800_000_000_000, **data: object) -> Command:
    """A command for the stepper. `number` makes its id."""
    return Command(
        id=f"command-{number}", call_id=call_id, at=at, command_id=str(number), command_source="/tests",
        command_type=f"cordboard.command.call.{name}.v1", data=msgspec.Raw(encode(data)), deadline=at + 60_000,
        name=name, trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )  # fmt: skip


def webhook(call_id: str, number: int, at: int = 1_800_000_000_000) -> Webhook:
    """A callback."""
    return Webhook(
        id=f"status.{number}", call_id=call_id, at=at, source=Source.STATUS, params=msgspec.Raw(b'{"CallSid":"CA1"}')
    )


def report(call_id: str, action: str, at: int = 1_800_000_000_000) -> ActionReport:
    """A worker's report that an action is done."""
    return ActionReport(
        id=f"report.{action}", call_id=call_id, at=at, action=action, action_type="hang_up", outcome=ActionOutcome.DONE
    )


def calls_in(partition: int, count: int) -> list[str]:
    """Ids of calls that our partitioner puts into `partition`."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        call_id = f"call-{number}"
        if partition_of(call_id.encode(), PARTITIONS) == partition:
            found.append(call_id)
    return found


class Rig:
    """One partition over a memory log: put records in, take the partition, feed it, lose it."""

    def __init__(
        self, partition: int = 1, *, step: Stepper = counting_step,
        limits: EngineLimits | None = None,
    ) -> None:  # fmt: skip
        self.clock = ManualClock()
        self.log = MemoryLog(PARTITIONS, clock=self.clock)
        self.partition = partition
        self.step = step
        self.rule = StopRule()
        self.limits = limits or EngineLimits(tick_s=0.01, retry_min_s=0.001, retry_max_s=0.01, release_s=0.2)
        self.owners: list[EnginePartition] = []

    async def put(self, *records: Inbox) -> None:
        """Into the inbox, keyed by call."""
        await self.log.publish(Topic.INBOX, [Entry(self.partition, r.call_id.encode(), encode(r)) for r in records])

    async def put_raw(self, key: bytes, value: bytes | None) -> None:
        """Bytes of any kind into the inbox."""
        await self.log.publish(Topic.INBOX, [Entry(self.partition, key, value)])

    async def take(self) -> EnginePartition:
        """A new owner, restored. The former one does not learn of it."""
        fenced = await self.log.claim(Topic.STATE, self.partition, f"owner-{len(self.owners)}")
        owner = EnginePartition(
            self.step, self.log, self.clock, self.partition, rule=self.rule, limits=self.limits,
            monotonic=self.clock.monotonic,
        )  # fmt: skip
        self.owners.append(owner)
        await owner.restore(fenced)
        return owner

    async def feed(self, owner: EnginePartition, batch: int = 500) -> None:
        """Give `owner` everything that it has not covered, in batches."""
        while True:
            start = owner.covered() or 0
            records = self.log.records(Topic.INBOX, self.partition)[start : start + batch]
            if not records:
                return
            await owner.handle(records)

    async def lose(self, owner: EnginePartition) -> None:
        """What the ownership loop does after a failure."""
        await owner.release()

    async def close(self) -> None:
        """Let go of all that were taken."""
        for owner in self.owners:
            await owner.release()

    def die_at(self, operation: Operation, point: Point, topic: Topic, nth: int = 1) -> None:
        """Let the process die at the `nth` such point, once."""
        left = nth

        async def hook(on: Operation, at: Point, of: Topic, _partition: int) -> None:
            nonlocal left
            await asyncio.sleep(0)
            if (on, at, of) == (operation, point, topic):
                left -= 1
                if left == 0:
                    self.log.faults.hook = None
                    raise CrashError(f"{on.value} {at.value} {of.value}")

        self.log.faults.hook = hook

    # The checker's view

    def states(self) -> list[tuple[bytes, StateRecord | None]]:
        """All state records without claims, decoded as readers of the public schema do."""
        records = [r for r in self.log.records(Topic.STATE, self.partition) if r.key != CLAIM_KEY]
        return [(r.key or b"", None if r.value is None else decode_state(r.value)) for r in records]

    def call(self, call_id: str) -> Call | None:
        """A call as its last state record has it."""
        last = [record for key, record in self.states() if key == call_id.encode()]
        return last[-1].call if last and last[-1] is not None else None

    def actions(self) -> list[str]:
        """Ids of all actions published, repetitions too."""
        return [decode_action(r.value or b"").id for r in self.log.records(Topic.ACTIONS, self.partition)]

    def events(self) -> list[dict[str, Any]]:
        """All events and results published, repetitions too."""
        return [msgspec.json.decode(r.value or b"") for r in self.log.records(Topic.EVENTS, self.partition)]

    def event_ids(self) -> list[str]:
        """Ids of `events`."""
        return [event["id"] for event in self.events()]

    def dead_letters(self) -> Sequence[Record]:
        """All dead letters of this partition."""
        return self.log.records(Topic.DEAD_LETTERS, self.partition)

    def in_inbox(self, kind: type[Inbox]) -> list[Any]:
        """Inbox records of one kind, in order."""
        decoded = (msgspec.json.decode(r.value or b"", type=Inbox) for r in self._inbox())
        return [record for record in decoded if isinstance(record, kind)]

    def _inbox(self) -> Iterable[Record]:
        return self.log.records(Topic.INBOX, self.partition)


async def eventually(condition: Callable[[], bool], what: str, deadline_s: float = 10.0) -> None:
    """Wait until `condition` holds; fail with `what` when it does not within the deadline."""
    try:
        async with asyncio.timeout(deadline_s):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_s} s: {what}") from None
