"""How Kafka is reached: addresses, security, and the times that the adapter keeps (reliability.md 2.4)."""

import ssl
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from cordboard.errors import SettingsError


class SecurityMode(StrEnum):
    """`CORDBOARD_KAFKA_SECURITY`."""

    PLAINTEXT = "plaintext"
    TLS = "tls"
    SASL_TLS = "sasl_tls"


_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class KafkaSecurity(msgspec.Struct, frozen=True):
    """`CORDBOARD_KAFKA_SECURITY` and what belongs to it. `tls_ca` None trusts the system's authorities."""

    mode: SecurityMode = SecurityMode.PLAINTEXT
    tls_ca: Path | None = None
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"KafkaSecurity(mode={self.mode.value!r}, sasl_username={self.sasl_username!r})"

    def client_options(self) -> dict[str, Any]:
        """As keyword arguments of aiokafka's clients. Raises `SettingsError` for what cannot work."""
        if self.mode is SecurityMode.PLAINTEXT:
            return {"security_protocol": "PLAINTEXT"}
        options: dict[str, Any] = {"security_protocol": "SSL", "ssl_context": self._ssl_context()}
        if self.mode is SecurityMode.SASL_TLS:
            self._require_credentials()
            options |= {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=None if self.tls_ca is None else str(self.tls_ca))
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"CORDBOARD_KAFKA_TLS_CA: {self.tls_ca} is not a readable file of PEM certificates ({error})"
            ) from error

    def _require_credentials(self) -> None:
        if self.sasl_mechanism not in _MECHANISMS:
            raise SettingsError(
                f"CORDBOARD_KAFKA_SASL_MECHANISM is {self.sasl_mechanism!r}; expected {', '.join(_MECHANISMS)}"
            )
        if not self.sasl_username or not self.sasl_password:
            raise SettingsError(
                "CORDBOARD_KAFKA_SECURITY=sasl_tls needs CORDBOARD_KAFKA_SASL_USERNAME and "
                "CORDBOARD_KAFKA_SASL_PASSWORD"
            )


class KafkaTimes(msgspec.Struct, frozen=True):
    """Deadlines and periods in seconds. Every await on Kafka has one of them around it (T3)."""

    connect_s: float = 10.0
    request_s: float = 4.0
    publish_s: float = 5.0
    append_s: float = 10.0
    claim_s: float = 15.0
    ask_s: float = 5.0
    """Offsets, commits, metadata."""
    join_s: float = 60.0
    close_s: float = 3.0
    session_s: float = 10.0
    heartbeat_s: float = 0.2
    """How soon members learn that one has left: bounds a planned hand-over. A heartbeat costs next to nothing."""
    rebalance_s: float = 30.0
    stall_s: float = 15.0
    """No record for that long although there are some: the consumer is made anew (T9)."""
    retry_min_s: float = 0.1
    retry_max_s: float = 5.0


class KafkaSettings(msgspec.Struct, frozen=True):
    """Everything that the Kafka adapter is told. `bootstrap` holds `HOST:PORT`s; `prefix` goes before topic names."""

    bootstrap: tuple[str, ...]
    prefix: str = ""
    partitions: int = 8
    client_id: str = "cordboard"
    """How we appear in Kafka's own logs, metrics and quotas."""
    security: KafkaSecurity = KafkaSecurity()
    times: KafkaTimes = KafkaTimes()
    compression: str | None = "zstd"
    """Measured against lz4, which aiokafka calls at its slowest level: a fifth less CPU for the whole engine."""
    replication: int | None = None
    """Of topics that we create; None: three where there are three brokers, else one."""
