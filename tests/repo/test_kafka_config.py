"""What the Kafka harness configures, as far as it can be told without a broker."""

from pathlib import Path

from kafka_config import Quorum, server_properties


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    """kafka-storage refuses an id that begins with a dash; one in 64 random ones would."""
    ids = [Quorum.of(1).cluster_id for _ in range(200)]

    assert [identity for identity in ids if identity.startswith("-")] == []
    assert len(set(ids)) == len(ids)


def test_nodes_share_no_port() -> None:
    """Every listener of every node has a port of its own."""
    ports = [port for node in Quorum.of(3).nodes for port in (node.port, node.controller_port)]

    assert len(set(ports)) == 6


def test_given_settings_win() -> None:
    """A test may replace every line of server.properties."""
    quorum = Quorum.of(1)

    text = server_properties(quorum, quorum.nodes[0], Path("data"), {"num.io.threads": "1", "log.retention.ms": "5"})

    assert text.count("num.io.threads=") == 1
    assert {"num.io.threads=1", "log.retention.ms=5"} <= set(text.splitlines())
