"""From the setting `CORDBOARD_LOG` to a log: the one place that knows which adapters there are."""

from pathlib import Path

from cordboard.errors import SettingsError
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Log
from cordboard.log.sqlite import SqliteLog


def open_log(spec: str, *, prefix: str = "", partitions: int = 8) -> Log:
    """The log that `spec` names: `sqlite:PATH`, `kafka:HOST:PORT[,HOST:PORT...]`, or `memory:` for trying things out.

    `prefix` goes before Kafka's topic names. Raises `SettingsError` for any other spec, and what opening raises.
    """
    kind, _, rest = spec.partition(":")
    if kind == "sqlite" and rest:
        return SqliteLog(Path(rest), partitions)
    if kind == "memory" and not rest:
        return MemoryLog(partitions)
    raise SettingsError(
        f"CORDBOARD_LOG is {spec!r}; expected sqlite:PATH or kafka:HOST:PORT[,HOST:PORT...] (docs/reference/settings)"
    )
