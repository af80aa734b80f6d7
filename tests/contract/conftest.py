"""A real broker behind a proxy, for the folders that want to see a Kafka fail."""

import gc
from collections.abc import AsyncIterator, Iterator

import pytest

from free_ports import free_ports
from kafka_broker import KafkaBroker
from kafka_proxy import KafkaProxy


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
