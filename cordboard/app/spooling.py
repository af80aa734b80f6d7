"""The recorder of a process with an ingress: opens the spool that the settings name, and shows how it is."""

from contextlib import AsyncExitStack
from pathlib import Path

from cordboard import metrics
from cordboard.clock import Clock
from cordboard.log.port import Log
from cordboard.ops import Readiness
from cordboard.settings import Settings
from ingress.config import ACK_TIMEOUT_S
from ingress.recorder import Recorder, lane_of, lanes_of
from ingress.spool import Spool, SpoolLimits
from ingress.spool_file import SpoolFile

OFF = "off"
_MB = 1_048_576


async def open_recorder(
    settings: Settings, log: Log, clock: Clock, readiness: Readiness, stack: AsyncExitStack
) -> Recorder:
    """The recorder for everything that is taken by HTTP. Its spool is closed with the stack.

    Raises `LogInUseError`, `LogUnavailableError`, `SettingsError` for a spool that cannot be used.
    """
    if settings.spool == OFF:
        return Recorder(log, ACK_TIMEOUT_S)
    lanes = lanes_of(log)
    disk = SpoolFile(Path(settings.spool), lanes, lambda key: lane_of(key, lanes))
    limits = SpoolLimits(settings.spool_max_records, settings.spool_max_mb * _MB)
    spool = Spool(disk, limits, clock)
    stack.push_async_callback(spool.close)
    _show(spool, stack)

    async def waiting() -> str | None:
        return _told(spool)

    readiness.note("spool", waiting)
    return Recorder(log, ACK_TIMEOUT_S, spool)


def _show(spool: Spool, stack: AsyncExitStack) -> None:
    figures = {
        metrics.SPOOL_RECORDS: lambda: spool.records,
        metrics.SPOOL_BYTES: lambda: spool.size,
        metrics.SPOOL_OLDEST_SECONDS: spool.oldest_s,
        metrics.SPOOL_REFUSED: lambda: spool.refused,
    }
    for gauge, figure in figures.items():
        gauge.set_function(figure)
        stack.callback(gauge.set_function, lambda: 0.0)


def _told(spool: Spool) -> str | None:
    """What somebody should know of it, None for nothing."""
    told = []
    if spool.records:
        told.append(f"{spool.records} records wait for the log, the oldest for {spool.oldest_s():.0f} s")
    if spool.refused:
        told.append(f"{spool.refused} records were set aside: the log does not take them")
    return "; ".join(told) or None
