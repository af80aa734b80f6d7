"""The logs that the contract suite runs against: every test that takes `log` runs with each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Log
from cordboard.log.sqlite import SqliteLog
from kafka_broker import KafkaBroker
from kafka_proxy import KafkaProxy
from proxied_kafka import opened

PARTITIONS = 4
_ALL = ["memory", "memory-eager", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)]


@pytest.fixture(params=_ALL)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """An empty log with four partitions."""
    made = _make(request, tmp_path)
    await made.ensure_topics()
    yield made
    await made.aclose()


def _make(request: pytest.FixtureRequest, folder: Path) -> Log:
    kind: str = request.param
    if kind.startswith("memory"):
        return MemoryLog(PARTITIONS, eager=kind == "memory-eager")
    if kind == "sqlite":
        return SqliteLog(folder / "journal.db", PARTITIONS)
    broker: KafkaBroker = request.getfixturevalue("kafka")
    prefix: str = request.getfixturevalue("topic_prefix")
    return KafkaLog(KafkaSettings(bootstrap=(broker.bootstrap,), prefix=prefix, partitions=PARTITIONS))


@pytest.fixture
async def proxied_log(proxy: KafkaProxy, topic_prefix: str) -> AsyncIterator[KafkaLog]:
    """A log with topics of its own and short times, known to Kafka as `one`."""
    async with opened(proxy, topic_prefix, "one") as made:
        await made.ensure_topics()
        yield made
        proxy.heal()
