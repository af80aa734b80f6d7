"""Taking a partition whose log Kafka has compacted: gaps in the offsets, tombstones, and the newest of every key."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import FencedPartition, Log, Record
from kafka_broker import KafkaBroker
from log_harness import DEADLINE_S, entry
from schemas.topics import CLAIM_KEY, POLICIES, Topic

pytestmark = pytest.mark.kafka

_AT_ONCE = {"segment.ms": "100", "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "100"}


@pytest.fixture
async def log(kafka: KafkaBroker, topic_prefix: str) -> AsyncIterator[KafkaLog]:
    """A log whose state topic is compacted as soon as Kafka gets around to it."""
    made = KafkaLog(KafkaSettings(bootstrap=(kafka.bootstrap,), prefix=topic_prefix, partitions=1))
    await made.ensure_topics()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    settings = POLICIES[Topic.STATE].settings | _AT_ONCE
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, f"{topic_prefix}call.state", configs=settings)])
    await admin.close()
    yield made
    await made.aclose()


async def test_replay_of_a_compacted_partition(log: KafkaLog) -> None:
    """After compaction a successor replays the newest record of each key in order, and stops at its own claim."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    for n in range(60):
        await fenced.append([entry(0, b"%d" % n, key=b"call-%d" % (n % 5))])
    await fenced.append([entry(0, None, key=b"call-0")])
    async with asyncio.timeout(DEADLINE_S):
        rounds = 0
        while not rounds or len(await _everything(log)) > 40:
            rounds += 1
            await fenced.append([entry(0, b"%d" % rounds, key=b"roll")])  # a new record closes the old segment

    successor = await log.claim(Topic.STATE, 0, "engine-2")
    newest: dict[bytes | None, bytes | None] = {}
    last = -1
    for record in await _replay(successor):
        assert record.offset > last
        last = record.offset
        newest[record.key] = record.value
    assert newest == {
        b"call-0": None,
        b"call-1": b"56",
        b"call-2": b"57",
        b"call-3": b"58",
        b"call-4": b"59",
        b"roll": b"%d" % rounds,
    }
    await successor.append([entry(0, b"on", key=b"call-1")])


async def _replay(fenced: FencedPartition) -> list[Record]:
    return [record async for batch in fenced.replay() for record in batch]


async def _everything(log: Log) -> list[Record]:
    """What a reader from the beginning finds, claims left out."""
    end = (await log.bounds(Topic.STATE))[0].end
    found: list[Record] = []
    async with log.reader(Topic.STATE, {0: 0}) as reader:
        while not found or found[-1].offset < end - 1:
            found.extend(await reader.poll(1.0))
    return [record for record in found if record.key != CLAIM_KEY]
