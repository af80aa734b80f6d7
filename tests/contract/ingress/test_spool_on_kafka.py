"""The ingress as a process on a real Kafka that is cut off under it: what it has answered is never lost."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from cordboard.log.kafka import KafkaLog
from free_ports import free_ports
from kafka_proxy import KafkaProxy
from log_harness import read_records
from proxied_kafka import opened
from schemas.records import Webhook
from schemas.routes import Route
from schemas.topics import Topic
from signing_twilio import ACCOUNT, PUBLIC_URL, STATUS, TOKEN, Twilio

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    # aiokafka leaves a connection that was cut while it was being made to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATIENCE_S = 60.0
CALLS = [f"CA{number:032x}" for number in range(12)]
_decode = msgspec.json.Decoder(Webhook).decode


class Service:
    """`cordboard ingress` as a process, and what its ports tell."""

    def __init__(self, folder: Path, kafka: str, prefix: str, session: aiohttp.ClientSession) -> None:
        ingress, ops = free_ports(2)
        self.twilio = Twilio(session, ingress)
        self._session = session
        self._ops = f"http://127.0.0.1:{ops}"
        self._folder = folder
        self._env = {
            **os.environ,
            "CORDBOARD_LOG": f"kafka:{kafka}",
            "CORDBOARD_TOPIC_PREFIX": prefix,
            "CORDBOARD_PARTITIONS": "4",
            "CORDBOARD_PUBLIC_URL": PUBLIC_URL,
            "CORDBOARD_TWILIO_ACCOUNT_SID": ACCOUNT,
            "CORDBOARD_TWILIO_AUTH_TOKEN": TOKEN,
            "CORDBOARD_INGRESS_BIND": f"127.0.0.1:{ingress}",
            "CORDBOARD_OPS_BIND": f"127.0.0.1:{ops}",
            "CORDBOARD_SPOOL": "spool/spool.db",
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """One incarnation, from when it is ready."""
        with (self._folder / "told").open("ab") as told:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cordboard.app.cli", "ingress",
                cwd=self._folder, env=self._env, stdout=told, stderr=told, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await self.readiness() is None:
                    assert process.returncode is None, self.told()
                    await asyncio.sleep(0.05)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def told(self) -> str:
        """What it has said."""
        return (self._folder / "told").read_text()

    async def readiness(self) -> dict[str, object] | None:
        """What `/readyz` says, None when it is not ready."""
        try:
            async with self._session.get(f"{self._ops}/readyz") as answer:
                return await answer.json() if answer.status == 200 else None
        except aiohttp.ClientConnectionError:
            return None

    async def figure(self, name: str) -> float:
        """One of its metrics."""
        async with self._session.get(f"{self._ops}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    async def tell(self, numbers: range) -> None:
        """Callbacks of every call, the calls at once, each call in its order; all of them are answered 204."""
        async with asyncio.TaskGroup() as group:
            for call in CALLS:
                group.create_task(self._tell_of(call, numbers))

    async def _tell_of(self, call: str, numbers: range) -> None:
        for number in numbers:
            fields = {**STATUS, "CallSid": call, "SequenceNumber": str(number)}
            answer = await self.twilio.post(Route.STATUS, fields)
            assert answer.status == 204, self.told()


@pytest.fixture
async def log(proxy: KafkaProxy, topic_prefix: str) -> AsyncIterator[KafkaLog]:
    """Our own view of the topics."""
    async with opened(proxy, topic_prefix, "checker") as made:
        await made.ensure_topics()
        yield made
        proxy.heal()


@pytest.fixture
async def service(tmp_path: Path, proxy: KafkaProxy, topic_prefix: str) -> AsyncIterator[Service]:
    """An ingress that reaches Kafka by way of the proxy."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Service(tmp_path, f"127.0.0.1:{proxy.port}", topic_prefix, session)


async def arrived(log: KafkaLog) -> dict[str, list[int]]:
    """What is in the inbox of each call: numbers in order, repetitions left out."""
    found: dict[str, dict[int, None]] = {call: {} for call in CALLS}
    for partition, bounds in (await log.bounds(Topic.INBOX)).items():
        for record in await read_records(log, Topic.INBOX, partition, bounds.end):
            webhook = _decode(record.value or b"")
            number = int(msgspec.json.decode(webhook.params)["SequenceNumber"])
            found[webhook.call_id].setdefault(number)
    return {call: list(numbers) for call, numbers in found.items()}


async def test_a_cut_and_a_kill_lose_nothing(log: KafkaLog, service: Service, proxy: KafkaProxy) -> None:
    """Kafka is cut, the ingress killed with -9 and started without it: every webhook is answered, and arrives in order.

    Readiness stays: there is no better place for a webhook than one with a spool; what waits is told beside it.
    """
    async with service.running() as first:
        await service.tell(range(5))
        proxy.refuse()
        await service.tell(range(5, 15))
        assert await service.figure("cordboard_spool_records") >= len(CALLS) * 9
        ready = await service.readiness()
        assert ready is not None
        assert "records wait for the log" in str(ready["notes"])
        first.send_signal(signal.SIGKILL)
        await first.wait()
    async with service.running() as second:
        await service.tell(range(15, 20))
        proxy.heal()
        await service.tell(range(20, 30))
        async with asyncio.timeout(PATIENCE_S):
            while await service.figure("cordboard_spool_records"):
                await asyncio.sleep(0.05)
        await service.tell(range(30, 35))
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0

    assert await arrived(log) == {call: list(range(35)) for call in CALLS}
    assert {"spool.began", "spool.left_over", "spool.drained"} <= set(service.told().replace('"', " ").split())


async def test_silence_is_as_bad_as_a_cut(log: KafkaLog, service: Service, proxy: KafkaProxy) -> None:
    """A broker that takes connections and says nothing: answered in time all the same; a late copy does no harm."""
    async with service.running():
        await service.tell(range(3))
        proxy.hold("cordboard")
        await service.tell(range(3, 8))
        proxy.heal()
        async with asyncio.timeout(PATIENCE_S):
            while await service.figure("cordboard_spool_records"):
                await asyncio.sleep(0.05)
        await service.tell(range(8, 10))

    assert await arrived(log) == {call: list(range(10)) for call in CALLS}
