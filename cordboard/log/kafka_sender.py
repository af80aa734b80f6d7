"""Batches on their way to the leaders of their partitions: what waits for a broker goes in one request, one at a time.

What aiokafka's own sender does, without a task and a future for each step (decision 025): leaders come from its
metadata, requests leave by its connections, errors mean what they mean to it. A batch that a retry can help is tried
again until its time is over; the others do not wait for it (T5).
"""

import asyncio
from collections.abc import Callable

import msgspec
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    ProducerClosed,
    ProducerFenced,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    for_code,
)

from cordboard.log.kafka_wire import Appended, Place, Produce, ProduceAnswer

_NO_LEADER = (None, -1)
_LEFT_OUT = Appended(error_code=-1, offset=-1)
"""For a batch that an answer does not mention: UNKNOWN_SERVER_ERROR."""


Load = Callable[[], bytes]
"""Makes a batch at the moment when it is sent; empty when there is nothing to send any more."""


class _Sending(msgspec.Struct, eq=False):
    """One batch. `until` is in seconds of the loop's clock."""

    place: Place
    load: Load
    future: "asyncio.Future[int]"
    until: float
    batch: bytes | None = None
    """As it was sent before: a retry sends the same."""
    error: KafkaError | None = None
    """Why it has to be tried again."""


class Sender:
    """Sends until it is closed. `limit_s` is how long a batch is tried, `retry_s` the pause before each further try."""

    def __init__(self, client: AIOKafkaClient, limit_s: float, retry_s: float) -> None:
        self._client = client
        self._limit_s = limit_s
        self._retry_s = retry_s
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, list[_Sending]] = {}
        self._serving: dict[int, asyncio.Task[None]] = {}
        self._unsettled: set[_Sending] = set()
        self._closed = False

    def send(self, name: str, partition: int, load: Load) -> "asyncio.Future[int]":
        """Gives the offset of the first record once all in-sync replicas have it; -1 where there is none to tell.

        That is for an empty batch, and for a repeat of one that the broker has forgotten.
        Fails with what aiokafka raises. Whoever gives up on it may leave the batch on its way.
        """
        sending = _Sending((name, partition), load, self._loop.create_future(), self._loop.time() + self._limit_s)
        self._unsettled.add(sending)
        if self._closed:
            self._fail(sending, ProducerClosed())
        else:
            self._route(sending)
        return sending.future

    async def close(self) -> None:
        """Send nothing more; what has not been acknowledged fails."""
        self._closed = True
        serving = list(self._serving.values())
        for task in serving:
            task.cancel()
        for sending in list(self._unsettled):
            self._fail(sending, ProducerClosed())
        if serving:
            await asyncio.wait(serving)

    def _route(self, sending: _Sending) -> None:
        """Put a batch behind what waits for its partition's leader."""
        if sending.future.done():
            self._unsettled.discard(sending)
            return
        node = self._client.cluster.leader_for_partition(TopicPartition(*sending.place))
        if node in _NO_LEADER:
            self._retry(sending, self._leaderless(sending.place[0]))
            return
        self._waiting.setdefault(node, []).append(sending)
        if node not in self._serving:
            self._serving[node] = asyncio.create_task(self._serve(node))

    def _leaderless(self, name: str) -> KafkaError:
        known = self._client.cluster.partitions_for_topic(name) is not None
        return LeaderNotAvailableError() if known else UnknownTopicOrPartitionError()

    async def _serve(self, node: int) -> None:
        """Send what waits for a broker until nothing does. What comes meanwhile goes with the next request."""
        try:
            while taken := self._take(node):
                await self._exchange(node, taken)
        finally:
            del self._serving[node]

    def _take(self, node: int) -> dict[Place, _Sending]:
        """Of each partition what has waited longest, in order: a request has room for one batch of each."""
        taken: dict[Place, _Sending] = {}
        left: list[_Sending] = []
        now = self._loop.time()
        for sending in self._waiting.pop(node, ()):
            if sending.future.done():
                self._unsettled.discard(sending)
            elif sending.until < now:
                self._fail(sending, sending.error or RequestTimedOutError())
            elif sending.place in taken:
                left.append(sending)
            elif self._is_loaded(sending):
                taken[sending.place] = sending
        if left:
            self._waiting[node] = left
        return taken

    def _is_loaded(self, sending: _Sending) -> bool:
        """Whether there is something to send."""
        if sending.batch is None:
            try:
                sending.batch = sending.load()
            except Exception as error:  # noqa: BLE001 told to who waits for this batch; the others are sent
                self._fail(sending, KafkaError(f"broke off before it was sent: {error!r}"))
                return False
        if not sending.batch:
            self._succeed(sending, -1)
        return bool(sending.batch)

    async def _exchange(self, node: int, taken: dict[Place, _Sending]) -> None:
        request = Produce({place: sending.batch or b"" for place, sending in taken.items()}, self._limit_s)
        try:
            answer: ProduceAnswer = await self._client.send(node, request)
        except Exception as error:  # noqa: BLE001 whatever it is, nobody may wait for this batch for ever
            for sending in taken.values():
                self._judge(sending, error if isinstance(error, KafkaError) else KafkaError(repr(error)))
        else:
            for place, sending in taken.items():
                self._settle(sending, answer.appended.get(place, _LEFT_OUT))

    def _settle(self, sending: _Sending, appended: Appended) -> None:
        error = for_code(appended.error_code)
        if error in (NoError, DuplicateSequenceNumber):
            self._succeed(sending, appended.offset)
        else:
            self._judge(sending, ProducerFenced() if error is InvalidProducerEpoch else error())

    def _judge(self, sending: _Sending, error: KafkaError) -> None:
        if error.retriable:
            self._retry(sending, error)
        else:
            self._fail(sending, error)

    def _retry(self, sending: _Sending, error: KafkaError) -> None:
        if self._closed or self._loop.time() + self._retry_s >= sending.until:
            self._fail(sending, error)
            return
        if error.invalid_metadata:
            self._client.force_metadata_update()
        sending.error = error
        self._loop.call_later(self._retry_s, self._route, sending)

    def _succeed(self, sending: _Sending, offset: int) -> None:
        self._unsettled.discard(sending)
        if not sending.future.done():
            sending.future.set_result(offset)

    def _fail(self, sending: _Sending, error: KafkaError) -> None:
        self._unsettled.discard(sending)
        if not sending.future.done():
            sending.future.set_exception(error)
