"""The one producer of a process: whatever is written to Kafka leaves by it, each broker's share of it in one request.

What is published goes as plain batches. Fenced appends carry a producer id, an epoch and sequence numbers of their own,
which brokers check batch by batch, whoever sends them: sixteen owned partitions need no sixteen connections, nor as
many requests (decision 023).
"""

import asyncio
from collections.abc import Callable

import structlog

from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.kafka_client import (
    KAFKA_ERRORS,
    RETRY_PAUSE_S,
    explain,
    make_client,
    retry_delays,
    stop_client,
    topic_name,
)
from cordboard.log.kafka_sender import Sender
from cordboard.log.kafka_settings import KafkaSettings
from schemas.topics import Topic

_FAILURES_UNTIL_NEW = 3

_log = structlog.get_logger(__name__)


class SharedProducer:
    """Starts when it is first needed and finds its way back when Kafka does.

    `on_ready` is told when there is a sender, `on_away` every time that Kafka cannot be reached.
    """

    def __init__(
        self, settings: KafkaSettings, on_ready: Callable[[], None], on_away: Callable[[LogError], None]
    ) -> None:
        self.sender: Sender | None = None
        """None while there is no connection."""
        self.trouble: str | None = None
        """Why nothing can be sent now."""
        self._settings = settings
        self._on_ready = on_ready
        self._on_away = on_away
        self._ready = asyncio.Event()
        self._broken = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect, unless that was done before."""
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="kafka-producer")

    async def connected(self) -> Sender:
        """The sender as soon as there is a connection; the caller bounds the wait. Raises `LogUnavailableError`."""
        self.start()
        await self._ready.wait()
        if self.sender is None:
            raise LogUnavailableError(f"kafka: {self.trouble or 'not connected'}")
        return self.sender

    def note(self, error: LogError | None) -> None:
        """How a batch has ended. After a few failures in a row everything is made anew, with a pause (T17)."""
        if not isinstance(error, LogUnavailableError):
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= _FAILURES_UNTIL_NEW or self.sender is None:
            self._broken.set()

    async def close(self) -> None:
        """Let go of the connections, within bounds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _serve(self) -> None:
        """Keep one sender at work for as long as we are open."""
        delays = retry_delays(self._settings)
        while True:
            client = make_client(self._settings)
            try:
                async with asyncio.timeout(self._settings.times.connect_s):
                    await client.bootstrap()
                    await client.set_topics([topic_name(self._settings, topic) for topic in Topic])
                self._begin(Sender(client, self._settings.times.request_s, RETRY_PAUSE_S))
                delays = retry_delays(self._settings)
                await self._broken.wait()
                _log.warning("kafka.producer_replaced", failures=self._failures)
            except KAFKA_ERRORS as error:
                self.trouble = str(explain(error, "kafka: cannot connect"))
                self._on_away(LogUnavailableError(self.trouble))
                _log.warning("kafka.unreachable", reason=self.trouble)
            finally:
                await self._end()
                await stop_client(client, self._settings.times.close_s)
            await asyncio.sleep(next(delays))

    def _begin(self, sender: Sender) -> None:
        self.sender, self.trouble, self._failures = sender, None, 0
        self._broken.clear()
        self._ready.set()
        self._on_ready()

    async def _end(self) -> None:
        sender, self.sender = self.sender, None
        self._ready.clear()
        if sender is not None:
            await sender.close()
