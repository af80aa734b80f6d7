"""The shell around the real core: a whole call, batch by batch, with a take-over after every one of them."""

import msgspec
import pytest

from calling import AGENT, CALL_SID, Story
from engine.partition import EnginePartition
from engine_shell import PARTITIONS, Rig
from schemas.actions import CreateParticipant, UpdateParticipant
from schemas.codec import decode_state, encode
from schemas.records import Resumed
from schemas.state import Call
from schemas.topics import Topic, partition_of


def whole_call() -> Story:
    """A caller waits, is connected, held, taken back, and hangs up."""
    story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT)
    story.twilio_does(CreateParticipant, call_sid="CA" + "a" * 32, conference_sid="CF" + "0" * 31 + "1")
    story.progress("agent-1", "in-progress").joins("agent-1").command("call.hold")
    story.twilio_does(UpdateParticipant).shows("customer-1", "participant-hold", hold=True)
    return story.command("call.resume").leaves("customer-1").leaves("agent-1")


def rig_of(story: Story) -> Rig:
    """A partition that steps with the story's own core, at the time at which the story ends."""
    rig = Rig(partition_of(CALL_SID.encode(), PARTITIONS), step=story.board.step)
    rig.clock.now_ms = story.at
    return rig


async def test_the_shell_keeps_the_call_that_the_core_made() -> None:
    """Undisturbed, the bytes in the state are those of the call after its last step, and every event has left once."""
    story = whole_call()
    rig = rig_of(story)
    await rig.put(*story.records)

    owner = await rig.take()
    await rig.feed(owner, batch=4)

    assert owner.state_of(CALL_SID) == encode(story.call)
    assert len(rig.event_ids()) == len(set(rig.event_ids())) == len(story.events()) + len(story.results())
    await rig.close()


@pytest.mark.parametrize("batch", [1, 3, 7])
async def test_every_take_over_finds_the_call_as_it_was_left(batch: int) -> None:
    """After each batch another owner takes over: it holds the same bytes, timers and actions included."""
    story = whole_call()
    rig = rig_of(story)
    await rig.put(*story.records)
    owner = await rig.take()
    for _ in range(len(story.records) // batch + 1):
        await one_batch(rig, owner, batch)
        before = owner.state_of(CALL_SID)
        owner = await rig.take()
        assert owner.state_of(CALL_SID) == before

    records = [decode_state(r.value) for r in rig.log.records(Topic.STATE, rig.partition) if r.key == CALL_SID.encode()
               and r.value]  # fmt: skip
    covered = [record.in_off for record in records]
    versions = [record.call.version for record in records if record.call is not None]
    assert covered == sorted(set(covered))
    assert versions == list(range(1, len(versions) + 1)), "no gap, no fork"
    assert len({e["id"] for e in rig.events()}) == len({msgspec.json.encode(e) for e in rig.events()})
    assert rig.in_inbox(Resumed)
    await rig.close()


async def one_batch(rig: Rig, owner: EnginePartition, size: int) -> None:
    """The next `size` records."""
    start = owner.covered() or 0
    records = rig.log.records(Topic.INBOX, rig.partition)[start : start + size]
    if records:
        await owner.handle(records)


def test_a_call_survives_its_bytes() -> None:
    """Decoding and encoding gives the same bytes, after every step of a whole call."""
    story = whole_call()
    board, call = story.board, None
    for record in story.records:
        call = board.step(call, record).call
        value = encode(call)
        assert encode(msgspec.json.decode(value, type=Call)) == value
