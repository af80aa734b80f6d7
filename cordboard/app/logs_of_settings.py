"""The log that the settings name."""

from cordboard.log.open import open_log
from cordboard.log.port import Log
from cordboard.settings import Settings


def open_log_of(settings: Settings) -> Log:
    """Open it. Raises `LogError`, `SettingsError`."""
    return open_log(settings.log, prefix=settings.topic_prefix, partitions=settings.partitions)
