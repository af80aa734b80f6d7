"""A command that found no call stays refused, also when the call comes (docs/decisions/017)."""

from typing import Any

from calling import AGENT, CALL_SID, Story
from engine.core.step import REFUSED_KEPT_MS
from engine.limits import EngineLimits
from engine_shell import PARTITIONS, Rig, eventually
from schemas.records import Command
from schemas.topics import PARKED_KEY_PREFIX, Topic, partition_of

EARLY, BIRTH, COPY = 0, 1, 2


def early_and_late() -> Story:
    """A command, then its call, then a copy of the command."""
    story = Story().command("call.connect", id_="early", to=AGENT).inbound()
    return story.command("call.connect", id_="early", to=AGENT)


def rig_of(story: Story, limits: EngineLimits | None = None) -> Rig:
    """A partition of the real core."""
    rig = Rig(partition_of(CALL_SID.encode(), PARTITIONS), step=story.board.step, limits=limits)
    rig.clock.now_ms = story.at
    return rig


def results(rig: Rig) -> list[dict[str, Any]]:
    """What was answered."""
    return [event for event in rig.events() if event["type"] == "cordboard.result.v1"]


def answers(rig: Rig) -> list[tuple[str, str | None, bool]]:
    """Outcome, reason, and whether it is a repetition."""
    found = (event["data"] for event in results(rig))
    return [(data["outcome"], data["reason"], data["replayed"]) for data in found]


REFUSED = [("rejected", "unknown_call", False), ("rejected", "unknown_call", True)]


async def test_a_copy_that_finds_the_call_gets_the_first_answer() -> None:
    """All in one batch: the call is born with the answer."""
    story = early_and_late()
    rig = rig_of(story)
    await rig.put(*story.records)

    await rig.feed(await rig.take())

    assert answers(rig) == REFUSED
    assert len({event["id"] for event in results(rig)}) == 1
    assert rig.actions() == []
    await rig.close()


async def test_it_is_remembered_through_take_overs() -> None:
    """Every record is applied by another owner."""
    story = early_and_late()
    rig = rig_of(story)
    await rig.put(*story.records)
    for position in (EARLY, BIRTH, COPY):
        owner = await rig.take()
        await owner.handle(rig.log.records(Topic.INBOX, rig.partition)[position : position + 1])

    assert set(answers(rig)) == set(REFUSED)
    assert len({event["id"] for event in results(rig)}) == 1
    assert rig.actions() == []
    assert (PARKED_KEY_PREFIX + story.records[EARLY].id.encode(), None) in rig.states()
    await rig.close()


async def test_it_is_forgotten_in_time() -> None:
    """After ten minutes without its call it leaves the state, without another answer."""
    story = early_and_late()
    rig = rig_of(story)
    await rig.put(story.records[EARLY])
    owner = await rig.take()
    await rig.feed(owner)

    rig.clock.now_ms += REFUSED_KEPT_MS
    await eventually(lambda: len(rig.in_inbox(Command)) == 2, "the command once more")
    await rig.feed(owner)

    assert rig.in_inbox(Command)[1].parked
    assert answers(rig) == REFUSED[:1]
    assert (PARKED_KEY_PREFIX + story.records[EARLY].id.encode(), None) in rig.states()
    await rig.put(*story.records[BIRTH:])
    await rig.feed(owner)
    call = rig.call(CALL_SID)
    assert call is not None
    assert [leg.leg for leg in call.legs] == ["customer-1", "agent-1"]
    await rig.close()


async def test_the_memory_is_bounded() -> None:
    """Who names thousands of calls that are not there fills no memory: beyond the limit a refusal is not kept."""
    story = early_and_late()
    rig = rig_of(story, EngineLimits(parked_records=1, tick_s=0.01, release_s=0.2))
    first = Story().command("call.hold", id_="first").records[0]
    await rig.put(first, story.records[EARLY])

    await rig.feed(await rig.take())

    kept = [key for key, _ in rig.states() if key.startswith(PARKED_KEY_PREFIX)]
    assert kept == [PARKED_KEY_PREFIX + first.id.encode()]
    await rig.close()
