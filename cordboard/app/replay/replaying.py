"""A whole history, partition by partition: so much memory as one partition needs."""

from collections.abc import AsyncIterator, Callable, Collection

from cordboard.app.replay.differences import CallReport, Comparison
from cordboard.app.replay.histories import History
from cordboard.app.replay.recorded import read_recorded
from cordboard.app.replay.rerun import Rerun
from engine.core.config import CoreConfig
from schemas.topics import partition_of


async def replay(
    history: History,
    calls: Collection[str] = (),
    config: CoreConfig | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - named for who reads it
) -> AsyncIterator[CallReport]:
    """Step every call, or only `calls`, and tell of each. `progress` hears how many partitions of how many are done.

    `config` is today's, if calls are to begin under it; else each begins as it began then. Raises `LogError`.
    """
    wanted = {partition_of(call.encode(), history.partitions) for call in calls} or set(range(history.partitions))
    for done, partition in enumerate(sorted(wanted)):
        progress(done, len(wanted))
        recorded = await read_recorded(history, partition, calls)
        for report in Comparison(recorded, Rerun(recorded, history.partitions, config)).reports():
            yield report
    progress(len(wanted), len(wanted))
