"""The log that the settings name, for the whole process and for `topics ensure`."""

from pathlib import Path

from cordboard.log.kafka_settings import KafkaSecurity, SecurityMode
from cordboard.log.open import open_log
from cordboard.log.port import Log
from cordboard.settings import Settings


def open_log_of(settings: Settings) -> Log:
    """Open it, inside the running loop. Raises `LogError`, `SettingsError`."""
    security = KafkaSecurity(
        mode=SecurityMode(settings.kafka_security),
        tls_ca=Path(settings.kafka_tls_ca) if settings.kafka_tls_ca else None,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_username=settings.kafka_sasl_username or None,
        sasl_password=settings.kafka_sasl_password.get_secret_value() or None,
    )
    return open_log(settings.log, prefix=settings.topic_prefix, partitions=settings.partitions, security=security)
