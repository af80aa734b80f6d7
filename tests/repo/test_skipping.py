"""Tests that need a real Kafka say why they were skipped, and are never skipped in CI."""

import os
import subprocess
import sys
from pathlib import Path

from checkout import ROOT

_NEEDS_KAFKA = "tests/kafka_broker/test_broker.py::test_what_is_produced_is_consumed"


def test_without_java_the_reason_is_told(tmp_path: Path) -> None:
    """On a machine without Java and Maven the summary names what is missing."""
    done = _run(tmp_path, ci="")

    assert done.returncode == 0, done.stdout
    assert "SKIPPED" in done.stdout
    assert "needs java and mvn on the PATH" in done.stdout


def test_in_ci_a_missing_java_is_a_failure(tmp_path: Path) -> None:
    """With CI set the same run fails, and names what is missing."""
    done = _run(tmp_path, ci="true")

    assert done.returncode == 1, done.stdout
    assert "CI must run the Kafka tests" in done.stdout


def test_our_own_settings_do_not_reach_the_tests() -> None:
    """What a developer has in the environment cannot change a result."""
    assert [name for name in os.environ if name.startswith("CORDBOARD_")] == []


def _run(empty: Path, ci: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(empty), "CI": ci}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", _NEEDS_KAFKA]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
