"""What the process of everything does about a log that is not there yet."""

from collections.abc import Sequence

import pytest

from cordboard.app import bootstrap
from cordboard.app.bootstrap import _ensure_topics
from cordboard.app.supervision import Supervisor
from cordboard.errors import LogUnavailableError
from cordboard.log.memory import MemoryLog
from cordboard.log.port import TopicCheck


class Starting(MemoryLog):
    """A log that is away for the first few times that it is asked."""

    def __init__(self, away: int) -> None:
        super().__init__(1)
        self.away = away
        self.asked = 0

    async def ensure_topics(self) -> Sequence[TopicCheck]:
        """See `Log`."""
        self.asked += 1
        if self.asked <= self.away:
            raise LogUnavailableError("nobody listens")
        return await super().ensure_topics()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once."""
    monkeypatch.setattr(bootstrap, "_LOOK_AGAIN_S", 0.0)


async def test_a_log_that_is_starting_is_waited_for() -> None:
    """Brokers and services may be started together."""
    log = Starting(away=3)
    await _ensure_topics(log, Supervisor())
    assert log.asked == 4


async def test_a_log_that_does_not_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for ever: the address may be wrong."""
    monkeypatch.setattr(bootstrap, "_LOG_COMES_WITHIN_S", -1.0)
    with pytest.raises(LogUnavailableError, match="nobody listens"):
        await _ensure_topics(Starting(away=9), Supervisor())


async def test_a_process_that_is_to_leave_waits_for_nothing() -> None:
    """A signal ends the waiting."""
    supervisor, log = Supervisor(), Starting(away=9)
    supervisor.leave("SIGTERM")
    await _ensure_topics(log, supervisor)
    assert log.asked == 0
