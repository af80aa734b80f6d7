"""What becomes of what is published, without a broker: the test decides when a batch leaves and how it ends."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from cordboard.errors import LogUnavailableError
from cordboard.log.kafka_publisher import Publisher
from cordboard.log.kafka_sender import Load, Sender
from cordboard.log.kafka_settings import KafkaSettings, KafkaTimes
from cordboard.log.port import Entry, Record
from schemas.topics import Topic


class Desk:
    """A publisher, and the batches that it has asked to be sent."""

    def __init__(self, publish_s: float = 30.0) -> None:
        settings = KafkaSettings(bootstrap=("127.0.0.1:9",), times=KafkaTimes(publish_s=publish_s))
        self.publisher = Publisher(settings)
        self.publisher.producer.sender = cast(Sender, self)
        self.asked: list[tuple[str, int, Load, asyncio.Future[int]]] = []

    def send(self, name: str, partition: int, load: Load) -> "asyncio.Future[int]":
        """As `Sender.send`."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.asked.append((name, partition, load, future))
        return future

    def publish(self, *values: bytes, partition: int = 0) -> "asyncio.Future[None]":
        """One call."""
        return self.publisher.publish(Topic.INBOX, [Entry(partition, b"k", value) for value in values])

    async def leaves(self, nth: int) -> bytes:
        """The nth batch leaves now; gives its bytes."""
        await _turns()
        return self.asked[nth][2]()

    def ends(self, nth: int, outcome: int | Exception) -> None:
        """How the nth batch has ended."""
        future = self.asked[nth][3]
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_is_published_until_it_leaves_goes_along() -> None:
    """A batch is made when its request leaves, not when it was asked for; what comes later makes the next one."""
    desk = Desk()
    early, late = desk.publish(b"early"), None
    await _turns()
    late = desk.publish(b"late")
    batch = await desk.leaves(0)
    after = desk.publish(b"after")
    desk.ends(0, 7)
    await asyncio.gather(early, late)

    assert b"early" in batch
    assert b"late" in batch
    assert not after.done()
    assert b"after" in await desk.leaves(1)


async def test_followers_are_told_what_stands_where() -> None:
    """Each record with its offset, in the order of the batch; a call that was given up is not among them."""
    desk, told = Desk(), list[Record]()
    desk.publisher.follow(Topic.INBOX, lambda _, records: told.extend(records))
    calls = [desk.publish(b"a", b"b"), desk.publish(b"given up"), desk.publish(b"c")]
    calls[1].cancel()
    await desk.leaves(0)
    desk.ends(0, 40)
    await asyncio.gather(calls[0], calls[2])
    await _turns()

    assert [(record.offset, record.value) for record in told] == [(40, b"a"), (41, b"b"), (42, b"c")]


async def test_a_batch_without_an_offset_is_told_to_nobody() -> None:
    """Acknowledged as a repeat: it is in the log, but where is not known. A fetch will bring it."""
    desk, told = Desk(), list[Sequence[Record]]()
    desk.publisher.follow(Topic.INBOX, lambda _, records: told.append(records))
    call = desk.publish(b"a")
    await desk.leaves(0)
    desk.ends(0, -1)
    await call
    await _turns()
    assert told == []


async def test_what_could_not_be_sent_fails_with_the_reason() -> None:
    """A batch that fails before it was made takes down whoever waited for it, with what the sender said."""
    desk = Desk()
    calls = [desk.publish(b"a"), desk.publish(b"b")]
    await _turns()
    desk.ends(0, UnknownTopicOrPartitionError())
    for call in calls:
        with pytest.raises(LogUnavailableError, match="cordboard topics ensure"):
            await call


async def test_nobody_waits_beyond_the_limit() -> None:
    """A batch that never leaves and one that is never answered: both calls end, and what leaves later is empty."""
    desk = Desk(publish_s=0.01)
    calls = [desk.publish(b"a"), desk.publish(b"b", partition=1)]
    await desk.leaves(0)
    for call in calls:
        with pytest.raises(LogUnavailableError, match="not answered in time"):
            await call
    assert await desk.leaves(1) == b""
    again = desk.publish(b"c", partition=1)
    assert b"c" in await desk.leaves(2)
    desk.ends(1, -1)
    desk.ends(2, 5)
    await again


async def test_what_is_on_its_way_is_known_by_what_it_says() -> None:
    """A fetch that is ahead of the acknowledgement brings a batch of ours; what others wrote in between is not ours."""
    desk = Desk()
    call = desk.publish(b"a", b"b")
    assert not desk.publisher.is_publishing(Topic.INBOX, 0, [_found(b"a")]), "it has not left yet"
    await desk.leaves(0)
    assert desk.publisher.is_publishing(Topic.INBOX, 0, [_found(b"a"), _found(b"b")])
    assert not desk.publisher.is_publishing(Topic.INBOX, 0, [_found(b"a"), _found(b"other")])
    assert not desk.publisher.is_publishing(Topic.INBOX, 0, [_found(b"a"), _found(b"b"), _found(b"other")])
    assert not desk.publisher.is_publishing(Topic.INBOX, 1, [_found(b"a")])
    desk.ends(0, 1)
    await call
    assert not desk.publisher.is_publishing(Topic.INBOX, 0, [_found(b"a")])


def _found(value: bytes) -> Record:
    return Record(Topic.INBOX, 0, 1, 0, b"k", value)
