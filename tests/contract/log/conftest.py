"""The logs that the contract suite runs against: every test that takes `log` runs with each of them."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Log
from cordboard.log.sqlite import SqliteLog
from free_ports import free_ports
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


@pytest.fixture(scope="session")
def proxied_broker(kafka_jars: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaBroker, int]]:
    """A broker of our own that tells its clients to come by way of a proxy, and the port of that proxy."""
    assert kafka_jars
    (port,) = free_ports(1)
    settings = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
    with KafkaBroker(tmp_path_factory.mktemp("proxied"), settings=settings) as broker:
        yield broker, port


@pytest.fixture
async def proxy(proxied_broker: tuple[KafkaBroker, int]) -> AsyncIterator[KafkaProxy]:
    """The way to the broker, in order."""
    broker, port = proxied_broker
    async with KafkaProxy(port, int(broker.bootstrap.split(":")[1])) as proxy:
        yield proxy
    gc.collect()  # here, where what it finds is expected, and not in somebody else's test


@pytest.fixture
async def proxied_log(proxy: KafkaProxy, topic_prefix: str) -> AsyncIterator[KafkaLog]:
    """A log with topics of its own and short times, known to Kafka as `one`."""
    async with opened(proxy, topic_prefix, "one") as made:
        await made.ensure_topics()
        yield made
        proxy.heal()
