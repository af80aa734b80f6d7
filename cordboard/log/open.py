"""From the setting `CORDBOARD_LOG` to a log: the one place that knows which adapters there are."""

import re
from pathlib import Path

from cordboard.errors import SettingsError
from cordboard.log.kafka_settings import KafkaSecurity, KafkaSettings
from cordboard.log.port import Log

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")


def open_log(
    spec: str,
    *,
    prefix: str = "",
    partitions: int = 8,
    security: KafkaSecurity | None = None,
    replication: int | None = None,
) -> Log:
    """The log that `spec` names: `sqlite:PATH`, `kafka:HOST:PORT[,HOST:PORT...]`, or `memory:` for trying things out.

    `prefix` goes before Kafka's names of topics and groups; `security` and `replication` (of topics that are created)
    are Kafka's too. To be called inside the loop that uses the log. Raises `SettingsError` for any other spec, and what
    opening raises: `LogInUseError`, `LogUnavailableError`.
    """
    kind, _, rest = spec.partition(":")
    if kind == "sqlite" and rest:
        from cordboard.log.sqlite import SqliteLog  # noqa: PLC0415 each log is loaded when it is the one

        return SqliteLog(Path(rest), partitions)
    if kind == "memory" and not rest:
        from cordboard.log.memory import MemoryLog  # noqa: PLC0415 as above

        return MemoryLog(partitions)
    addresses = tuple(rest.split(","))
    if kind == "kafka" and all(_ADDRESS.fullmatch(address) for address in addresses):
        from cordboard.log.kafka import KafkaLog  # noqa: PLC0415 aiokafka is heavy, and not everybody has a Kafka

        return KafkaLog(
            KafkaSettings(
                bootstrap=addresses,
                prefix=prefix,
                partitions=partitions,
                security=security or KafkaSecurity(),
                replication=replication,
            )
        )
    raise SettingsError(f"CORDBOARD_LOG is {spec!r}; expected sqlite:PATH or kafka:HOST:PORT[,HOST:PORT...]")
