"""aiokafka's traps of writing (reliability.md 1.4), on a real broker behind a proxy that fails on demand."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from cordboard.errors import AppendFailedError, FencedError, LogUnavailableError
from cordboard.log.kafka import KafkaLog
from kafka_proxy import Api, KafkaProxy
from log_harness import entry, read_values, replay_values
from proxied_kafka import opened, publish_until_taken
from schemas.topics import Topic

pytestmark = [
    pytest.mark.kafka,
    # aiokafka leaves a connection that was cut while it was being made to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def log(proxied_log: KafkaLog) -> KafkaLog:
    """A log with short times, by way of the proxy."""
    return proxied_log


async def test_t1_nothing_is_written_in_a_transaction(log: KafkaLog, proxy: KafkaProxy, topic_prefix: str) -> None:
    """A reader that sees committed transactions only gets fenced records at once: there is nothing to commit."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    await fenced.append([entry(0, b"x")])
    where = TopicPartition(f"{topic_prefix}call.state", 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=f"127.0.0.1:{proxy.port}", isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    consumer.assign([where])
    found = [await asyncio.wait_for(consumer.getone(where), 10) for _ in range(2)]
    await consumer.stop()

    assert found[1].value == b"x"


async def test_t3_an_append_to_a_silent_kafka_ends(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Kafka says nothing: append fails within its deadline, close returns, and the log says later what was written."""
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    await fenced.append([entry(0, b"before")])
    proxy.hold("one")
    with pytest.raises(AppendFailedError, match="not answered in time"):
        await fenced.append([entry(0, b"doubtful")])
    await fenced.close()
    proxy.heal()

    again = await log.claim(Topic.STATE, 0, "engine-1")
    values = await replay_values(again)
    assert values in ([b"before"], [b"before", b"doubtful"])
    await again.append([entry(0, b"after")])
    assert await replay_values(await log.claim(Topic.STATE, 0, "engine-1")) == [*values, b"after"]


async def test_t3_a_claim_on_a_silent_kafka_ends(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Claiming while Kafka says nothing is an error within its deadline."""
    proxy.hold("one")
    with pytest.raises(LogUnavailableError, match=r"not answered in time|Unable to bootstrap"):
        await log.claim(Topic.STATE, 0, "engine-1")


async def test_t4_a_publish_to_a_silent_kafka_ends(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Publishing ends with LogUnavailableError within its deadline, and works again when Kafka does."""
    await log.publish(Topic.INBOX, (entry(0, b"before"),))
    proxy.hold("one")
    with pytest.raises(LogUnavailableError, match="not answered in time"):
        await log.publish(Topic.INBOX, (entry(0, b"doubtful"),))
    assert await log.check() is not None
    proxy.heal()
    await publish_until_taken(log, b"4")

    assert b"4" in await read_values(log, Topic.INBOX, 0, 2)
    assert await log.check() is None


@pytest.mark.parametrize("where", ["kafka_publisher.new_batch", "kafka_sender.Sender.send"])
async def test_what_breaks_down_in_our_own_code_is_never_an_acknowledgement(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever ends a sending, whoever publishes learns at once that nothing is known to be durable."""

    def break_down(*_: object) -> None:
        raise ZeroDivisionError(where)

    with monkeypatch.context() as broken:
        broken.setattr(f"cordboard.log.{where}", break_down)
        with pytest.raises(LogUnavailableError, match="broke off before it was sent: ZeroDivisionError"):
            await asyncio.wait_for(log.publish(Topic.INBOX, (entry(0, b"doubtful"),)), 10)
    await log.publish(Topic.INBOX, (entry(0, b"after"),))
    assert await read_values(log, Topic.INBOX, 0, 1) == [b"after"]


async def test_t6_one_loop_turn_is_one_batch_a_partition(log: KafkaLog, proxy: KafkaProxy) -> None:
    """Hundreds of publishes in one turn of the loop are a handful of requests, and nobody is passed over."""
    await log.publish(Topic.INBOX, (entry(0, b"warm"),))
    before = proxy.requests[Api.PRODUCE]
    await asyncio.gather(*(log.publish(Topic.INBOX, (entry(n % 4, b"%d" % n),)) for n in range(400)))

    assert proxy.requests[Api.PRODUCE] - before <= 4
    assert await read_values(log, Topic.INBOX, 1, 100) == [b"%d" % n for n in range(1, 400, 4)]


async def test_t15_a_cancelled_publish_takes_nobody_with_it(log: KafkaLog) -> None:
    """Cancelling one of many publishes leaves the others, of the same batch too, alone."""
    await log.publish(Topic.INBOX, (entry(0, b"warm"),))
    tasks = [asyncio.ensure_future(log.publish(Topic.INBOX, (entry(0, b"%d" % n),))) for n in range(50)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(done.pop(7), asyncio.CancelledError)
    assert set(done) == {None}
    values = await read_values(log, Topic.INBOX, 0, 50)
    assert {b"%d" % n for n in range(50) if n != 7} <= set(values)


async def test_t17_kafka_away_is_told_at_once_and_not_stormed(log: KafkaLog, proxy: KafkaProxy) -> None:
    """While nobody listens, publishing fails at once with the reason and few connections are tried; then it works."""
    await log.publish(Topic.INBOX, (entry(0, b"before"),))
    with proxy.refusing():
        reasons: list[str] = []
        while not any("cannot connect" in reason for reason in reasons):
            with pytest.raises(LogUnavailableError) as caught:
                await log.publish(Topic.INBOX, (entry(0, b"x"),))
            reasons.append(str(caught.value))
        before = proxy.connections
        for _ in range(1000):
            with pytest.raises(LogUnavailableError):
                await log.publish(Topic.INBOX, (entry(0, b"x"),))
        assert proxy.connections - before < 50
    await publish_until_taken(log, b"4")


async def test_of_two_that_claim_at_once_the_later_claim_wins(
    log: KafkaLog, proxy: KafkaProxy, topic_prefix: str
) -> None:
    """Two processes claim the same partition at the same time: one can append, the other is told that it is fenced."""
    async with opened(proxy, topic_prefix, "two") as other:
        claims = await asyncio.gather(
            log.claim(Topic.STATE, 0, "one"), other.claim(Topic.STATE, 0, "two"), return_exceptions=True
        )
        held = [c for c in claims if not isinstance(c, BaseException)]
        assert held
        last = max(held, key=lambda fenced: fenced.token)
        for fenced in held:
            if fenced is not last:
                with pytest.raises(FencedError):
                    await fenced.append([entry(0, b"no")])
        await last.append([entry(0, b"yes")])
        await asyncio.gather(*(fenced.close() for fenced in held))
