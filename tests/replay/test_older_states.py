"""What an older version really wrote is taken over by the engine as it is now, and the call goes on from there."""

import msgspec

from cordboard.app.replay.histories import read_file
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, Record
from engine.core.config import CoreConfig
from engine.core.step import Switchboard
from engine.partition import EnginePartition
from histories import FOLDER
from schemas.actions import UpdateParticipant
from schemas.codec import decode_action, encode
from schemas.commands import type_of
from schemas.records import Command
from schemas.state import DEFINITION, CallState
from schemas.topics import CLAIM_KEY, Topic, partition_of
from schemas.versions import definition_of

HELD = FOLDER / "0.1.0-1" / "held.jsonl.gz"
CALL_ID = "CA26c228b3fbc2021839f5ec8e84069fd4"


class Old:
    """The log of a history, and what the present engine does with the partition of one call."""

    def __init__(self, call_id: str) -> None:
        history = read_file(HELD)
        self.partition = partition_of(call_id.encode(), history.partitions)
        self.log = MemoryLog(history.partitions)
        self._history = history
        self.now = 0

    async def read(self, topic: Topic) -> list[Record]:
        """What the older version wrote to our partition."""
        return [record async for record in self._history.read(topic, self.partition)]

    async def taken_over(self) -> EnginePartition:
        """The partition, restored from what is there."""
        inbox, states = await self.read(Topic.INBOX), await self.read(Topic.STATE)
        await self.log.publish(Topic.INBOX, [Entry(self.partition, r.key or b"", r.value) for r in inbox])
        older = await self.log.claim(Topic.STATE, self.partition, "older")
        await older.append([Entry(self.partition, r.key or b"", r.value) for r in states if r.key != CLAIM_KEY])
        self.now = inbox[-1].timestamp_ms + 1000
        core = Switchboard(CoreConfig())
        owner = EnginePartition(core.step, self.log, lambda: self.now, self.partition)
        await owner.restore(await self.log.claim(Topic.STATE, self.partition, "present"))
        return owner

    async def commanded(self, owner: EnginePartition, name: str) -> None:
        """A command, and whatever else has come, is applied."""
        command = Command(
            id=f"command-{name}", call_id=CALL_ID, at=self.now, command_id=name, command_source="/test",
            command_type=type_of(name), data=msgspec.Raw(b"{}"), deadline=self.now + 60_000, name=name,
        )  # fmt: skip
        await self.log.publish(Topic.INBOX, [Entry(self.partition, CALL_ID.encode(), encode(command))])
        await owner.handle(self.log.records(Topic.INBOX, self.partition)[owner.covered() or 0 :])


async def test_a_call_of_the_first_version_goes_on() -> None:
    """Held by the first version, resumed by this one: the request is made, and the call is of this version then."""
    old = Old(CALL_ID)
    owner = await old.taken_over()
    before = owner.state_of(CALL_ID)
    assert before is not None
    assert msgspec.json.decode(before)["state"] == CallState.HELD.value

    await old.commanded(owner, "call.resume")

    actions = [decode_action(record.value or b"") for record in old.log.records(Topic.ACTIONS, old.partition)]
    assert [action.hold for action in actions if isinstance(action, UpdateParticipant)] == [False]
    after = owner.state_of(CALL_ID)
    assert after is not None
    assert definition_of(after) == DEFINITION
    await owner.release()
