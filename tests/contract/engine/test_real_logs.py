"""The engine on the logs that keep what they are told: the same calls and events, whoever owned them meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cordboard.errors import FencedError
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.owned import OwnerLimits
from cordboard.log.ownership import Owner
from cordboard.log.port import Entry, Log, Record
from cordboard.log.sqlite import SqliteLog
from engine.partition import engine_partition_factory
from engine_shell import PARTITIONS, ManualClock, command, counting_step
from kafka_broker import KafkaBroker
from schemas.codec import decode_action, decode_state, encode
from schemas.records import Inbox
from schemas.state import Call
from schemas.topics import CLAIM_KEY, STATE_POSITION_KEY, Topic, partition_of

CALLS = [f"call-{n}" for n in range(25)]
DEADLINE_S = 60.0


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """An empty log."""
    made: Log
    if request.param == "sqlite":
        made = SqliteLog(tmp_path / "journal.db", PARTITIONS)
    else:
        broker: KafkaBroker = request.getfixturevalue("kafka")
        prefix: str = request.getfixturevalue("topic_prefix")
        made = KafkaLog(KafkaSettings(bootstrap=(broker.bootstrap,), prefix=prefix, partitions=PARTITIONS))
    await made.ensure_topics()
    yield made
    await made.aclose()


@asynccontextmanager
async def running(log: Log, name: str) -> AsyncIterator[Owner]:
    """An engine that runs, and is stopped in order."""
    factory = engine_partition_factory(counting_step, log, ManualClock())
    owner = Owner(
        log, group="engine", source=Topic.INBOX, fenced=Topic.STATE, factory=factory, name=name,
        limits=OwnerLimits(poll_s=0.05, commit_every_s=0.1),
    )  # fmt: skip
    stop = asyncio.Event()
    task = asyncio.create_task(owner.run(stop))
    try:
        yield owner
    finally:
        stop.set()
        await task


async def put(log: Log, *records: Inbox) -> None:
    """Into the inbox, keyed by call."""
    keys = [r.call_id.encode() for r in records]
    await log.publish(
        Topic.INBOX, [Entry(partition_of(k, PARTITIONS), k, encode(r)) for k, r in zip(keys, records, strict=True)]
    )


async def read(log: Log, topic: Topic) -> list[Record]:
    """Everything in a topic, in the order of each partition."""
    bounds = await log.bounds(topic)
    left = {p: b.end for p, b in bounds.items() if b.end > b.earliest}
    found: list[Record] = []
    async with asyncio.timeout(DEADLINE_S), log.reader(topic, {p: bounds[p].earliest for p in left}) as reader:
        while left:
            for record in await reader.poll(1.0):
                found.append(record)
                if record.offset >= left.get(record.partition, 0) - 1:
                    left.pop(record.partition, None)
    return found


async def calls(log: Log) -> dict[str, Call]:
    """Every call as its last state record has it."""
    records = [r for r in await read(log, Topic.STATE) if r.key not in {CLAIM_KEY, STATE_POSITION_KEY}]
    states = [decode_state(r.value or b"") for r in records]
    return {state.call.call_id: state.call for state in states if state.call is not None}


async def until_counted(log: Log, times: int) -> None:
    """Wait until every call has counted so often."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await calls(log)
            if [found[c].routed if c in found else -1 for c in CALLS] == [times] * len(CALLS):
                return
            await asyncio.sleep(0.05)


async def test_calls_go_on_under_the_next_owner(log: Log) -> None:
    """Stop in order, put more in, start again: each record is applied once, and each event leaves under one id once."""
    async with running(log, "first"):
        await put(log, *(command("begin", c, n) for n, c in enumerate(CALLS)))
        await put(log, *(command("act", c, 100 + n) for n, c in enumerate(CALLS)))
        await until_counted(log, 1)
    await put(log, *(command("count", c, 200 + n) for n, c in enumerate(CALLS)))
    async with running(log, "second"):
        await until_counted(log, 2)

    events = [r.value for r in await read(log, Topic.EVENTS)]
    actions = [decode_action(r.value or b"").id for r in await read(log, Topic.ACTIONS)]
    assert len(events) == len(set(events)) == 5 * len(CALLS)
    assert sorted(actions) == sorted([f"{c}.2.0" for c in CALLS] * 2), "nobody has reported: they leave again"


async def test_an_owner_that_was_overtaken_writes_nothing_more(log: Log) -> None:
    """The real fence of the real log: the old owner's next batch is refused, and nothing of it leaves."""
    call_id = next(c for c in CALLS if partition_of(c.encode(), PARTITIONS) == 0)
    make = engine_partition_factory(counting_step, log, ManualClock())
    old, new = make(0), make(0)
    await old.restore(await log.claim(Topic.STATE, 0, "old"))
    await put(log, command("begin", call_id, 1))
    records = [r for r in await read(log, Topic.INBOX) if r.partition == 0]

    fenced = await log.claim(Topic.STATE, 0, "new")
    await new.restore(fenced)
    with pytest.raises(FencedError):
        await old.handle(records)
    await old.release()
    assert await read(log, Topic.EVENTS) == []

    await new.handle(records)
    assert (await calls(log))[call_id].version == 1
    await new.release()
    await fenced.close()
