"""The harness gives a Kafka that keeps what it acknowledged, whatever is done to its process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from kafka_broker import BrokerFailedError, KafkaBroker, KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("kafka_jars")]


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """Start a broker that the test may mistreat."""
    with KafkaBroker(tmp_path) as broker:
        yield broker


async def test_what_is_produced_is_consumed(kafka: KafkaBroker, topic_prefix: str) -> None:
    """Records come back in the order in which they were acknowledged, with keys and values as they went in."""
    topic = f"{topic_prefix}inbox"
    await create_topic(kafka.bootstrap, topic)
    sent = [(b"CA1", b"ringing"), (b"CA1", b"in-progress"), (b"CA1", b"completed")]

    await produce(kafka.bootstrap, topic, sent)

    assert await consume(kafka.bootstrap, topic, len(sent)) == sent


async def test_topics_are_never_made_by_accident(kafka: KafkaBroker, topic_prefix: str) -> None:
    """Sending to a topic that nobody made fails, as it does in production."""
    topic = f"{topic_prefix}nobody-made-me"
    async with producer(kafka.bootstrap, request_timeout_ms=1000) as out:
        with pytest.raises(KafkaError):
            await out.send_and_wait(topic, b"x")

    assert topic not in await topic_names(kafka.bootstrap)


async def test_a_killed_broker_comes_back_with_its_records(own_broker: KafkaBroker) -> None:
    """After SIGKILL and a start the same address answers and every acknowledged record is there."""
    await create_topic(own_broker.bootstrap, "inbox")
    await produce(own_broker.bootstrap, "inbox", [(b"k", b"before")])
    address = own_broker.bootstrap

    await asyncio.to_thread(own_broker.kill)
    assert not own_broker.running
    await asyncio.to_thread(own_broker.start)

    assert own_broker.bootstrap == address
    assert await consume(own_broker.bootstrap, "inbox", 1) == [(b"k", b"before")]


async def test_an_orderly_restart_keeps_records(own_broker: KafkaBroker) -> None:
    """After SIGTERM and a start every acknowledged record is there."""
    await create_topic(own_broker.bootstrap, "inbox")
    await produce(own_broker.bootstrap, "inbox", [(b"k", b"before")])

    await asyncio.to_thread(own_broker.restart)

    assert await consume(own_broker.bootstrap, "inbox", 1) == [(b"k", b"before")]


async def test_a_paused_broker_answers_once_it_is_resumed(own_broker: KafkaBroker) -> None:
    """A frozen broker is silent, not gone: the record in flight is acknowledged when it goes on."""
    await create_topic(own_broker.bootstrap, "inbox")
    async with producer(own_broker.bootstrap) as out:
        await out.send_and_wait("inbox", b"warm", partition=0)
        own_broker.pause()
        sending = await out.send("inbox", b"late", partition=0)
        done, _ = await asyncio.wait([sending], timeout=1.0)
        assert not done
        own_broker.resume()
        await asyncio.wait_for(sending, 60)

    assert [value for _, value in await consume(own_broker.bootstrap, "inbox", 2)] == [b"warm", b"late"]


def test_a_failed_start_shows_the_log(tmp_path: Path) -> None:
    """Who reads the failure sees why the broker did not start."""
    broker = KafkaBroker(tmp_path)
    host, _, port = broker.bootstrap.partition(":")
    with socket.socket() as squatter:
        squatter.bind((host, int(port)))

        with pytest.raises(BrokerFailedError, match="Address already in use"):
            broker.start()

    assert not broker.running


def test_impossible_settings_are_refused_before_the_start(tmp_path: Path) -> None:
    """Kafka's own words about a bad setting reach the reader."""
    with pytest.raises(BrokerFailedError, match=r"log\.segment\.bytes"):
        KafkaBroker(tmp_path, settings={"log.segment.bytes": "1"}).start()


@pytest.mark.slow
async def test_a_cluster_survives_its_leader(tmp_path: Path) -> None:
    """With three brokers and one of them killed, acknowledged records are read and new ones accepted."""
    cluster = KafkaCluster(tmp_path, brokers=3)
    try:
        await asyncio.to_thread(cluster.start)
        await create_topic(cluster.bootstrap, "inbox", replicas=3)
        await produce(cluster.bootstrap, "inbox", [(b"k", b"before")])

        await asyncio.to_thread(cluster.brokers[0].kill)
        await produce(cluster.bootstrap, "inbox", [(b"k", b"after")])

        assert await consume(cluster.bootstrap, "inbox", 2) == [(b"k", b"before"), (b"k", b"after")]
    finally:
        await asyncio.to_thread(cluster.kill)


async def create_topic(bootstrap: str, topic: str, replicas: int = 1) -> None:
    """Make a topic of one partition, and wait until the broker that is asked knows of it: news travel in a cluster."""
    async with admin_client(bootstrap) as admin:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=replicas)])
        async with asyncio.timeout(30):
            while topic not in await admin.list_topics():
                await asyncio.sleep(0.05)


async def topic_names(bootstrap: str) -> list[str]:
    """Ask the broker which topics there are."""
    async with admin_client(bootstrap) as admin:
        return list(await admin.list_topics())


@asynccontextmanager
async def admin_client(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give a client that makes and lists topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, records: list[tuple[bytes, bytes]]) -> None:
    """Send each record and wait for its acknowledgement."""
    async with producer(bootstrap) as out:
        for key, value in records:
            await out.send_and_wait(topic, value, key=key, partition=0)


async def consume(bootstrap: str, topic: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Read the first `count` records of partition 0."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        records = [await asyncio.wait_for(consumer.getone(), 60) for _ in range(count)]
        return [(record.key, record.value) for record in records]
    finally:
        await consumer.stop()


@asynccontextmanager
async def producer(bootstrap: str, request_timeout_ms: int = 10_000) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer that waits for all replicas."""
    out = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", request_timeout_ms=request_timeout_ms)
    await out.start()
    try:
        yield out
    finally:
        await out.stop()
