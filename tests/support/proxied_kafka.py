"""Logs on a Kafka that is reached by way of a `KafkaProxy`, with times short enough to wait for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cordboard.errors import LogUnavailableError
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings, KafkaTimes
from cordboard.log.port import Log
from kafka_proxy import KafkaProxy
from log_harness import entry
from schemas.topics import Topic

QUICK_TIMES = KafkaTimes(
    request_s=1.0,
    publish_s=1.0,
    append_s=1.0,
    claim_s=3.0,
    ask_s=2.0,
    close_s=0.5,
    session_s=2.0,
    heartbeat_s=0.3,
    stall_s=1.0,
    retry_max_s=0.5,
)


@asynccontextmanager
async def opened(
    proxy: KafkaProxy, prefix: str, client_id: str, times: KafkaTimes = QUICK_TIMES
) -> AsyncIterator[KafkaLog]:
    """A log that goes by way of the proxy."""
    made = KafkaLog(
        KafkaSettings(
            bootstrap=(f"127.0.0.1:{proxy.port}",), prefix=prefix, partitions=4, client_id=client_id, times=times
        )
    )
    try:
        yield made
    finally:
        await made.aclose()


async def publish_until_taken(log: Log, value: bytes) -> None:
    """Publish as the ingress' spool does: again, until it is acknowledged. May leave the record more than once."""
    async with asyncio.timeout(90):
        while True:
            try:
                await log.publish(Topic.INBOX, (entry(int(value) % 4, value),))
            except LogUnavailableError:
                await asyncio.sleep(0.05)
            else:
                return
