"""The brokers of a chaos run. Services reach each one by way of a link, brokers one another directly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from chaos.links import Link
from free_ports import free_ports
from kafka_broker import KafkaBroker
from kafka_config import Quorum


class Brokers:
    """One or three real brokers, each behind a link of its own."""

    def __init__(self, folder: Path, count: int) -> None:
        ports = free_ports(2 * count)
        quorum = Quorum.of(count)
        self.links = [Link(ports[2 * index], (ports[2 * index + 1],)) for index in range(count)]
        self.all = [
            KafkaBroker(
                folder / f"broker-{node.node_id}",
                quorum=quorum,
                node_id=node.node_id,
                settings=_settings(node.port, node.controller_port, ports[2 * index + 1], ports[2 * index]),
            )
            for index, node in enumerate(quorum.nodes)
        ]
        self.direct = quorum.bootstrap()
        """Past the links, for who only watches."""
        self.linked = ",".join(f"127.0.0.1:{link.port}" for link in self.links)
        """By way of the links, for the services."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All of them, until the context ends."""
        async with AsyncExitStack() as stack:
            for link in self.links:
                await stack.enter_async_context(link)
            try:
                for broker in self.all:
                    await asyncio.to_thread(broker.launch)
                for broker in self.all:
                    await asyncio.to_thread(broker.wait_until_ready)
                yield
            finally:
                for broker in self.all:
                    await asyncio.to_thread(broker.kill)


def _settings(port: int, controller: int, client: int, advertised: int) -> dict[str, str]:
    """A listener for clients beside the one for brokers; what it advertises is the link."""
    own = f"PLAINTEXT://127.0.0.1:{port}"
    return {
        "listeners": f"{own},CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"{own},CLIENT://127.0.0.1:{advertised}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "group.min.session.timeout.ms": "6000",
    }
