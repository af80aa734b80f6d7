"""What a test broker is configured with: its place in the quorum and its server.properties (reliability.md 7.1)."""

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import msgspec

from free_ports import free_ports

__all__ = ["Node", "Quorum", "server_properties"]


class Node(msgspec.Struct, frozen=True):
    """One combined broker and controller: its id, and where it listens on loopback."""

    node_id: int
    port: int
    controller_port: int


class Quorum(msgspec.Struct, frozen=True):
    """All nodes of one cluster, and the cluster's id."""

    cluster_id: str
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, brokers: int) -> "Quorum":
        """Lay out a cluster of that many brokers on free ports."""
        ports = free_ports(2 * brokers)
        nodes = tuple(Node(index + 1, ports[2 * index], ports[2 * index + 1]) for index in range(brokers))
        return cls(_cluster_id(), nodes)

    def bootstrap(self) -> str:
        """Return the addresses for a client, as `host:port,host:port`."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)


def _cluster_id() -> str:
    """16 bytes in URL-safe base 64; the first is 0, for kafka-storage takes an id that begins with - for an option."""
    return urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")


def server_properties(quorum: Quorum, node: Node, log_dir: Path, overrides: Mapping[str, str]) -> str:
    """Return the text of server.properties for one node; `overrides` win."""
    settings = {**_identity(quorum, node, log_dir), **_replication(len(quorum.nodes)), **_SMALL_AND_QUICK, **overrides}
    return "".join(f"{name}={value}\n" for name, value in settings.items())


_SMALL_AND_QUICK = {
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "1000",
    "broker.session.timeout.ms": "6000",  # a killed broker comes back once its old session has run out
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "log.cleaner.backoff.ms": "1000",
    "log.index.size.max.bytes": "1048576",
    "num.io.threads": "4",
    "num.network.threads": "2",
}


def _identity(quorum: Quorum, node: Node, log_dir: Path) -> dict[str, str]:
    listeners = f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.node_id),
        "controller.quorum.voters": ",".join(
            f"{voter.node_id}@127.0.0.1:{voter.controller_port}" for voter in quorum.nodes
        ),
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{node.port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(log_dir),
    }


def _replication(brokers: int) -> dict[str, str]:
    factor = str(min(3, brokers))
    in_sync = "2" if brokers > 1 else "1"
    return {
        "default.replication.factor": factor,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": "3",
        "offsets.topic.replication.factor": factor,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "3",
        "transaction.state.log.replication.factor": factor,
        "unclean.leader.election.enable": "false",
    }
