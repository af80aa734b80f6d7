"""A log of each kind, and the reading routes over it behind a real ops port."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cordboard.clock import system_clock
from cordboard.log.open import open_log
from cordboard.log.port import Log
from cordboard.ops import OpsConfig, Readiness, serve_ops
from kafka_broker import KafkaBroker
from observe.reading import reading
from observed import Written
from reading_client import ReadingClient
from running_parts import Parts


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """The log in memory, the journal, and Kafka with topics of the test's own."""
    opened = _open(request, tmp_path)
    await opened.ensure_topics()
    yield opened
    await opened.aclose()


def _open(request: pytest.FixtureRequest, folder: Path) -> Log:
    if request.param == "memory":
        return open_log("memory:", partitions=4)
    if request.param == "sqlite":
        return open_log(f"sqlite:{folder / 'journal.db'}", partitions=4)
    broker: KafkaBroker = request.getfixturevalue("kafka")
    prefix: str = request.getfixturevalue("topic_prefix")
    return open_log(f"kafka:{broker.bootstrap}", prefix=prefix, partitions=4)


@pytest.fixture
def written(log: Log) -> Written:
    """Who writes into the log."""
    return Written(log)


@pytest.fixture
async def ops(log: Log) -> AsyncIterator[ReadingClient]:
    """What reads, over the log, with a client."""
    readiness = Readiness()
    parts = Parts()
    async with (
        reading(log, system_clock, readiness, parts) as mount,
        serve_ops(OpsConfig("127.0.0.1", 0), readiness, [mount]) as url,
        ReadingClient(url) as client,
        asyncio.timeout(60),
    ):
        yield client
    assert parts.failed == []
