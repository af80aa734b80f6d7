"""A log with calls, events and dead letters in it, for tests of what reads: written as their owners write them."""

from collections.abc import Mapping

import msgspec

from cordboard.log.port import Entry, FencedPartition, Log
from schemas.codec import encode, event
from schemas.events import CallEvent
from schemas.state import Call, CallState, Direction, Room, StateRecord
from schemas.topics import STATE_POSITION_KEY, Topic, partition_of

ACCOUNT_SID = "AC" + "0" * 32
BEGAN_AT = 1_790_000_000_000


def call_sid(number: int) -> str:
    """The CallSid with this number."""
    return f"CA{number:032x}"


def a_call(number: int, state: CallState = CallState.WAITING, *, at: int | None = None) -> Call:
    """A call that began `number` seconds after the first one."""
    call_id = call_sid(number)
    began = BEGAN_AT + number * 1000 if at is None else at
    return Call(
        call_id=call_id,
        state=state,
        direction=Direction.INBOUND,
        account_sid=ACCOUNT_SID,
        created_at=began,
        room=Room(name=f"room-{call_id}"),
        ended_at=began + 500 if state is CallState.ENDED else None,
    )


class Written:
    """Writes into a log what the engine and others would."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._owned: dict[int, FencedPartition] = {}
        self._events = 0

    async def state(self, *calls: Call) -> None:
        """A state record for each call, by the owner of its partition."""
        for call in calls:
            partition = self.partition(call.call_id)
            fenced = await self._own(partition)
            value = encode(StateRecord(in_off=0, owner=fenced.token, call=call))
            await fenced.append([Entry(partition, call.call_id.encode(), value)])

    async def forget(self, call_id: str) -> None:
        """The tombstone of a call, and the owner's position behind it."""
        partition = self.partition(call_id)
        fenced = await self._own(partition)
        position = encode(StateRecord(in_off=1, owner=fenced.token))
        await fenced.append([Entry(partition, call_id.encode(), None), Entry(partition, STATE_POSITION_KEY, position)])

    async def event(self, call_id: str, name: str, event_id: str | None = None, *, at: int = BEGAN_AT) -> str:
        """An event of a call; gives its id."""
        self._events += 1
        own_id = event_id or f"{call_id}.{self._events}.e0"
        value = event(name, event_id=own_id, subject=call_id, at_ms=at, data=CallEvent(cause="test"))
        await self.raw(Topic.EVENTS, call_id, value)
        return own_id

    async def raw(
        self, topic: Topic, key: str, value: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[int, int]:
        """Any record; gives its partition and offset."""
        partition = self.partition(key)
        pairs = tuple((name, text.encode()) for name, text in (headers or {}).items())
        before = (await self.log.bounds(topic))[partition].end
        await self.log.publish(topic, [Entry(partition, key.encode(), value, pairs)])
        return partition, before

    async def dead_letter(self, key: str, value: bytes, source: str, reason: str = "invalid", **more: str) -> str:
        """A dead letter; gives its id."""
        headers = {"reason": reason, "detail": f"it is {reason}", "source_topic": source, **more}
        partition, offset = await self.raw(Topic.DEAD_LETTERS, key, value, headers)
        return f"{partition}-{offset}"

    def partition(self, key: str) -> int:
        """Where a key lives."""
        return partition_of(key.encode(), self.log.partitions)

    async def _own(self, partition: int) -> FencedPartition:
        if partition not in self._owned:
            fenced = await self.log.claim(Topic.STATE, partition, "test")
            async for _ in fenced.replay():
                pass
            self._owned[partition] = fenced
        return self._owned[partition]


def command(command_id: str, call_id: str, name: str = "call.hold") -> bytes:
    """A command as another service publishes it."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": command_id,
            "source": "/crm",
            "type": f"cordboard.command.{name}.v1",
            "subject": call_id,
            "data": {},
        }
    )
