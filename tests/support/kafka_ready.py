"""Waits for a Kafka broker to answer: first its port, then its own name in the metadata that it hands out."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

__all__ = ["wait_until_ready"]

_POLL_S = 0.1
_REQUEST_TIMEOUT_MS = 5000


def wait_until_ready(bootstrap: str, node_id: int, timeout_s: float, *, alive: Callable[[], bool]) -> bool:
    """Block until the broker answers for itself; False when time is up or `alive` says no.

    Works with and without a running event loop in the calling thread.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and alive():
        if _port_open(bootstrap) and _knows_itself(bootstrap, node_id):
            return True
        time.sleep(_POLL_S)
    return False


def _port_open(bootstrap: str) -> bool:
    host, _, port = bootstrap.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0


def _knows_itself(bootstrap: str, node_id: int) -> bool:
    answers: list[bool] = []
    # A thread of its own, because the caller's may be inside an event loop already.
    asking = threading.Thread(target=lambda: answers.append(asyncio.run(_in_own_metadata(bootstrap, node_id))))
    asking.start()
    asking.join()
    return answers == [True]


async def _in_own_metadata(bootstrap: str, node_id: int) -> bool:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    try:
        await client.bootstrap()
        return any(broker.nodeId == node_id for broker in client.cluster.brokers())
    except KafkaError:
        return False
    finally:
        await client.close()
