"""TLS and SASL against a real broker: what `CORDBOARD_KAFKA_SECURITY` promises for real clusters."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cordboard.errors import LogUnavailableError
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSecurity, KafkaSettings, KafkaTimes, SecurityMode
from free_ports import free_ports
from kafka_broker import KafkaBroker
from kafka_config import Quorum
from log_harness import entry, read_values, replay_values
from schemas.topics import Topic

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command to make certificates"),
]

_TIMES = KafkaTimes(connect_s=5.0, request_s=2.0, publish_s=3.0, ask_s=3.0, close_s=1.0)


class Secured(msgspec.Struct, frozen=True):
    """A broker with a TLS and a SASL listener, and the authority that signed its certificate."""

    tls: str
    sasl: str
    authority: Path


@pytest.fixture(scope="module")
def secured(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One such broker for this module; the user is `cordboard`, the password `geheim`."""
    assert kafka_jars.is_dir()
    folder = tmp_path_factory.mktemp("secured")
    certificate = _make_certificate(folder)
    quorum = Quorum.of(1)
    node = quorum.nodes[0]
    tls, sasl = free_ports(2)
    public = f"PLAINTEXT://127.0.0.1:{node.port},TLS://127.0.0.1:{tls},SASL://127.0.0.1:{sasl}"
    modules = "org.apache.kafka.common.security"
    settings = {
        "listeners": f"{public},CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": public,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "listener.name.sasl.plain.sasl.jaas.config": (
            f'{modules}.plain.PlainLoginModule required user_cordboard="geheim";'
        ),
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
    }
    users = {"cordboard": "geheim"}
    with KafkaBroker(folder / "broker", quorum=quorum, settings=settings, scram_users=users):
        yield Secured(tls=f"127.0.0.1:{tls}", sasl=f"127.0.0.1:{sasl}", authority=folder / "server.crt")


def _make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file as Kafka wants it."""
    key, certificate = folder / "server.key", folder / "server.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "server.pem"
    both.write_text(key.read_text() + certificate.read_text())
    return both


def _log(bootstrap: str, prefix: str, security: KafkaSecurity) -> KafkaLog:
    return KafkaLog(KafkaSettings(bootstrap=(bootstrap,), prefix=prefix, partitions=2, security=security, times=_TIMES))


async def _use(log: KafkaLog) -> None:
    """Every kind of client that the adapter has: admin, publisher, reader, fenced producer."""
    await log.ensure_topics()
    await log.publish(Topic.INBOX, (entry(0, b"x"),))
    assert await read_values(log, Topic.INBOX, 0, 1) == [b"x"]
    fenced = await log.claim(Topic.STATE, 1, "engine")
    await fenced.append([entry(1, b"y")])
    assert await replay_values(await log.claim(Topic.STATE, 1, "engine")) == [b"y"]


async def test_everything_works_over_tls(secured: Secured, topic_prefix: str) -> None:
    """With the authority given, the whole adapter works over TLS."""
    log = _log(secured.tls, topic_prefix, KafkaSecurity(mode=SecurityMode.TLS, tls_ca=secured.authority))
    await _use(log)
    await log.aclose()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_everything_works_over_sasl(secured: Secured, topic_prefix: str, mechanism: str) -> None:
    """With user and password, the whole adapter works over TLS with SASL."""
    security = KafkaSecurity(
        mode=SecurityMode.SASL_TLS,
        tls_ca=secured.authority,
        sasl_mechanism=mechanism,
        sasl_username="cordboard",
        sasl_password="geheim",
    )
    log = _log(secured.sasl, topic_prefix, security)
    await _use(log)
    await log.aclose()


async def test_an_unknown_authority_is_not_trusted(secured: Secured, topic_prefix: str) -> None:
    """Without the authority the broker is not believed, and nothing is sent to it."""
    log = _log(secured.tls, topic_prefix, KafkaSecurity(mode=SecurityMode.TLS))
    with pytest.raises(LogUnavailableError):
        await log.publish(Topic.INBOX, (entry(0, b"x"),))
    await log.aclose()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_not_let_in(secured: Secured, topic_prefix: str, mechanism: str) -> None:
    """A wrong password ends in an error that does not contain it."""
    security = KafkaSecurity(
        mode=SecurityMode.SASL_TLS,
        tls_ca=secured.authority,
        sasl_mechanism=mechanism,
        sasl_username="cordboard",
        sasl_password="verraten",
    )
    log = _log(secured.sasl, topic_prefix, security)
    with pytest.raises(LogUnavailableError) as caught:
        await log.ensure_topics()
    assert "verraten" not in str(caught.value)
    await log.aclose()
