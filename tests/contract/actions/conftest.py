"""The logs and the Twilios that the workers are tried against."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cordboard.clock import system_clock
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Log
from cordboard.log.sqlite import SqliteLog
from emulator_bench import Site
from fake_twilio import FakeTwilio
from kafka_broker import KafkaBroker

PARTITIONS = 2


@pytest.fixture(params=["memory", "memory-eager", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """An empty log with two partitions."""
    made = _make(request, tmp_path)
    await made.ensure_topics()
    yield made
    await made.aclose()


def _make(request: pytest.FixtureRequest, folder: Path) -> Log:
    kind: str = request.param
    if kind.startswith("memory"):
        return MemoryLog(PARTITIONS, clock=system_clock, eager=kind == "memory-eager")
    if kind == "sqlite":
        return SqliteLog(folder / "journal.db", PARTITIONS)
    broker: KafkaBroker = request.getfixturevalue("kafka")
    prefix: str = request.getfixturevalue("topic_prefix")
    return KafkaLog(KafkaSettings(bootstrap=(broker.bootstrap,), prefix=prefix, partitions=PARTITIONS))


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    """A server that records and answers as scripted."""
    async with FakeTwilio() as server:
        yield server


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Our side as Twilio sees it."""
    async with Site().running() as running:
        yield running
