"""The short version of `make chaos`: one broker, a few of everything, in about a minute."""

from pathlib import Path

import pytest

from chaos.__main__ import carry_out, verdict
from chaos.options import Options


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(420)
@pytest.mark.parametrize("together", [False, True], ids=["each_service_alone", "everything_in_one"])
def test_nothing_is_lost_and_nothing_doubled(kafka_jars: Path, tmp_path: Path, together: bool) -> None:
    """Real processes are killed, stopped and cut off under load; then the checker reads what is left."""
    assert kafka_jars.is_dir()
    told: list[str] = []
    options = Options(webhooks=400, kills=4, takeovers=0, rate=6.0, seed=2, report="", together=together)

    done = carry_out(options, tmp_path / "run", told.append)
    figures, violations = verdict(done, told.append)

    assert violations == [], "\n".join(told)
    assert sum(count for blow, count in done.blows.items() if blow.startswith("kill -9")) == 4
    assert figures.acknowledged >= 400
    assert (figures.lost, figures.twice) == (0, 0)
    assert figures.results == figures.commands == figures.answers.total() > 0
    assert figures.created > 0
    assert figures.served > 0
