"""One server in a process of its own: says its port, then on every line of stdin the CPU that it has used so far."""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.ingress.variants import SendAndWait, publishing, serve
from cordboard.garbage import collect_seldom
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Log
from cordboard.log.sqlite import SqliteLog
from cordboard.logs import configure_logs
from schemas.topics import Topic

PARTITIONS = 8


@asynccontextmanager
async def log_of(spec: str) -> AsyncIterator[tuple[Log, SendAndWait]]:
    """The log, and what `usual` sends with: on Kafka aiokafka's own `send_and_wait`."""
    kind, _, rest = spec.partition(":")
    if kind == "memory":
        memory = MemoryLog(PARTITIONS)
        yield memory, publishing(memory)
        return
    if kind == "sqlite":
        journal = SqliteLog(Path(rest), PARTITIONS)
        try:
            yield journal, publishing(journal)
        finally:
            await journal.aclose()
        return
    log = KafkaLog(KafkaSettings(bootstrap=(rest,), partitions=PARTITIONS))
    producer = AIOKafkaProducer(bootstrap_servers=rest, acks="all", compression_type="lz4")
    try:
        await log.ensure_topics()
        await producer.start()
        yield log, lambda key, value: producer.send_and_wait(Topic.INBOX.value, value, key)
    finally:
        await producer.stop()
        await log.aclose()


async def main(variant: str, spec: str) -> None:
    """Serve until stdin ends."""
    async with log_of(spec) as (log, send), serve(variant, log, send) as port:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        collect_seldom()  # as the process of the ingress does; for all variants alike
        print(port, flush=True)
        while await reader.readline():
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_utime + used.ru_stime, flush=True)


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    configure_logs(json=True)
    variant, spec, loop = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        runner.run(main(variant, spec))
