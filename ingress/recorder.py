"""Makes records durable before Twilio gets its answer (reliability.md 4.1).

A local spool for the time when the log is away would slip in here: `record` would append to it instead of raising, and
nobody else would notice.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from cordboard import metrics
from cordboard.errors import LogError
from cordboard.log.port import Entry, Log
from ingress.patience import Patience
from schemas.codec import encode
from schemas.records import Command, Webhook
from schemas.topics import Topic, partition_of

_KNOWN_CALLS = 16_384


class NotDurableError(LogError):
    """The log did not acknowledge in time. The record may be in it all the same; its id makes a repeat harmless."""


Done = Callable[[NotDurableError | None], None]


class Recorder:
    """Publishes and waits for the acknowledgement, `ack_timeout_s` at most."""

    def __init__(self, log: Log, ack_timeout_s: float) -> None:
        self._log = log
        self._partition_of = lru_cache(_KNOWN_CALLS)(lambda key: partition_of(key, log.partitions))
        self._ack_timeout_s = ack_timeout_s
        self._patience = Patience(ack_timeout_s)
        self._gathered: dict[int, list[tuple[Entry, Done]]] = {}
        self._publishing: set[asyncio.Task[None]] = set()

    async def record(self, record: Webhook | Command) -> None:
        """Durable in the call's inbox when it returns. Raises `NotDurableError`."""
        key = record.call_id.encode()
        await self._publish(Topic.INBOX, [Entry(self._partition_of(key), key, encode(record))])

    def record_soon(self, record: Webhook | Command, done: Done) -> None:
        """As `record`, for who does not wait: `done` is called once, later, with None or with what went wrong.

        What is recorded in one turn of the loop for one partition is published by one call: a task, a wait and a future
        for all of it. Not across partitions: one that has no leader must not fail the others.
        """
        key = record.call_id.encode()
        partition = self._partition_of(key)
        gathered = self._gathered.get(partition)
        if gathered is None:
            if not self._gathered:
                asyncio.get_running_loop().call_soon(self._end_turn)
            gathered = self._gathered[partition] = []
        gathered.append((Entry(partition, key, encode(record)), done))

    def _end_turn(self) -> None:
        turn, self._gathered = self._gathered, {}
        for gathered in turn.values():
            task = asyncio.create_task(self._publish_all(gathered))
            self._publishing.add(task)  # the loop itself would let it be collected
            task.add_done_callback(self._publishing.discard)

    async def _publish_all(self, gathered: list[tuple[Entry, Done]]) -> None:
        error: NotDurableError | None = NotDurableError("given up before it was acknowledged")
        try:
            await self._publish(Topic.INBOX, [entry for entry, _ in gathered])
            error = None
        except NotDurableError as failed:
            error = failed
        finally:
            for _, done in gathered:
                done(error)

    async def set_aside(self, key: str, value: bytes, reason: str, headers: Mapping[str, str]) -> None:
        """Durable among the dead letters, with the bytes as they came. Raises `NotDurableError`."""
        raw_key = key.encode("utf-8", "replace")
        every = {"reason": reason, **headers}
        encoded = tuple((name, text.encode("utf-8", "replace")) for name, text in every.items())
        await self._publish(Topic.DEAD_LETTERS, [Entry(self._partition_of(raw_key), raw_key, value, encoded)])
        metrics.DEAD_LETTERS.labels(reason).inc()

    async def _publish(self, topic: Topic, entries: Sequence[Entry]) -> None:
        try:
            with self._patience.wait():
                await self._log.publish(topic, entries)
        except TimeoutError as error:
            raise NotDurableError(f"{topic.value}: no acknowledgement within {self._ack_timeout_s} s") from error
        except LogError as error:
            raise NotDurableError(str(error)) from error
