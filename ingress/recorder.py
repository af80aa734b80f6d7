"""Makes records durable before Twilio gets its answer (reliability.md 4.1).

A local spool for the time when the log is away would slip in here: `record` would append to it instead of raising, and
nobody else would notice.
"""

from collections.abc import Mapping
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


class Recorder:
    """Publishes and waits for the acknowledgement, `ack_timeout_s` at most."""

    def __init__(self, log: Log, ack_timeout_s: float) -> None:
        self._log = log
        self._partition_of = lru_cache(_KNOWN_CALLS)(lambda key: partition_of(key, log.partitions))
        self._ack_timeout_s = ack_timeout_s
        self._patience = Patience(ack_timeout_s)

    async def record(self, record: Webhook | Command) -> None:
        """Durable in the call's inbox when it returns. Raises `NotDurableError`."""
        key = record.call_id.encode()
        await self._publish(Topic.INBOX, Entry(self._partition_of(key), key, encode(record)))

    async def set_aside(self, key: str, value: bytes, reason: str, headers: Mapping[str, str]) -> None:
        """Durable among the dead letters, with the bytes as they came. Raises `NotDurableError`."""
        raw_key = key.encode("utf-8", "replace")
        every = {"reason": reason, **headers}
        encoded = tuple((name, text.encode("utf-8", "replace")) for name, text in every.items())
        await self._publish(Topic.DEAD_LETTERS, Entry(self._partition_of(raw_key), raw_key, value, encoded))
        metrics.DEAD_LETTERS.labels(reason).inc()

    async def _publish(self, topic: Topic, entry: Entry) -> None:
        try:
            with self._patience.wait():
                await self._log.publish(topic, (entry,))
        except TimeoutError as error:
            raise NotDurableError(f"{topic.value}: no acknowledgement within {self._ack_timeout_s} s") from error
        except LogError as error:
            raise NotDurableError(str(error)) from error
