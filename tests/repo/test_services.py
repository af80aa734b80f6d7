"""The compose file describes a deployment that works: every service apart, on a real Kafka, with the local Twilio."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from compose_services import ComposeServices
from kafka_broker import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

_CALLER, _NUMBER = "+15550111", "+15550100"
_DEADLINE_S = 60


@pytest.fixture
def services(kafka: KafkaBroker, tmp_path: Path, topic_prefix: str) -> Iterator[ComposeServices]:
    """Start every service of the compose file, as processes, on the broker of this run."""
    compose = ComposeServices(kafka.bootstrap, tmp_path, topic_prefix=topic_prefix)
    try:
        compose.ensure_topics()
        compose.start()
        yield compose
    finally:
        compose.kill()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        yield session


async def test_a_call_travels_through_all_services(services: ComposeServices, http: aiohttp.ClientSession) -> None:
    """A call on the local Twilio is seen by observe, a command given to ingress ends it, SIGTERM ends every service."""
    await http.post(f"{services.ops_url('emulator')}/_emulator/calls", json={"from": _CALLER, "to": _NUMBER})

    call_id = await _call_in(services, http, "waiting")
    await _command(services, http, "call.end", call_id)

    assert await _call_in(services, http, "ended") == call_id
    await asyncio.to_thread(services.stop)
    assert services.files_written() == []


async def _call_in(services: ComposeServices, http: aiohttp.ClientSession, state: str) -> str:
    """Wait until observe tells of a call in that state; its id."""
    seen: list[dict[str, str]] = []
    try:
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                headers = {"Authorization": f"Bearer {services.ops_token}"}
                async with http.get(f"{services.ops_url('observe')}/v1/calls", headers=headers) as answer:
                    seen = (await answer.json())["calls"]
                ids = [call["call_id"] for call in seen if call["state"] == state]
                if ids:
                    return str(ids[0])
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"no call became {state}; observe tells of {seen}")


async def _command(services: ComposeServices, http: aiohttp.ClientSession, name: str, call_id: str) -> None:
    """Send a command to the ingress' ops port, and expect its result."""
    event = {
        "specversion": "1.0",
        "id": f"{name}-{call_id}",
        "source": "/tests",
        "type": f"cordboard.command.{name}.v1",
        "subject": call_id,
        "data": {},
    }
    headers = {"Authorization": f"Bearer {services.ops_token}", "Content-Type": "application/cloudevents+json"}
    url = f"{services.ops_url('ingress')}/v1/commands?wait={_DEADLINE_S // 2}"
    async with http.post(url, json=event, headers=headers) as answer:
        result = await answer.json()
    assert result["data"]["outcome"] == "applied", result
