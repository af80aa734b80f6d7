"""The sender against brokers that are played: what goes together, what is tried again, and what fails."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NotEnoughReplicasError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    RequestTimedOutError,
    UnknownError,
    UnknownTopicOrPartitionError,
)

from cordboard.log.kafka_sender import Sender
from cordboard.log.kafka_wire import Appended, Place, Produce, ProduceAnswer

_OUT_OF_ORDER, _DUPLICATE, _FENCED, _NO_REPLICAS, _NOT_LEADER, _CORRUPT = 45, 46, 47, 19, 6, 2

Play = Callable[[Produce], Awaitable[ProduceAnswer]]


class Cluster:
    """aiokafka's client as far as the sender goes: partition n is led by broker `leaders[n]`."""

    def __init__(self, leaders: dict[int, int]) -> None:
        self.cluster = self
        self.leaders = leaders
        self.topics = {"t"}
        self.requests: list[tuple[int, dict[Place, bytes]]] = []
        self.plays: deque[Play] = deque()
        """How the next requests are answered; the rest are taken."""
        self.refreshed = 0
        self._offset = 100

    def leader_for_partition(self, where: TopicPartition) -> int | None:
        """As the metadata has it."""
        return self.leaders.get(where.partition)

    def partitions_for_topic(self, name: str) -> set[int] | None:
        """None for a topic that nobody knows."""
        return set(self.leaders) if name in self.topics else None

    def force_metadata_update(self) -> None:
        """Counted; whoever plays changes `leaders`."""
        self.refreshed += 1

    async def send(self, node: int, request: Produce) -> ProduceAnswer:
        """Note the request, and answer as the next play does."""
        self.requests.append((node, dict(request._batches)))
        return await (self.plays.popleft() if self.plays else self.take)(request)

    async def take(self, request: Produce) -> ProduceAnswer:
        """Everything is written."""
        await asyncio.sleep(0)
        self._offset += 1
        return ProduceAnswer(dict.fromkeys(request._batches, Appended(0, self._offset)))


def refuse(error_code: int) -> Play:
    """A broker that answers every batch with an error."""

    async def play(request: Produce) -> ProduceAnswer:
        return ProduceAnswer(dict.fromkeys(request._batches, Appended(error_code, -1)))

    return play


def fail(error: Exception) -> Play:
    """A request that ends in an error."""

    async def play(_: Produce) -> ProduceAnswer:
        raise error

    return play


def after(event: asyncio.Event, then: Play) -> Play:
    """A broker that waits before it answers."""

    async def play(request: Produce) -> ProduceAnswer:
        await event.wait()
        return await then(request)

    return play


class Sending(Sender):
    """A sender that is given batches as they are."""

    def put(self, partition: int, batch: bytes, topic: str = "t") -> "asyncio.Future[int]":
        """Send it."""
        return self.send(topic, partition, lambda: batch)


def sender_to(cluster: Cluster, limit_s: float = 5.0) -> Sending:
    """A sender that pauses for a moment only."""
    return Sending(cast(AIOKafkaClient, cluster), limit_s, retry_s=0.001)


async def test_one_turn_is_one_request_a_broker() -> None:
    """What is sent in one turn of the loop goes to each broker together; each batch gets its own offset."""
    cluster = Cluster({0: 1, 1: 1, 2: 2})
    sender = sender_to(cluster)
    offsets = await asyncio.gather(*(sender.put(partition, b"%d" % partition) for partition in (0, 1, 2)))

    assert cluster.requests == [(1, {("t", 0): b"0", ("t", 1): b"1"}), (2, {("t", 2): b"2"})]
    assert offsets == [101, 101, 102]


async def test_what_comes_meanwhile_goes_with_the_next_request() -> None:
    """A broker gets one request at a time; other brokers do not wait for it."""
    cluster, answered = Cluster({0: 1, 1: 1, 2: 2}), asyncio.Event()
    cluster.plays.append(after(answered, cluster.take))
    sender = sender_to(cluster)
    first = sender.put(0, b"a")
    await asyncio.sleep(0)
    later = [sender.put(0, b"b"), sender.put(1, b"c")]
    await sender.put(2, b"d")
    assert [node for node, _ in cluster.requests] == [1, 2]
    answered.set()
    await asyncio.gather(first, *later)

    assert cluster.requests[2:] == [(1, {("t", 0): b"b", ("t", 1): b"c"})]


async def test_a_partition_has_one_batch_in_a_request_and_keeps_its_order() -> None:
    """Kafka takes one batch of a partition at a time: the second one follows in the next request."""
    cluster = Cluster({0: 1})
    sender = sender_to(cluster)
    await asyncio.gather(*(sender.put(0, batch) for batch in (b"a", b"b", b"c")))

    assert [batches[("t", 0)] for _, batches in cluster.requests] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("play", [refuse(_NO_REPLICAS), fail(KafkaConnectionError("cut")), fail(NodeNotReadyError())])
async def test_what_a_retry_can_help_is_tried_again(play: Play) -> None:
    """Too few replicas, a connection that breaks: the same batch is sent again and its success is the answer."""
    cluster = Cluster({0: 1})
    cluster.plays += [play, play]
    assert await sender_to(cluster).put(0, b"a") == 101
    assert [batches for _, batches in cluster.requests] == [{("t", 0): b"a"}] * 3


async def test_a_new_leader_is_looked_for() -> None:
    """A broker that is not the leader any more has the metadata asked for, and the next try goes to the new one."""
    cluster = Cluster({0: 1})

    async def moved(request: Produce) -> ProduceAnswer:
        cluster.leaders[0] = 2
        return await refuse(_NOT_LEADER)(request)

    cluster.plays.append(moved)
    assert await sender_to(cluster).put(0, b"a") == 101
    assert [node for node, _ in cluster.requests] == [1, 2]
    assert cluster.refreshed == 1


async def test_t5_a_batch_that_is_tried_again_holds_nobody_up() -> None:
    """While one partition waits for its leader the others of the topic are written."""
    cluster = Cluster({1: 1})
    sender = sender_to(cluster)
    waiting = sender.put(0, b"a")
    assert await sender.put(1, b"b") == 101
    assert not waiting.done()
    cluster.leaders[0] = 1
    assert await waiting == 102


@pytest.mark.parametrize(
    ("play", "error"),
    [
        (refuse(_OUT_OF_ORDER), OutOfOrderSequenceNumber),
        (refuse(_FENCED), ProducerFenced),
        (refuse(_CORRUPT), CorruptRecordException),
        (refuse(110), UnknownError),
        (fail(ZeroDivisionError("ours")), KafkaError),
    ],
)
async def test_what_no_retry_can_help_fails_at_once(play: Play, error: type[KafkaError]) -> None:
    """The error is what the broker says; after it the broker is sent to as before."""
    cluster = Cluster({0: 1})
    cluster.plays.append(play)
    sender = sender_to(cluster)
    with pytest.raises(error):
        await sender.put(0, b"a")
    assert await sender.put(0, b"b") == 101
    assert len(cluster.requests) == 2


async def test_a_batch_that_an_answer_leaves_out_fails() -> None:
    """No word of a batch is no acknowledgement."""
    cluster = Cluster({0: 1})

    async def silent(_: Produce) -> ProduceAnswer:
        return ProduceAnswer({})

    cluster.plays.append(silent)
    with pytest.raises(KafkaError):
        await sender_to(cluster).put(0, b"a")


async def test_a_repeat_that_the_broker_has_forgotten_is_written() -> None:
    """DUPLICATE_SEQUENCE_NUMBER says that the batch is in the log; where is not known."""
    cluster = Cluster({0: 1})
    cluster.plays.append(refuse(_DUPLICATE))
    assert await sender_to(cluster).put(0, b"a") == -1


async def test_tries_end_with_the_last_reason() -> None:
    """A batch is given up when its time is over: with what the broker said, or that nobody knows the topic."""
    cluster = Cluster({0: 1})
    cluster.plays += [refuse(_NO_REPLICAS)] * 1000
    with pytest.raises(NotEnoughReplicasError):
        await sender_to(cluster, limit_s=0.02).put(0, b"a")
    cluster.topics.clear()
    with pytest.raises(UnknownTopicOrPartitionError):
        await sender_to(cluster, limit_s=0.02).put(7, b"a")


async def test_what_has_waited_too_long_is_not_sent_any_more() -> None:
    """Behind a broker that does not answer, a batch fails unsent once its time is over."""
    cluster, answered = Cluster({0: 1}), asyncio.Event()
    cluster.plays.append(after(answered, cluster.take))
    sender = sender_to(cluster, limit_s=0.01)
    first = sender.put(0, b"a")
    await asyncio.sleep(0)
    late = sender.put(0, b"b")
    asyncio.get_running_loop().call_later(0.02, answered.set)
    assert await first == 101
    with pytest.raises(RequestTimedOutError):
        await late
    assert len(cluster.requests) == 1


async def test_the_end_fails_what_is_not_acknowledged() -> None:
    """Closing fails what is on its way, what waits for it and what is to be tried again; and what comes later."""
    cluster, never = Cluster({0: 1}), asyncio.Event()
    cluster.plays.append(after(never, cluster.take))
    sender = sender_to(cluster)
    on_its_way = sender.put(0, b"a")
    await asyncio.sleep(0)
    pending = [on_its_way, sender.put(0, b"b"), sender.put(7, b"c")]
    await sender.close()
    pending.append(sender.put(0, b"d"))

    found = await asyncio.gather(*pending, return_exceptions=True)
    assert [type(error) for error in found] == [ProducerClosed] * 4
    assert len(cluster.requests) == 1


async def test_what_nobody_waits_for_is_not_sent() -> None:
    """Whoever gives up before the request has left takes the batch along."""
    cluster = Cluster({0: 1, 1: 1})
    sender = sender_to(cluster)
    sender.put(0, b"a").cancel()
    assert await sender.put(1, b"b") == 101
    assert cluster.requests == [(1, {("t", 1): b"b"})]


async def test_a_batch_is_made_when_it_leaves() -> None:
    """Behind a request that is on its way it still grows; an empty one is not sent; a retry sends the same again."""
    cluster, answered = Cluster({0: 1, 1: 1, 2: 1}), asyncio.Event()
    cluster.plays += [after(answered, cluster.take), refuse(_NO_REPLICAS)]
    sender = sender_to(cluster)
    first = sender.put(0, b"a")
    await asyncio.sleep(0)
    made: list[bytes] = []
    growing, empty = sender.send("t", 1, lambda: b"".join(made)), sender.send("t", 2, lambda: b"")
    made += [b"b", b"c"]
    answered.set()
    assert list(await asyncio.gather(first, empty)) == [101, -1]
    made.append(b"too late")
    assert await growing == 102
    assert [batches for _, batches in cluster.requests[1:]] == [{("t", 1): b"bc"}] * 2


async def test_a_batch_that_cannot_be_made_fails_alone() -> None:
    """A fault while a batch is made is told to who waits for it; what leaves with the same request leaves."""
    cluster = Cluster({0: 1, 1: 1})
    sender = sender_to(cluster)

    def break_down() -> bytes:
        raise ZeroDivisionError

    broken, other = sender.send("t", 0, break_down), sender.put(1, b"b")
    assert await other == 101
    with pytest.raises(KafkaError, match="broke off before it was sent: ZeroDivisionError"):
        await broken


async def test_whoever_gives_up_leaves_the_others_alone() -> None:
    """A wait that is cancelled ends; the batch is written all the same, and so are the others."""
    cluster = Cluster({0: 1, 1: 1})
    sender = sender_to(cluster)
    given_up, other = sender.put(0, b"a"), sender.put(1, b"b")
    await asyncio.sleep(0)
    given_up.cancel()
    assert await other == 101
    assert cluster.requests == [(1, {("t", 0): b"a", ("t", 1): b"b"})]
